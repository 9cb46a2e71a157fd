package telemetry

import (
	"context"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"

	"wxnotify/service/callback"
)

// verdictKey is one series of the processed counter. Class and reason are
// empty unless the outcome is failed.
type verdictKey struct {
	merchant string
	api      callback.API
	outcome  callback.Outcome
	class    callback.Class
	reason   callback.Reason
}

// reasonKey is one series of the counter of new failures.
type reasonKey struct {
	merchant string
	reason   callback.Reason
}

// failureKey is one series of the failure gauge.
type failureKey struct {
	merchant string
	class    callback.Class
	reason   callback.Reason
}

type answerKey struct {
	api     callback.API
	outcome callback.Outcome
}

type eventKey struct{ merchant, event string }

// series holds the attribute set of every series that can exist, made once:
// building one costs more than counting does. It is never written after start.
type series struct {
	processed map[verdictKey][]metric.AddOption
	failed    map[reasonKey][]metric.AddOption
	duration  map[answerKey][]metric.RecordOption
	received  map[eventKey][]metric.AddOption
	failures  map[failureKey][]metric.ObserveOption
	merchants map[string]merchantSeries
	stage     map[string][]metric.RecordOption
}

type merchantSeries struct {
	record  []metric.RecordOption
	observe []metric.ObserveOption
}

// stages of a callback.
const (
	stageRead   = "read"
	stageOpen   = "open"
	stageRecord = "record"
)

func newSeries(merchants []string) series {
	s := series{
		processed: map[verdictKey][]metric.AddOption{},
		failed:    map[reasonKey][]metric.AddOption{},
		duration:  map[answerKey][]metric.RecordOption{},
		received:  map[eventKey][]metric.AddOption{},
		failures:  map[failureKey][]metric.ObserveOption{},
		merchants: map[string]merchantSeries{},
		stage:     map[string][]metric.RecordOption{},
	}
	for _, stage := range []string{stageRead, stageOpen, stageRecord} {
		s.stage[stage] = []metric.RecordOption{set(attribute.String(LabelStage, stage))}
	}
	for _, merchant := range append([]string{Other}, merchants...) {
		of := set(attribute.String(LabelMerchant, merchant))
		s.merchants[merchant] = merchantSeries{[]metric.RecordOption{of}, []metric.ObserveOption{of}}
		s.addFailures(merchant)
		for _, api := range []callback.API{callback.V2, callback.V3} {
			s.addVerdicts(merchant, api)
		}
		for _, event := range append([]string{Other}, eventTypes...) {
			s.received[eventKey{merchant, event}] = []metric.AddOption{
				set(attribute.String(LabelMerchant, merchant), attribute.String(LabelEventType, event)),
			}
		}
	}
	return s
}

func (s *series) addFailures(merchant string) {
	for _, reason := range callback.Reasons() {
		for _, class := range reason.Classes() {
			if class == callback.Proven {
				s.failed[reasonKey{merchant, reason}] = []metric.AddOption{
					set(attribute.String(LabelMerchant, merchant), attribute.String(LabelReason, string(reason))),
				}
			}
			s.failures[failureKey{merchant, class, reason}] = []metric.ObserveOption{set(
				attribute.String(LabelMerchant, merchant),
				attribute.String(LabelClass, string(class)), attribute.String(LabelReason, string(reason)),
			)}
		}
	}
}

func (s *series) addVerdicts(merchant string, api callback.API) {
	common := func(outcome callback.Outcome, more ...attribute.KeyValue) []metric.AddOption {
		return []metric.AddOption{set(append(more, attribute.String(LabelMerchant, merchant),
			attribute.String(LabelAPI, string(api)), attribute.String(LabelOutcome, string(outcome)))...)}
	}
	for _, outcome := range []callback.Outcome{callback.Accepted, callback.Duplicate} {
		s.processed[verdictKey{merchant, api, outcome, "", ""}] = common(outcome)
	}
	for _, reason := range callback.Reasons() {
		for _, class := range reason.Classes() {
			s.processed[verdictKey{merchant, api, callback.Failed, class, reason}] = common(callback.Failed,
				attribute.String(LabelClass, string(class)), attribute.String(LabelReason, string(reason)))
		}
	}
	for _, outcome := range []callback.Outcome{callback.Accepted, callback.Duplicate, callback.Failed} {
		s.duration[answerKey{api, outcome}] = []metric.RecordOption{
			set(attribute.String(LabelAPI, string(api)), attribute.String(LabelOutcome, string(outcome))),
		}
	}
}

func set(attrs ...attribute.KeyValue) metric.MeasurementOption {
	return metric.WithAttributeSet(attribute.NewSet(attrs...))
}

// zero creates every series of the counters: one that is born at 1 never shows
// in increase(), and the first failure would page nobody.
func (s *series) zero(processed, failed metric.Int64Counter) {
	for _, of := range s.failed {
		failed.Add(context.Background(), 0, of...)
	}
	for _, of := range s.processed {
		processed.Add(context.Background(), 0, of...)
	}
}

// limit is a cardinality limit that the closed sets cannot reach, whatever the
// number of merchants. Beyond it the SDK would fold failures into one series.
func (s *series) limit() int { return len(s.processed) + len(s.received) + 2000 }

// merchant folds a name that is not configured into [Other].
func (s *series) merchant(name string) string {
	if _, ok := s.merchants[name]; ok {
		return name
	}
	return Other
}

// reason and class of a failure, folded into the registry.
func folded(reason callback.Reason, class callback.Class) (callback.Reason, callback.Class) {
	if !reason.Known() {
		reason = callback.ReasonInternal
	}
	for _, c := range reason.Classes() {
		if c == class {
			return reason, class
		}
	}
	return reason, reason.Class()
}

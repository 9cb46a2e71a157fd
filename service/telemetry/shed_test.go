package telemetry_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// TestShedAtTheDoor: what is shed has no server span around it, so it has none at
// all, and the spans of a flood are no flood. It is counted, timed and recorded as
// all others are.
func TestShedAtTheDoor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const flood = 1000
		w := start(t, telemetry.Options{})
		var traces []string
		accept := w.chain(world{record: func(_ context.Context, e callback.Entry) (callback.Receipt, error) {
			if e.Envelope.Trace != "" {
				traces = append(traces, e.Envelope.Trace)
			}
			return callback.Receipt{}, e.Refusal
		}})
		shed := envelopeV3()
		shed.Received, shed.Body, shed.Verdict = time.Now(), nil, callback.Refuse(callback.ReasonOverloaded, "too many")
		for range flood {
			_, _ = accept.Accept(t.Context(), shed)
		}
		if spans := w.spans.Ended(); len(spans) > 0 || len(traces) > 0 {
			t.Errorf("%d spans, traces %v", len(spans), traces)
		}
		counted := w.collect(t)
		for name, labels := range map[string][]string{
			telemetry.CallbackProcessed:  {"merchant", "shop", "api", "v3", "outcome", "failed", "class", "proven", "error.type", "overloaded"},
			telemetry.NotificationFailed: {"merchant", "shop", "error.type", "overloaded"},
			telemetry.CallbackDuration:   {"api", "v3", "outcome", "failed"},
		} {
			if n, _ := value(counted[name], labels...); n != flood {
				t.Errorf("%s: %v, want %d", name, n, flood)
			}
		}
		time.Sleep(time.Second)
		_, _ = accept.Accept(t.Context(), shed)
		records := w.handled(t)
		last := records[len(records)-1]
		if len(records) != 51 || last[telemetry.FieldSuppressed] != float64(flood-50) || last["trace_id"] != nil {
			t.Errorf("%d records, the last is %v", len(records), last)
		}
	})
}

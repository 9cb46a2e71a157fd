package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"wxnotify/service/callback"
)

// Opener watches the opening of envelopes: span, duration, and what was
// learned about the message for the record.
func (t *Telemetry) Opener(next callback.Opener) callback.Opener { return opener{t, next} }

type opener struct {
	t    *Telemetry
	next callback.Opener
}

func (o opener) Open(ctx context.Context, env callback.Envelope) (callback.Notification, error) {
	ctx, st := o.t.begin(ctx, SpanOpen, stageOpen)
	defer st.end(ctx)
	n, err := o.next.Open(ctx, env)
	refusal := callback.AsRefusal(err)
	st.returned(refusal)
	if s := storyOf(ctx); s != nil {
		s.authentic = authentic(refusal)
		if refusal == nil {
			s.opened = &n
		}
	}
	return n, err
}

// authentic reports whether an opener's refusal leaves no doubt about the
// sender: it was diagnosed as ours, or for a reason that only a good signature
// can lead to.
func authentic(r *callback.Refusal) bool {
	switch {
	case r == nil:
		return true
	case r.Reason == callback.ReasonInternal, r.Class != callback.Proven:
		return false
	}
	return r.Notification != nil || r.Reason.Class() == callback.Proven
}

// Recorder watches the recording: span, duration, a link to the commit that
// made the row durable, and whether the body is stored as WeChat Pay encrypted it.
func (t *Telemetry) Recorder(next callback.Recorder) callback.Recorder { return recorder{t, next} }

type recorder struct {
	t    *Telemetry
	next callback.Recorder
}

func (r recorder) Record(ctx context.Context, e callback.Entry) (callback.Receipt, error) {
	ctx, st := r.t.begin(ctx, SpanRecord, stageRecord)
	defer st.end(ctx)
	if s := storyOf(ctx); s != nil {
		s.form = e.Body.Form
	}
	receipt, err := r.next.Record(ctx, e)
	refusal, trail := callback.AsRefusal(err), receipt.Trail()
	if refusal != nil {
		trail = refusal.Trail
	}
	if refusal != nil && e.Refusal != nil && refusal.Reason == e.Refusal.Reason {
		refusal = nil // recording a refusal is no failure of the recording
	}
	st.returned(refusal)
	link(st.span, trail.Commit, "commit")
	return receipt, err
}

// step is one stage of one callback.
type step struct {
	t     *Telemetry
	stage string
	span  trace.Span
	began time.Time
	back  bool
}

// begin starts a stage. It has a span inside of a callback's span only: what was
// shed at the door has none.
func (t *Telemetry) begin(ctx context.Context, name, stage string) (context.Context, *step) {
	span := trace.SpanFromContext(ctx)
	if span.SpanContext().IsValid() {
		ctx, span = t.tracer.Start(ctx, name)
	}
	return ctx, &step{t: t, stage: stage, span: span, began: time.Now()}
}

// returned notes how the stage ended; without it, end takes it for a panic.
func (s *step) returned(refusal *callback.Refusal) {
	s.back = true
	if refusal != nil {
		s.fail(folded(refusal.Reason, refusal.Class))
	}
}

func (s *step) fail(reason callback.Reason, class callback.Class) {
	if !s.span.IsRecording() {
		return
	}
	s.span.SetAttributes(attribute.String(FieldReason, string(reason)), attribute.String(FieldClass, string(class)))
	if class.Pages() {
		s.span.SetStatus(codes.Error, "")
	}
}

func (s *step) end(ctx context.Context) {
	if !s.back {
		s.fail(callback.ReasonInternal, callback.Proven)
	}
	s.span.End()
	s.t.inst.stage.Record(ctx, time.Since(s.began).Seconds(), s.t.series.stage[s.stage]...)
}

package telemetry

import (
	"context"
	"log/slog"
	"strconv"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"wxnotify/service/callback"
)

// Accepter takes one callback in, as [callback.Intake] does.
type Accepter interface {
	Accept(ctx context.Context, env callback.Envelope) (callback.Receipt, error)
}

// Accept watches whole callbacks: it fills in Envelope.Trace, and afterwards
// writes the facts on the server span, counts them and writes the canonical
// record. The receipt and the error pass through untouched, and so does a
// panic, counted as internal.
func (t *Telemetry) Accept(next Accepter) Accepter { return accepter{t, next} }

type accepter struct {
	t    *Telemetry
	next Accepter
}

func (a accepter) Accept(ctx context.Context, env callback.Envelope) (callback.Receipt, error) {
	s := &story{env: env, began: env.Received}
	if s.began.IsZero() {
		s.began = time.Now()
	}
	env.Trace = traceparent(trace.SpanContextFromContext(ctx))
	ctx = context.WithValue(ctx, storyKey{}, s)
	a.t.arrived(ctx, s)

	returned := false
	defer func() {
		if !returned { // a panic is passing; it is left alone, with its own stack
			a.t.tell(ctx, s, callback.Receipt{}, callback.Refuse(callback.ReasonInternal, "panic while accepting the callback"))
		}
	}()
	receipt, err := a.next.Accept(ctx, env)
	returned = true
	a.t.tell(ctx, s, receipt, err)
	return receipt, err
}

// story is what the decorators of one callback tell each other. It travels in
// the context, where only this package can see it.
type story struct {
	env    callback.Envelope
	began  time.Time
	opened *callback.Notification // verified and decrypted; nil otherwise
	// authentic is true when the sender is known to be WeChat Pay: only then
	// may the record hold more of the body than a masked beginning.
	authentic bool
	// form is how the body is stored. What the sealer left as it came, because
	// WeChat Pay encrypted it, may be shown. Empty until there is something to
	// record: then it may not.
	form callback.SealForm
}

type storyKey struct{}

func storyOf(ctx context.Context) *story {
	s, _ := ctx.Value(storyKey{}).(*story)
	return s
}

// verdict is what became of a callback, in the words of the contract.
type verdict struct {
	merchant string // folded
	api      callback.API
	outcome  callback.Outcome
	reason   callback.Reason
	class    callback.Class
	status   int
	detail   string
	event    string
	trail    callback.Trail
	known    *callback.Notification // nil when nothing is known of the message
}

func (t *Telemetry) judge(s *story, receipt callback.Receipt, err error) verdict {
	v := verdict{api: s.env.API(), known: s.opened, trail: receipt.Trail(), event: receipt.Event()}
	refusal := callback.AsRefusal(err)
	if refusal == nil && !receipt.Proof() {
		refusal = callback.Refuse(callback.ReasonInternal, "recorded without proof")
	}
	switch {
	case refusal != nil:
		v.outcome, v.detail, v.trail = callback.Failed, refusal.Detail, refusal.Trail
		v.reason, v.class = folded(refusal.Reason, refusal.Class)
		v.status = refusal.Status()
		if refusal.Notification != nil {
			v.known = refusal.Notification
		}
	case receipt.Reason() != "":
		v.outcome = callback.Failed
		v.reason, v.class = folded(receipt.Reason(), receipt.Reason().Class())
		v.detail = v.reason.English()
		v.status = v.api.Success()
	default:
		v.outcome, v.status = receipt.Outcome(), v.api.Success()
	}
	// As in the store: whose key opened a message says more than its path.
	v.merchant = t.series.merchant(s.env.Merchant)
	if v.known != nil && v.known.Merchant != "" {
		v.merchant = t.series.merchant(v.known.Merchant)
	}
	return v
}

// tell writes one callback's facts everywhere they belong. A fault in here
// must not reach the callback.
func (t *Telemetry) tell(ctx context.Context, s *story, receipt callback.Receipt, err error) {
	defer func() {
		if p := recover(); p != nil {
			t.notices.warn("telemetry fault: a callback was not told", FieldCallbackID, s.env.ID)
		}
	}()
	took := max(0, time.Since(s.began))
	v := t.judge(s, receipt, err)
	t.count(ctx, s, v, took)
	describeSpan(trace.SpanFromContext(ctx), s, v)
	t.write(ctx, s, v, took)
}

func (t *Telemetry) count(ctx context.Context, s *story, v verdict, took time.Duration) {
	t.inst.processed.Add(ctx, 1, t.series.processed[verdictKey{v.merchant, v.api, v.outcome, v.class, v.reason}]...)
	if v.class == callback.Proven && v.trail.Arrival <= 1 {
		t.inst.failed.Add(ctx, 1, t.series.failed[reasonKey{v.merchant, v.reason}]...)
	}
	t.inst.duration.Record(ctx, took.Seconds(), t.series.duration[answerKey{v.api, v.outcome}]...)
	if read := s.env.Read.Sub(s.env.Received); !s.env.Read.IsZero() && read >= 0 {
		t.inst.stage.Record(ctx, read.Seconds(), t.series.stage[stageRead]...)
	}
	if s.opened != nil {
		of, ok := t.series.received[eventKey{v.merchant, s.opened.EventType}]
		if !ok {
			of = t.series.received[eventKey{v.merchant, Other}]
		}
		t.inst.received.Add(ctx, 1, of...)
	}
	if s.authentic && v.api == callback.V3 && !s.env.Received.IsZero() {
		if sent, err := strconv.ParseInt(s.env.Signature.Timestamp, 10, 64); err == nil {
			t.inst.skew.Record(ctx, time.Unix(sent, 0).Sub(s.env.Received).Seconds(), t.series.merchants[v.merchant].record...)
		}
	}
	if v.class.Pages() {
		t.urgent.want()
	}
}

// describeSpan puts the facts on the server span; never the body, and never
// the text of an error.
func describeSpan(span trace.Span, s *story, v verdict) {
	if !span.IsRecording() {
		return
	}
	attrs := make([]attribute.KeyValue, 0, 16)
	add := func(key, value string) {
		if value != "" {
			attrs = append(attrs, attribute.String(key, clip(value, idLimit)))
		}
	}
	add(FieldCallbackID, s.env.ID)
	add(FieldMerchant, v.merchant)
	add(FieldAPI, string(v.api))
	add(FieldStatus, string(v.outcome))
	add(FieldClass, string(v.class))
	add(FieldReason, string(v.reason))
	add(FieldPeer, network(s.env.Peer))
	if n := v.known; n != nil {
		add(FieldEventType, n.EventType)
		add(FieldNotificationID, n.ID)
		add(FieldTransactionID, n.TransactionID)
		add(FieldOutTradeNo, n.OutTradeNo)
		add(FieldRefundID, n.RefundID)
		add(FieldResultCode, n.ResultCode)
	}
	add(FieldEventID, v.event)
	if v.trail.Arrival > 0 {
		attrs = append(attrs, attribute.Int(FieldArrival, v.trail.Arrival))
	}
	span.SetAttributes(attrs...)
	if v.class.Pages() {
		span.SetStatus(codes.Error, "")
	}
	for _, earlier := range v.trail.Earlier {
		link(span, earlier, "earlier_arrival")
	}
}

// arrived writes the entry record, for whoever hunts a callback that never ends.
func (t *Telemetry) arrived(ctx context.Context, s *story) {
	if !t.handler.Enabled(ctx, slog.LevelDebug) {
		return
	}
	r := slog.NewRecord(time.Now(), slog.LevelDebug, EventReceived, 0)
	r.AddAttrs(
		slog.String(FieldCallbackID, s.env.ID),
		slog.String(FieldMerchant, t.series.merchant(s.env.Merchant)),
		slog.String(FieldAPI, string(s.env.API())),
		slog.Int64(FieldBodySize, s.env.Length),
	)
	_ = t.handler.Handle(ctx, r)
}

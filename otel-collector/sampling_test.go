//go:build stack

package otelcollector_test

import (
	"slices"
	"syscall"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// TestStackTailSampling: what somebody will ask about is kept whole, of the rest
// a share. The spans of one trace come in two exports, as they may.
func TestStackTailSampling(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	c := startCollector(t, s.stores(), t.TempDir(), shipped(t, "tail-sampling.yaml"))

	type kept struct {
		name string
		span *tracepb.Span
	}
	server := func(took time.Duration, f facts) *tracepb.Span { return span(t, "POST /wechatpay/{merchant}", took, f) }
	failed := func(class callback.Class, reason callback.Reason) facts {
		return facts{telemetry.FieldStatus: "failed", telemetry.FieldClass: string(class), telemetry.FieldReason: string(reason)}
	}
	broken := server(time.Millisecond, failed(callback.Proven, callback.ReasonStoreUnavailable))
	broken.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
	commit := span(t, telemetry.SpanCommit, time.Millisecond, facts{telemetry.AttrBatchSize: 3})
	commit.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
	special := []kept{
		{"proven failure", broken},
		{"unproven failure", server(time.Millisecond, failed(callback.Unproven, callback.ReasonSignatureInvalid))},
		{"probe", server(time.Millisecond, failed(callback.Probe, callback.ReasonProbe))},
		{"commit that failed", commit},
		{"second arrival", server(time.Millisecond, facts{telemetry.FieldStatus: "accepted", telemetry.FieldArrival: 2})},
		{"sixteenth arrival", server(time.Millisecond, facts{telemetry.FieldStatus: "duplicate", telemetry.FieldArrival: 16})},
		{"slow", server(1500*time.Millisecond, facts{telemetry.FieldStatus: "accepted", telemetry.FieldArrival: 1})},
	}
	const usual, noise = 200, 200
	var first, second []*tracepb.Span
	for _, k := range special {
		stage := span(t, telemetry.SpanRecord, time.Microsecond, nil)
		stage.TraceId, stage.ParentSpanId = k.span.GetTraceId(), k.span.GetSpanId()
		first, second = append(first, stage), append(second, k.span)
	}
	for range usual {
		second = append(second, server(time.Millisecond, facts{telemetry.FieldStatus: "accepted", telemetry.FieldArrival: 1}))
	}
	for range noise {
		second = append(second, server(time.Millisecond, failed(callback.Noise, callback.ReasonUnsigned)))
	}
	c.send(t, "traces", traces(t, resource, first...))
	c.send(t, "traces", traces(t, resource, second...))

	arrived := func(trace []byte) (spans int) {
		for _, got := range s.spans() {
			if slices.Equal(got.GetTraceId(), trace) {
				spans++
			}
		}
		return spans
	}
	for _, k := range special {
		s.until(t, k.name, func() bool { return arrived(k.span.GetTraceId()) == 2 })
	}
	c.end(t, syscall.SIGTERM) // decides what is still open
	rest := len(s.spans()) - 2*len(special)
	if rest < 10 || rest > 100 {
		t.Errorf("kept %d of %d usual traces, want about a tenth", rest, usual+noise)
	}
}

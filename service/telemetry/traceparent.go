package telemetry

import (
	"encoding/hex"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"
)

// traceparent writes a span context in the W3C form, or "" when there is none.
//
// Source: https://www.w3.org/TR/trace-context/#traceparent-header
func traceparent(sc trace.SpanContext) string {
	if !sc.IsValid() {
		return ""
	}
	traceID, spanID := sc.TraceID(), sc.SpanID()
	b := make([]byte, 0, 55)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, traceID[:])
	b = append(b, '-')
	b = hex.AppendEncode(b, spanID[:])
	if sc.IsSampled() {
		return string(append(b, "-01"...))
	}
	return string(append(b, "-00"...))
}

// parseTraceparent reads what traceparent wrote; ok is false for anything else.
func parseTraceparent(s string) (sc trace.SpanContext, ok bool) {
	if len(s) != 55 || s[:3] != "00-" || s[35] != '-' || s[52] != '-' {
		return sc, false
	}
	traceID, err := trace.TraceIDFromHex(s[3:35])
	if err != nil {
		return sc, false
	}
	spanID, err := trace.SpanIDFromHex(s[36:52])
	if err != nil {
		return sc, false
	}
	flags, err := hex.DecodeString(s[53:])
	if err != nil {
		return sc, false
	}
	return trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: traceID, SpanID: spanID, TraceFlags: trace.TraceFlags(flags[0]) & trace.FlagsSampled, Remote: true,
	}), true
}

// link points from span to a span of another trace. One that cannot be read,
// or is empty, is no link.
func link(span trace.Span, traceparent, role string) {
	if !span.IsRecording() {
		return
	}
	if sc, ok := parseTraceparent(traceparent); ok {
		span.AddLink(trace.Link{SpanContext: sc, Attributes: []attribute.KeyValue{attribute.String(AttrLink, role)}})
	}
}

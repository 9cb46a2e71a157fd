package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace"
	oteltrace "go.opentelemetry.io/otel/trace"
)

// traceKeeper keeps the latest spans in memory, so that the demo can draw a
// trace without a tracing system.
type traceKeeper struct {
	mu    sync.Mutex
	spans []trace.ReadOnlySpan // a ring
	next  int
}

// keptSpans is enough for the story and the commits around it.
const keptSpans = 4096

func newTraceKeeper() *traceKeeper { return &traceKeeper{} }

// OnStart does nothing: only ended spans have a duration.
func (*traceKeeper) OnStart(context.Context, trace.ReadWriteSpan) {}

// OnEnd keeps the span.
func (k *traceKeeper) OnEnd(s trace.ReadOnlySpan) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.spans) < keptSpans {
		k.spans = append(k.spans, s)
		return
	}
	k.spans[k.next%keptSpans] = s
	k.next++
}

// Shutdown has nothing to end.
func (*traceKeeper) Shutdown(context.Context) error { return nil }

// ForceFlush has nothing to send.
func (*traceKeeper) ForceFlush(context.Context) error { return nil }

// of returns the spans of one trace in the order in which they began.
func (k *traceKeeper) of(id oteltrace.TraceID) []trace.ReadOnlySpan {
	k.mu.Lock()
	defer k.mu.Unlock()
	var all []trace.ReadOnlySpan
	for _, s := range k.spans {
		if s.SpanContext().TraceID() == id {
			all = append(all, s)
		}
	}
	slices.SortStableFunc(all, func(a, b trace.ReadOnlySpan) int { return a.StartTime().Compare(b.StartTime()) })
	return all
}

// print draws a trace as a tree, and below a span the trace that it links to.
func (k *traceKeeper) print(w io.Writer, id oteltrace.TraceID) {
	spans := k.of(id)
	for _, s := range spans {
		if !s.Parent().IsValid() || s.Parent().IsRemote() {
			k.branch(w, spans, s, 1)
		}
	}
}

func (k *traceKeeper) branch(w io.Writer, spans []trace.ReadOnlySpan, s trace.ReadOnlySpan, depth int) {
	name := strings.Repeat("  ", depth) + s.Name()
	fmt.Fprintf(w, "%-44s %8.3f ms  %s\n", name, float64(s.EndTime().Sub(s.StartTime()))/float64(time.Millisecond), notable(s))
	for _, child := range spans {
		if child.Parent().SpanID() == s.SpanContext().SpanID() {
			k.branch(w, spans, child, depth+1)
		}
	}
	for _, link := range s.Links() {
		linked := k.of(link.SpanContext.TraceID())
		at := slices.IndexFunc(linked, func(l trace.ReadOnlySpan) bool { return l.SpanContext().SpanID() == link.SpanContext.SpanID() })
		switch {
		case at < 0:
			fmt.Fprintf(w, "%s↗ trace %s\n", strings.Repeat("  ", depth+1), link.SpanContext.TraceID())
		case depth == 1: // an earlier arrival: its story is its own
			fmt.Fprintf(w, "%s↗ earlier arrival, trace %s  %s\n", strings.Repeat("  ", depth+1), link.SpanContext.TraceID(), notable(linked[at]))
		default:
			fmt.Fprintf(w, "%s↗ its commit, shared by all callbacks that were waiting:\n", strings.Repeat("  ", depth+1))
			k.branch(w, linked, linked[at], depth+2)
		}
	}
}

// shownAttributes are worth a place in the tree.
var shownAttributes = []attribute.Key{"wechatpay.status", "outcome", "error.type", "wechatpay.arrival", "wechatpay.store.batch", "http.response.status_code", "db.query.text"}

func notable(s trace.ReadOnlySpan) string {
	var parts []string
	for _, key := range shownAttributes {
		for _, a := range s.Attributes() {
			if a.Key == key {
				text := strings.Join(strings.Fields(a.Value.String()), " ")
				if r := []rune(text); len(r) > 56 {
					text = string(r[:56]) + "…"
				}
				parts = append(parts, text)
			}
		}
	}
	return strings.Join(parts, " · ")
}

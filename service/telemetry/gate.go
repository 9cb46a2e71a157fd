package telemetry

import (
	"context"
	"sync/atomic"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// losses counts what did not get out.
type losses struct{ spans, records, stderr atomic.Int64 }

// gate bounds what waits for an exporter and counts exactly what is lost. The
// SDK's own queues drop as well, but tell nobody how much; behind a gate of
// the same size they never have to.
type gate struct {
	limit  int64
	inside atomic.Int64
	lost   *atomic.Int64
	over   context.Context // ends with Shutdown
}

func newGate(over context.Context, limit int, lost *atomic.Int64) *gate {
	return &gate{limit: int64(limit), lost: lost, over: over}
}

// patience is ctx until Shutdown is over: the SDK would let an export to a
// collector that is down go on for half a minute more.
func (g *gate) patience(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(g.over, cancel)
	return ctx, func() { stop(); cancel() }
}

// enter reports whether one more item may wait.
func (g *gate) enter() bool {
	if g.inside.Add(1) > g.limit {
		g.inside.Add(-1)
		g.lost.Add(1)
		return false
	}
	return true
}

// leave takes n items out, exported or lost.
func (g *gate) leave(n int, err error) {
	g.inside.Add(-int64(n))
	if err != nil {
		g.lost.Add(int64(n))
	}
}

type gatedSpans struct {
	sdktrace.SpanProcessor
	gate *gate
}

func (p gatedSpans) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() && p.gate.enter() {
		p.SpanProcessor.OnEnd(s)
	}
}

type countedSpans struct {
	sdktrace.SpanExporter
	gate *gate
}

func (e countedSpans) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	ctx, done := e.gate.patience(ctx)
	defer done()
	err := e.SpanExporter.ExportSpans(ctx, spans)
	e.gate.leave(len(spans), err)
	return err
}

type gatedRecords struct {
	sdklog.Processor
	gate *gate
}

func (p gatedRecords) OnEmit(ctx context.Context, r *sdklog.Record) error {
	if !p.gate.enter() {
		return nil
	}
	return p.Processor.OnEmit(ctx, r)
}

type countedRecords struct {
	sdklog.Exporter
	gate *gate
}

func (e countedRecords) Export(ctx context.Context, records []sdklog.Record) error {
	ctx, done := e.gate.patience(ctx)
	defer done()
	err := e.Exporter.Export(ctx, records)
	e.gate.leave(len(records), err)
	return err
}

package telemetry

import (
	"context"
	"regexp"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
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
	tell   func(error)     // the operator
}

func newGate(over context.Context, limit int, lost *atomic.Int64) *gate {
	return &gate{limit: int64(limit), lost: lost, over: over, tell: otel.Handle}
}

// persist exports n items, again and again while the collector restarts, until
// Shutdown is over. The SDK gives a batch up after its timeout, and over HTTP at
// the first refused connection; what comes after it waits behind the gate.
func (g *gate) persist(ctx context.Context, n int, export func(context.Context) error) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(g.over, cancel)()
	began := time.Now()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		err := export(ctx)
		if err == nil || ctx.Err() != nil || refused(err) || time.Since(began)+pause > givenUpAfter {
			g.leave(n, err)
			return err
		}
		g.tell(err) // the operator hears of it now, not when it is given up
		select {
		case <-time.After(pause):
		case <-ctx.Done():
		}
	}
}

const (
	firstPause = 500 * time.Millisecond
	lastPause  = 5 * time.Second
	// givenUpAfter is longer than a collector needs to restart.
	givenUpAfter = time.Minute
)

// refused reports whether the collector said no for good: trying again would
// only hold up the others.
func refused(err error) bool {
	if s, ok := status.FromError(err); ok {
		switch s.Code() {
		case codes.InvalidArgument, codes.Unauthenticated, codes.PermissionDenied, codes.Unimplemented, codes.NotFound, codes.FailedPrecondition:
			return true
		}
		return false
	}
	return badRequest.MatchString(err.Error())
}

// badRequest finds the status in what the HTTP exporters say; they have no type
// for it. 429 is for trying again.
var badRequest = regexp.MustCompile(`: 4[013-9]\d |request body too large`)

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
	return e.gate.persist(ctx, len(spans), func(ctx context.Context) error { return e.SpanExporter.ExportSpans(ctx, spans) })
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
	return e.gate.persist(ctx, len(records), func(ctx context.Context) error { return e.Exporter.Export(ctx, records) })
}

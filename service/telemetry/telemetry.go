package telemetry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/contrib/bridges/otelslog"
	"go.opentelemetry.io/contrib/instrumentation/runtime"
	"go.opentelemetry.io/otel"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// scope names this package's tracer, meter and logger.
const scope = "wxnotify"

// startFlush bounds the flush that puts the zero series into the backend
// before the first callback can fail. It is best effort.
const startFlush = 2 * time.Second

// Options of [Start]. The zero value works: no output but /metrics.
// OTLP export is configured by the standard OTEL_* environment alone.
type Options struct {
	// Merchants are the configured names. Every failure series exists for each
	// of them from the start; any other name is counted as [Other].
	Merchants []string
	// Version of the program, for the resource.
	Version string
	// Stderr takes records as JSON lines, through a queue that drops rather
	// than waits. Nil discards them.
	Stderr io.Writer
	// Level is the least level recorded; debug adds one record on entry.
	Level slog.Level
	// Spans, MetricReaders and LogProcessors see everything, beside OTLP.
	Spans         sdktrace.SpanProcessor
	MetricReaders []sdkmetric.Reader
	LogProcessors []sdklog.Processor
}

// Telemetry holds the three providers and everything that is built on them.
// It is safe for concurrent use.
type Telemetry struct {
	traces  *sdktrace.TracerProvider
	metrics *sdkmetric.MeterProvider
	logs    *sdklog.LoggerProvider
	tracer  trace.Tracer

	handler slog.Handler
	stderr  *queue // nil: discard
	notices *notices
	losses  losses

	inst      instruments
	series    series
	strangers strangers
	memory    memory
	prom      *prometheus.Registry
	urgent    *urgent // nil: nobody to export to

	background context.Context // ends with Shutdown, whoever called Watch
	stop       context.CancelFunc
	abandon    context.CancelFunc // gives up what Shutdown could not finish
	done       sync.WaitGroup
	stopping   sync.Once
	stopErr    error
}

// Start brings the providers up, creates every failure series at zero and
// exports them once. It fails only for a fault of this program; whatever is
// wrong with the OTEL_* environment or the collector becomes a warning.
//
// It sets two globals, OpenTelemetry's error handler and its logger, because the
// SDK reports failed exports and unusable variables nowhere else.
func Start(ctx context.Context, o Options) (*Telemetry, error) {
	t := &Telemetry{series: newSeries(o.Merchants), strangers: newStrangers()}
	t.background, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	over, abandon := context.WithCancel(context.WithoutCancel(ctx))
	t.abandon = abandon
	if o.Stderr != nil {
		t.stderr = newQueue(o.Stderr, &t.losses.stderr)
	}
	t.notices = newNotices(t.stderrHandler(o.Level))
	otel.SetErrorHandler(t.notices)
	otel.SetLogger(logr.FromSlogHandler(complaints{t.notices}))

	res := describe(ctx, o.Version, t.notices)
	out := exporters(ctx, t.notices)
	t.traces = tracerProvider(over, res, o, out.traces, &t.losses)
	t.logs = loggerProvider(over, res, o, out.logs, &t.losses)
	if err := t.startMetrics(res, o, out.metrics); err != nil {
		t.stop()
		t.abandon()
		return nil, err
	}
	t.tracer = t.traces.Tracer(scope)
	t.handler = t.handlers(o, out.logs != nil || len(o.LogProcessors) > 0)

	if out.metrics != nil {
		t.urgent = newUrgent()
		t.done.Go(func() { t.urgent.run(t.background, t.flushMetrics) })
		flushing, cancel := context.WithTimeout(ctx, startFlush)
		t.flushMetrics(flushing)
		cancel()
	}
	return t, nil
}

// startMetrics builds the meter provider, every instrument and every zero.
func (t *Telemetry) startMetrics(res *resource.Resource, o Options, exporter sdkmetric.Exporter) error {
	var err error
	if t.metrics, t.prom, err = meterProvider(res, o, exporter, t.series.limit()); err != nil {
		return fmt.Errorf("telemetry: metrics: %w", err)
	}
	meter := t.metrics.Meter(scope)
	if t.inst, err = newInstruments(meter); err != nil {
		return fmt.Errorf("telemetry: instruments: %w", err)
	}
	if err := t.observe(meter); err != nil {
		return fmt.Errorf("telemetry: gauges: %w", err)
	}
	if err := runtime.Start(runtime.WithMeterProvider(t.metrics)); err != nil {
		return fmt.Errorf("telemetry: runtime metrics: %w", err)
	}
	t.series.zero(t.inst.processed, t.inst.failed)
	return nil
}

// Logger writes lifecycle lines to the same outputs as the records.
func (t *Telemetry) Logger() *slog.Logger { return slog.New(t.handler) }

// Metrics serves the Prometheus text format, or OpenMetrics with exemplars to
// whoever asks for it. It belongs on the private listener.
func (t *Telemetry) Metrics() http.Handler { return metricsHandler(t.prom) }

// handlers fans a record out to the outputs that exist.
func (t *Telemetry) handlers(o Options, otlp bool) slog.Handler {
	var outputs []slog.Handler
	if t.stderr != nil {
		outputs = append(outputs, t.stderrHandler(o.Level))
	}
	if otlp {
		outputs = append(outputs, atLeast{otelslog.NewHandler(scope, otelslog.WithLoggerProvider(t.logs)), o.Level})
	}
	return slog.NewMultiHandler(outputs...)
}

// stderrHandler writes JSON lines with the trace they belong to.
func (t *Telemetry) stderrHandler(level slog.Level) slog.Handler {
	if t.stderr == nil {
		return slog.DiscardHandler
	}
	return traced{slog.NewJSONHandler(t.stderr, &slog.HandlerOptions{Level: level, ReplaceAttr: timestamp})}
}

// Flush exports what is waiting, within ctx.
func (t *Telemetry) Flush(ctx context.Context) error {
	return errors.Join(
		within(ctx, t.traces.ForceFlush, t.logs.ForceFlush, t.metrics.ForceFlush),
		t.stderr.flush(ctx),
	)
}

func (t *Telemetry) flushMetrics(ctx context.Context) {
	if err := t.metrics.ForceFlush(ctx); err != nil {
		t.notices.Handle(err)
	}
}

package telemetry

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/attribute"
	promexporter "go.opentelemetry.io/otel/exporters/prometheus"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/exemplar"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Bounds and rhythms; each can be set by its standard variable.
const (
	queueLimit     = 8192 // spans, and records, that wait for a collector
	spanTextLimit  = 1024
	recordLimit    = bodyLimit
	exportInterval = 5 * time.Second // the page can be as late as this
	exportTimeout  = 4 * time.Second
)

// describe says who speaks. The instance id is fresh for every process, even
// where the environment sets one: with a fixed id, a restart that lands on the
// same counter value hides a failure from increase().
func describe(ctx context.Context, version string, n *notices) *resource.Resource {
	res, err := resource.New(ctx,
		resource.WithTelemetrySDK(),
		resource.WithAttributes(semconv.ServiceName("wxnotify"), semconv.ServiceVersion(version)),
		resource.WithFromEnv(),
		resource.WithAttributes(semconv.ServiceInstanceID(uuid.NewString())),
	)
	if err != nil {
		n.warn("resource attributes incomplete", "cause", err.Error())
	}
	return res
}

func tracerProvider(over context.Context, res *resource.Resource, o Options, exporter sdktrace.SpanExporter, l *losses) *sdktrace.TracerProvider {
	limits := sdktrace.NewSpanLimits()
	if limits.AttributeValueLengthLimit < 0 {
		limits.AttributeValueLengthLimit = spanTextLimit
	}
	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(res),
		sdktrace.WithRawSpanLimits(limits),
		// The SDK would put the text of a panic on the span, and it may quote the message.
		sdktrace.WithoutPanicRecording(),
		sdktrace.WithSpanProcessor(tidy{}),
	}
	if o.Spans == nil && exporter == nil {
		// Nobody would see a span: it is its ids, for the record and the audit row.
		// They are marked as not sampled, which is the truth.
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	}
	if o.Spans != nil {
		options = append(options, sdktrace.WithSpanProcessor(o.Spans))
	}
	if exporter != nil {
		g := newGate(over, number("OTEL_BSP_MAX_QUEUE_SIZE", queueLimit), &l.spans)
		options = append(options, sdktrace.WithSpanProcessor(gatedSpans{
			sdktrace.NewBatchSpanProcessor(countedSpans{exporter, g}, sdktrace.WithMaxQueueSize(int(g.limit))), g,
		}))
	}
	return sdktrace.NewTracerProvider(options...)
}

func loggerProvider(over context.Context, res *resource.Resource, o Options, exporter sdklog.Exporter, l *losses) *sdklog.LoggerProvider {
	options := []sdklog.LoggerProviderOption{
		sdklog.WithResource(res),
		sdklog.WithAttributeValueLengthLimit(number("OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT", recordLimit)),
		sdklog.WithAllowKeyDuplication(), // ours have no key twice; looking for one costs more than the rest
		sdklog.WithProcessor(eventNames{}),
	}
	for _, p := range o.LogProcessors {
		options = append(options, sdklog.WithProcessor(p))
	}
	if exporter != nil {
		g := newGate(over, number("OTEL_BLRP_MAX_QUEUE_SIZE", queueLimit), &l.records)
		options = append(options, sdklog.WithProcessor(gatedRecords{
			sdklog.NewBatchProcessor(countedRecords{exporter, g}, sdklog.WithMaxQueueSize(int(g.limit))), g,
		}))
	}
	return sdklog.NewLoggerProvider(options...)
}

func meterProvider(res *resource.Resource, o Options, exporter sdkmetric.Exporter, limit int) (*sdkmetric.MeterProvider, *prometheus.Registry, error) {
	registry := prometheus.NewRegistry()
	scraped, err := promexporter.New(
		promexporter.WithRegisterer(registry),
		promexporter.WithoutScopeInfo(),
		// The alert rules select by it, whichever way the series came.
		promexporter.WithResourceAsConstantLabels(attribute.NewAllowKeysFilter(semconv.DeploymentEnvironmentNameKey)),
	)
	if err != nil {
		return nil, nil, err
	}
	options := []sdkmetric.Option{
		sdkmetric.WithResource(res),
		sdkmetric.WithCardinalityLimit(limit),
		sdkmetric.WithView(sdkmetric.NewView(sdkmetric.Instrument{Name: "http.server.*"}, sdkmetric.Stream{
			// They come from the Host header: a stranger could make a series for every request.
			AttributeFilter: attribute.NewDenyKeysFilter(semconv.ServerAddressKey, semconv.ServerPortKey),
			// An exemplar would carry the filtered attributes all the same.
			ExemplarReservoirProviderSelector: func(sdkmetric.Aggregation) exemplar.ReservoirProvider {
				return exemplar.FixedSizeReservoirProvider(0)
			},
		})),
		sdkmetric.WithReader(scraped),
	}
	for _, reader := range o.MetricReaders {
		options = append(options, sdkmetric.WithReader(reader))
	}
	if exporter != nil {
		options = append(options, sdkmetric.WithReader(sdkmetric.NewPeriodicReader(exporter,
			sdkmetric.WithInterval(milliseconds("OTEL_METRIC_EXPORT_INTERVAL", exportInterval)),
			sdkmetric.WithTimeout(milliseconds("OTEL_METRIC_EXPORT_TIMEOUT", exportTimeout)))))
	}
	return sdkmetric.NewMeterProvider(options...), registry, nil
}

func milliseconds(name string, otherwise time.Duration) time.Duration {
	return time.Duration(number(name, int(otherwise/time.Millisecond))) * time.Millisecond
}

func metricsHandler(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{
		EnableOpenMetrics: true,
		// One bad series must not hide the others.
		ErrorHandling: promhttp.ContinueOnError,
	})
}

// eventNames makes a record whose message is one of ours an event of that name.
type eventNames struct{}

func (eventNames) OnEmit(_ context.Context, r *sdklog.Record) error {
	if name := r.Body().AsString(); strings.HasPrefix(name, "wechatpay.") {
		r.SetEventName(name)
	}
	return nil
}

func (eventNames) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (eventNames) Shutdown(context.Context) error                         { return nil }
func (eventNames) ForceFlush(context.Context) error                       { return nil }

package otlp_test

import (
	"context"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/log"
	"go.opentelemetry.io/otel/metric"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"wxnotify/service/simulator/otlp"
)

func listen(t *testing.T) *otlp.Sink {
	t.Helper()
	s, err := otlp.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// TestCounts sends what OpenTelemetry's own exporters send.
func TestCounts(t *testing.T) {
	t.Parallel()
	s, ctx := listen(t), t.Context()

	spans, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpointURL(s.Endpoint()))
	if err != nil {
		t.Fatal(err)
	}
	traces := sdktrace.NewTracerProvider(sdktrace.WithBatcher(spans))
	for range 700 { // more than one request
		in, server := traces.Tracer("x").Start(ctx, "POST", trace.WithSpanKind(trace.SpanKindServer))
		_, inner := traces.Tracer("y").Start(in, "open")
		inner.End()
		server.End()
	}

	records, err := otlploggrpc.New(ctx, otlploggrpc.WithEndpointURL(s.Endpoint()))
	if err != nil {
		t.Fatal(err)
	}
	logs := sdklog.NewLoggerProvider(sdklog.WithProcessor(sdklog.NewBatchProcessor(records, sdklog.WithMaxQueueSize(1000))))
	for i := range 300 {
		var r log.Record
		r.SetTimestamp(time.Now())
		r.SetBody(attribute.StringValue("body"))
		if i%3 == 0 {
			r.SetEventName("handled")
		}
		logs.Logger("x").Emit(ctx, r)
	}

	series, err := otlpmetricgrpc.New(ctx, otlpmetricgrpc.WithEndpointURL(s.Endpoint()))
	if err != nil {
		t.Fatal(err)
	}
	metrics := sdkmetric.NewMeterProvider(sdkmetric.WithReader(sdkmetric.NewPeriodicReader(series, sdkmetric.WithInterval(time.Hour))))
	points(t, metrics.Meter("x"))

	for _, shutdown := range []func(context.Context) error{traces.Shutdown, logs.Shutdown, metrics.Shutdown} {
		if err := shutdown(ctx); err != nil {
			t.Error(err)
		}
	}
	got := s.Counts()
	if got.Spans != 1400 || got.ServerSpans != 700 || got.Records != 300 || got.Events["handled"] != 100 || got.Points != 4 {
		t.Errorf("%+v; want 1400 spans, 700 of servers, 300 records, 100 of them handled, 4 points", got)
	}
}

// points are one of a counter, two of a histogram, one of a gauge.
func points(t *testing.T, m metric.Meter) {
	t.Helper()
	counter, err := m.Int64Counter("c")
	if err != nil {
		t.Fatal(err)
	}
	counter.Add(t.Context(), 1)
	counter.Add(t.Context(), 1)
	histogram, err := m.Float64Histogram("h")
	if err != nil {
		t.Fatal(err)
	}
	histogram.Record(t.Context(), 1)
	histogram.Record(t.Context(), 1, metric.WithAttributes(attribute.String("of", "another")))
	gauge, err := m.Int64Gauge("g")
	if err != nil {
		t.Fatal(err)
	}
	gauge.Record(t.Context(), 1)
}

// TestRefuses: what is not OTLP is no success.
func TestRefuses(t *testing.T) {
	t.Parallel()
	s := listen(t)
	conn, err := grpc.NewClient(s.Endpoint()[len("http://"):], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	for _, c := range []struct {
		method, request string
		want            codes.Code
	}{
		{"/opentelemetry.proto.collector.trace.v1.TraceService/Export", "", codes.OK},
		{"/opentelemetry.proto.collector.trace.v1.TraceService/Export", "\x0a\x7f", codes.InvalidArgument},
		{"/opentelemetry.proto.collector.logs.v1.LogsService/Export", "\xff", codes.InvalidArgument},
		{"/opentelemetry.proto.collector.metrics.v1.MetricsService/Export", "\x0a\x02\x12\x05", codes.InvalidArgument},
		{"/other.Service/Export", "", codes.Unimplemented},
	} {
		var answer message
		request := message(c.request)
		err := conn.Invoke(t.Context(), c.method, &request, &answer, grpc.ForceCodec(plain{}))
		if status.Code(err) != c.want {
			t.Errorf("%s %q: %v, want %s", c.method, c.request, err, c.want)
		}
	}
	if got := s.Counts(); got.Spans+got.Records+got.Points != 0 {
		t.Errorf("%+v", got)
	}
}

type message string

// plain sends bytes as they are.
type plain struct{}

func (plain) Name() string                    { return "proto" }
func (plain) Marshal(v any) ([]byte, error)   { return []byte(*v.(*message)), nil }
func (plain) Unmarshal(b []byte, v any) error { *v.(*message) = message(b); return nil }

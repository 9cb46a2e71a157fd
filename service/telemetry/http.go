package telemetry

import (
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// HTTP watches requests: server span and http.server.* metrics. Every request
// starts a trace of its own. A traceparent or baggage that comes with it is
// ignored: WeChat Pay sends none, and a stranger's could switch sampling off or
// choose our trace ids.
func (t *Telemetry) HTTP(next http.Handler) http.Handler {
	return otelhttp.NewHandler(next, "request",
		otelhttp.WithTracerProvider(t.traces),
		otelhttp.WithMeterProvider(t.metrics),
		otelhttp.WithPropagators(propagation.NewCompositeTextMapPropagator()),
	)
}

// Route tells the span and the metrics which route a request took. It belongs
// first in echo's chain, after routing.
func (t *Telemetry) Route() echo.MiddlewareFunc {
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if route := template(c.Path()); route != "" {
				r := c.Request()
				// otelhttp names the span by it and puts it on its metrics,
				// but not on the span.
				r.Pattern = r.Method + " " + route
				trace.SpanFromContext(r.Context()).SetAttributes(semconv.HTTPRoute(route))
			}
			return next(c)
		}
	}
}

// template turns echo's "/a/:b" into "/a/{b}".
func template(path string) string {
	if !strings.Contains(path, "/:") {
		return path
	}
	parts := strings.Split(path, "/")
	for i, part := range parts {
		if name, ok := strings.CutPrefix(part, ":"); ok {
			parts[i] = "{" + name + "}"
		}
	}
	return strings.Join(parts, "/")
}

// tidy makes what a sender wrote into a server span's attributes (path, user
// agent, method) fit for OTLP, where one string that is not UTF-8 costs the
// whole batch.
type tidy struct{}

func (tidy) OnStart(_ context.Context, s sdktrace.ReadWriteSpan) {
	if s.SpanKind() != trace.SpanKindServer {
		return
	}
	for _, kv := range s.Attributes() {
		if kv.Value.Type() != attribute.STRING {
			continue
		}
		raw := kv.Value.AsString()
		if fit := clip(raw, 2*idLimit); fit != raw {
			s.SetAttributes(kv.Key.String(fit))
		}
	}
}

func (tidy) OnEnd(sdktrace.ReadOnlySpan)      {}
func (tidy) Shutdown(context.Context) error   { return nil }
func (tidy) ForceFlush(context.Context) error { return nil }

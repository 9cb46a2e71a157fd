package telemetry

import (
	"context"
	"os"
	"strconv"
	"strings"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// exports are the OTLP exporters that the environment asks for; nil where it
// does not, which is a normal way to run.
type exports struct {
	traces  sdktrace.SpanExporter
	metrics sdkmetric.Exporter
	logs    sdklog.Exporter
}

// exporters reads the standard environment. The exporters read the rest of it
// (endpoint, headers, TLS, compression, timeout) themselves. None of them
// waits for a connection.
//
// Source: https://opentelemetry.io/docs/specs/otel/protocol/exporter/
func exporters(ctx context.Context, n *notices) exports {
	return exports{
		traces: export[sdktrace.SpanExporter](ctx, n, "TRACES",
			func(ctx context.Context) (sdktrace.SpanExporter, error) { return otlptracehttp.New(ctx) },
			func(ctx context.Context) (sdktrace.SpanExporter, error) { return otlptracegrpc.New(ctx) }),
		metrics: export[sdkmetric.Exporter](ctx, n, "METRICS",
			func(ctx context.Context) (sdkmetric.Exporter, error) { return otlpmetrichttp.New(ctx) },
			func(ctx context.Context) (sdkmetric.Exporter, error) { return otlpmetricgrpc.New(ctx) }),
		logs: export[sdklog.Exporter](ctx, n, "LOGS",
			func(ctx context.Context) (sdklog.Exporter, error) { return otlploghttp.New(ctx) },
			func(ctx context.Context) (sdklog.Exporter, error) { return otlploggrpc.New(ctx) }),
	}
}

// export makes one signal's exporter. Whatever is wrong with the environment
// is a warning: telemetry never keeps the service from starting.
func export[E any](ctx context.Context, n *notices, signal string, http, grpc func(context.Context) (E, error)) (none E) {
	if !wanted(signal, n) {
		return none
	}
	connect := http
	switch protocol := either("OTEL_EXPORTER_OTLP_"+signal+"_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"); protocol {
	case "", "http/protobuf":
	case "grpc":
		connect = grpc
	default:
		n.warn("unknown OTLP protocol; using http/protobuf", "signal", signal, "protocol", protocol)
	}
	exporter, err := connect(ctx)
	if err != nil {
		n.warn("OTLP exporter not usable; this signal is not exported", "signal", signal, "cause", err.Error())
		return none
	}
	return exporter
}

// wanted reports whether a signal is to be exported over OTLP: when its
// OTEL_…_EXPORTER says so, or when that is unset and anything about OTLP is set.
func wanted(signal string, n *notices) bool {
	if disabled, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); disabled {
		return false
	}
	name := "OTEL_" + signal + "_EXPORTER"
	choice := os.Getenv(name)
	if choice == "" {
		return mentioned(signal)
	}
	otlp := false
	for one := range strings.SplitSeq(choice, ",") {
		switch one = strings.TrimSpace(one); one {
		case "otlp":
			otlp = true
		case "none", "prometheus": // /metrics is always served
		default:
			n.warn("unknown exporter ignored", "variable", name, "value", one)
		}
	}
	return otlp
}

// mentioned reports whether an OTEL_EXPORTER_OTLP_* variable concerns signal.
func mentioned(signal string) bool {
	for _, pair := range os.Environ() {
		name, value, _ := strings.Cut(pair, "=")
		rest, ours := strings.CutPrefix(name, "OTEL_EXPORTER_OTLP_")
		if !ours || value == "" {
			continue
		}
		owner, _, _ := strings.Cut(rest, "_")
		switch owner {
		case "TRACES", "METRICS", "LOGS":
			if owner == signal {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// either is the first of the variables that is set.
func either(names ...string) string {
	for _, name := range names {
		if value := os.Getenv(name); value != "" {
			return value
		}
	}
	return ""
}

// number reads a positive integer, or gives the default.
func number(name string, otherwise int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil && n > 0 {
		return n
	}
	return otherwise
}

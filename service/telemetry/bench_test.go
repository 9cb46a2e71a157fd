package telemetry_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// BenchmarkAccept is what telemetry costs one callback, by what is done with it:
// nothing but counted, told as JSON on stderr, or told and handed to OpenTelemetry
// as well, with spans. Bare is the same intake without any of it.
func BenchmarkAccept(b *testing.B) {
	of := world{opens(payment()), accepts(callback.Commit{})}
	server := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID{1}, SpanID: trace.SpanID{1}, TraceFlags: trace.FlagsSampled})
	measure := func(name string, accept telemetry.Accepter) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			ctx, env := trace.ContextWithSpanContext(b.Context(), server), envelopeV3()
			for b.Loop() {
				if _, err := accept.Accept(ctx, env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	measure("bare", &callback.Intake{Opener: of, Sealer: of, Recorder: of})
	for _, how := range []struct {
		name string
		telemetry.Options
	}{
		{"counted", telemetry.Options{Stderr: io.Discard, Level: slog.LevelError}},
		{"told", telemetry.Options{Stderr: io.Discard}},
		{"exported", telemetry.Options{Stderr: io.Discard, Spans: noSpans{}, LogProcessors: []sdklog.Processor{noRecords{}}}},
	} {
		how.Merchants = []string{"shop"}
		tel, err := telemetry.Start(b.Context(), how.Options)
		if err != nil {
			b.Fatal(err)
		}
		measure(how.name, (&watched{Telemetry: tel}).chain(of))
		_ = tel.Shutdown(b.Context())
	}
}

// noSpans and noRecords take everything and do nothing.
type (
	noSpans   struct{ sdktrace.SpanProcessor }
	noRecords struct{ sdklog.Processor }
)

func (noSpans) OnStart(context.Context, sdktrace.ReadWriteSpan) {}
func (noSpans) OnEnd(sdktrace.ReadOnlySpan)                     {}
func (noSpans) Shutdown(context.Context) error                  { return nil }
func (noSpans) ForceFlush(context.Context) error                { return nil }

func (noRecords) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (noRecords) OnEmit(context.Context, *sdklog.Record) error           { return nil }
func (noRecords) Shutdown(context.Context) error                         { return nil }
func (noRecords) ForceFlush(context.Context) error                       { return nil }

package telemetry_test

import (
	"context"
	"io"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// BenchmarkAccept is what telemetry costs one callback: spans, counters,
// histograms and a record as JSON, beside the same intake without any of it.
func BenchmarkAccept(b *testing.B) {
	of := world{opens(payment()), accepts(callback.Commit{})}
	bare := &callback.Intake{Opener: of, Sealer: of, Recorder: of}
	tel, err := telemetry.Start(context.Background(), telemetry.Options{Merchants: []string{"shop"}, Stderr: io.Discard})
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = tel.Shutdown(context.Background()) }()
	watched := (&watched{Telemetry: tel}).chain(of)
	for name, accept := range map[string]telemetry.Accepter{"bare": bare, "watched": watched} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			env := envelopeV3()
			for b.Loop() {
				if _, err := accept.Accept(b.Context(), env); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

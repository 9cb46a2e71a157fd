package telemetry_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// stuckWriter is a stderr whose reader has gone away.
type stuckWriter struct{ release chan struct{} }

func (s stuckWriter) Write(p []byte) (int, error) { <-s.release; return len(p), nil }

// TestStuckStderr: a reader that stalls stalls no callback; lines are dropped
// and counted, memory stays bounded, and Shutdown keeps its deadline.
func TestStuckStderr(t *testing.T) {
	t.Parallel()
	stuck := stuckWriter{make(chan struct{})}
	defer close(stuck.release)
	w := start(t, telemetry.Options{Stderr: stuck})
	accept := w.chain(world{opens(payment()), accepts(callback.Commit{})})
	const callbacks = 20_000
	for range callbacks { // would never end if anybody waited for the writer
		if _, err := accept.Accept(t.Context(), envelopeV3()); err != nil {
			t.Fatal(err)
		}
	}
	dropped, _ := value(w.collect(t)[telemetry.TelemetryDropped], "signal", "stderr")
	if dropped < 1 || dropped > callbacks {
		t.Errorf("dropped %v lines", dropped)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	began := time.Now()
	if err := w.Shutdown(ctx); err == nil {
		t.Error("Shutdown says that all is out")
	}
	if took := time.Since(began); took > 30*time.Second { // it was given 100 ms
		t.Errorf("Shutdown took %v", took)
	}
}

// TestLifecycleLines reach both outputs, with the level asked for.
func TestLifecycleLines(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{Level: slog.LevelWarn})
	log := w.Logger()
	log.InfoContext(t.Context(), "not this one")
	log.With("a", 1).WithGroup("g").WarnContext(t.Context(), "this one", "b", 2)
	lines := w.lines(t)
	if len(lines) != 1 || lines[0]["msg"] != "this one" || lines[0]["a"] != 1.0 {
		t.Errorf("lines %v", lines)
	}
	records := w.logs.all()
	if len(records) != 1 || records[0].Body().AsString() != "this one" || records[0].EventName() != "" {
		t.Errorf("records %v", records)
	}
	if _, err := w.chain(world{opens(payment()), accepts(callback.Commit{})}).Accept(t.Context(), envelopeV3()); err != nil {
		t.Fatal(err)
	}
	if n := len(w.lines(t)); n != 1 {
		t.Errorf("an accepted callback is written at level warn: %d lines", n)
	}
}

// TestNoOutputs: nothing configured is a normal way to run.
func TestNoOutputs(t *testing.T) {
	t.Parallel()
	tel, err := telemetry.Start(t.Context(), telemetry.Options{})
	if err != nil {
		t.Fatal(err)
	}
	tel.Logger().InfoContext(t.Context(), "into the void")
	accept := tel.Accept(acceptFunc(func(context.Context, callback.Envelope) (callback.Receipt, error) {
		return callback.Committed(callback.Commit{}), nil
	}))
	if _, err := accept.Accept(t.Context(), envelopeV3()); err != nil {
		t.Error(err)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := tel.Shutdown(t.Context()); err != nil {
		t.Error("a second Shutdown:", err)
	}
	if _, err := accept.Accept(t.Context(), envelopeV3()); err != nil {
		t.Error("after Shutdown:", err)
	}
}

// TestFaultsAreTold: the SDK's errors reach stderr, a few at once and then at
// a slow rate. Not parallel: OpenTelemetry's error handler is global.
//
//nolint:paralleltest // see above
func TestFaultsAreTold(t *testing.T) {
	w := start(t, telemetry.Options{})
	for range 1000 {
		otel.Handle(errPlain)
	}
	otel.Handle(nil)
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(w.stderr.Bytes(), []byte("telemetry fault")); n != 3 {
		t.Errorf("%d lines about 1000 faults", n)
	}
	if n := len(w.logs.all()); n != 0 {
		t.Errorf("%d faults went into the exporters that had them", n)
	}
	if !strings.Contains(string(w.stderr.Bytes()), `"cause":"plain"`) {
		t.Errorf("stderr: %s", w.stderr.Bytes())
	}
}

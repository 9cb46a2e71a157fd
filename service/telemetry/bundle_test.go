package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

var update = flag.Bool("update", false, "rewrite golden files")

// TestMain keeps the machine's own OTEL_* variables out of the tests.
func TestMain(m *testing.M) {
	flag.Parse()
	for _, pair := range os.Environ() {
		if name, _, _ := strings.Cut(pair, "="); strings.HasPrefix(name, "OTEL_") {
			if err := os.Unsetenv(name); err != nil {
				panic(err)
			}
		}
	}
	os.Exit(m.Run())
}

// watched is a Telemetry with everything it says kept in memory.
type watched struct {
	*telemetry.Telemetry
	spans   *tracetest.SpanRecorder
	metrics *sdkmetric.ManualReader
	logs    *recordKeeper
	stderr  *buffer
}

func start(t testing.TB, o telemetry.Options) *watched {
	t.Helper()
	w := &watched{
		spans: tracetest.NewSpanRecorder(), metrics: sdkmetric.NewManualReader(),
		logs: &recordKeeper{}, stderr: &buffer{},
	}
	if o.Merchants == nil {
		o.Merchants = []string{"shop", "cafe"}
	}
	if o.Stderr == nil {
		o.Stderr = w.stderr
	}
	o.Version = "1.2.3"
	o.Spans, o.MetricReaders, o.LogProcessors = w.spans, []sdkmetric.Reader{w.metrics}, []sdklog.Processor{w.logs}
	var err error
	if w.Telemetry, err = telemetry.Start(context.Background(), o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = w.Shutdown(ctx)
	})
	return w
}

// lines flushes and parses the JSON lines on stderr.
func (w *watched) lines(t testing.TB) []map[string]any {
	t.Helper()
	if err := w.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	var all []map[string]any
	for line := range bytes.Lines(w.stderr.Bytes()) {
		m := map[string]any{}
		if err := json.Unmarshal(line, &m); err != nil {
			t.Fatalf("stderr holds %q: %v", line, err)
		}
		all = append(all, m)
	}
	return all
}

// handled are the canonical records on stderr.
func (w *watched) handled(t testing.TB) []map[string]any {
	t.Helper()
	var records []map[string]any
	for _, m := range w.lines(t) {
		if m["msg"] == telemetry.EventHandled {
			records = append(records, m)
		}
	}
	return records
}

// point is one series as collected.
type point struct {
	attrs attribute.Set
	value float64 // of a histogram: the count
}

func (p point) label(key string) string {
	v, _ := p.attrs.Value(attribute.Key(key))
	return v.AsString()
}

// collect reads every series of every instrument.
func (w *watched) collect(t testing.TB) map[string][]point {
	t.Helper()
	var rm metricdata.ResourceMetrics
	if err := w.metrics.Collect(context.Background(), &rm); err != nil {
		t.Fatal(err)
	}
	all := map[string][]point{}
	for _, scope := range rm.ScopeMetrics {
		for _, m := range scope.Metrics {
			all[m.Name] = points(m.Data)
		}
	}
	return all
}

func points(data metricdata.Aggregation) (ps []point) {
	switch d := data.(type) {
	case metricdata.Sum[int64]:
		for _, p := range d.DataPoints {
			ps = append(ps, point{p.Attributes, float64(p.Value)})
		}
	case metricdata.Gauge[int64]:
		for _, p := range d.DataPoints {
			ps = append(ps, point{p.Attributes, float64(p.Value)})
		}
	case metricdata.Gauge[float64]:
		for _, p := range d.DataPoints {
			ps = append(ps, point{p.Attributes, p.Value})
		}
	case metricdata.Histogram[int64]:
		for _, p := range d.DataPoints {
			ps = append(ps, point{p.Attributes, float64(p.Count)})
		}
	case metricdata.Histogram[float64]:
		for _, p := range d.DataPoints {
			ps = append(ps, point{p.Attributes, float64(p.Count)})
		}
	}
	return ps
}

// value is the sum of the series that have all these labels; ok is false when
// there is none.
func value(ps []point, labels ...string) (sum float64, ok bool) {
next:
	for _, p := range ps {
		for i := 0; i < len(labels); i += 2 {
			if p.label(labels[i]) != labels[i+1] {
				continue next
			}
		}
		sum, ok = sum+p.value, true
	}
	return sum, ok
}

// world is the rest of the service, as far as telemetry sees it.
type world struct {
	open   func(context.Context, callback.Envelope) (callback.Notification, error)
	record func(context.Context, callback.Entry) (callback.Receipt, error)
}

func (w world) Open(ctx context.Context, e callback.Envelope) (callback.Notification, error) {
	return w.open(ctx, e)
}

func (w world) Record(ctx context.Context, e callback.Entry) (callback.Receipt, error) {
	return w.record(ctx, e)
}

// Seal knows one envelope that WeChat Pay encrypted. All else it does not keep.
func (world) Seal(e callback.Envelope) callback.Sealed {
	if string(e.Body) == envelopeBody {
		return callback.Sealed{Form: callback.SealWeChat, Bytes: e.Body}
	}
	return callback.Sealed{}
}

// chain is the intake as the service wires it.
func (w *watched) chain(of world) telemetry.Accepter {
	return w.Accept(&callback.Intake{Opener: w.Opener(of), Sealer: of, Recorder: w.Recorder(of)})
}

// opens and refuses are openers; accepts is a recorder.
func opens(n callback.Notification) func(context.Context, callback.Envelope) (callback.Notification, error) {
	return func(context.Context, callback.Envelope) (callback.Notification, error) { return n, nil }
}

func refuses(r *callback.Refusal) func(context.Context, callback.Envelope) (callback.Notification, error) {
	return func(context.Context, callback.Envelope) (callback.Notification, error) {
		copied := *r
		return callback.Notification{}, &copied
	}
}

func accepts(c callback.Commit) func(context.Context, callback.Entry) (callback.Receipt, error) {
	return func(_ context.Context, e callback.Entry) (callback.Receipt, error) {
		if e.Refusal != nil {
			e.Refusal.Trail = c.Trail
			return callback.Receipt{}, e.Refusal
		}
		return callback.Committed(c), nil
	}
}

var errPlain = errors.New("plain")

// buffer is a writer that tests may read meanwhile.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) Bytes() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	return bytes.Clone(b.b.Bytes())
}

// recordKeeper keeps the records that go to OpenTelemetry.
type recordKeeper struct {
	mu   sync.Mutex
	kept []sdklog.Record
}

func (k *recordKeeper) OnEmit(_ context.Context, r *sdklog.Record) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, r.Clone())
	return nil
}

func (k *recordKeeper) all() []sdklog.Record {
	k.mu.Lock()
	defer k.mu.Unlock()
	return append([]sdklog.Record(nil), k.kept...)
}

func (*recordKeeper) Enabled(context.Context, sdklog.EnabledParameters) bool { return true }
func (*recordKeeper) Shutdown(context.Context) error                         { return nil }
func (*recordKeeper) ForceFlush(context.Context) error                       { return nil }

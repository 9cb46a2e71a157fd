package telemetry_test

import (
	"bytes"
	"context"
	"net"
	"net/http/httptest"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// The tests in this file are not parallel: OTLP is configured by the
// environment of the process, and OpenTelemetry's error handler is global.

// TestExport: all three signals arrive; the zeros before Start returns, and a
// failure at once, although the next regular export is an hour away.
func TestExport(t *testing.T) {
	for name, endpoint := range map[string]func(*testing.T, *sink) string{
		"http/protobuf": func(t *testing.T, s *sink) string { t.Helper(); return s.serve(t).URL },
		"grpc":          func(t *testing.T, s *sink) string { t.Helper(); return s.serveGRPC(t) },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSink()
			t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint(t, s))
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", name)
			t.Setenv("OTEL_METRIC_EXPORT_INTERVAL", "3600000")
			w := start(t, telemetry.Options{})

			s.mu.Lock()
			zero, ok := s.series["store_unavailable"]
			s.mu.Unlock()
			if !ok || zero != 0 {
				t.Errorf("before the first callback the collector has %v (exists: %v), want a zero", zero, ok)
			}

			h := w.HTTP(httpAccept{w.chain(failing(callback.ReasonStoreUnavailable, callback.Proven)), envelopeV3()})
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
			s.until(t, "the failure", func() bool { return s.series["store_unavailable"] == 1 })

			if err := w.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			s.mu.Lock()
			defer s.mu.Unlock()
			for _, span := range []string{"open", "record", "POST"} {
				if !slices.Contains(s.spans, span) {
					t.Errorf("span %s is missing: %v", span, s.spans)
				}
			}
			if !slices.Contains(s.records, telemetry.EventHandled) {
				t.Errorf("the record is missing: %v", s.records)
			}
		})
	}
}

// TestWhichSignals: the environment decides, signal by signal.
func TestWhichSignals(t *testing.T) {
	for _, c := range []struct {
		name string
		env  map[string]string // %s: the sink
		want string
		warn string
	}{
		{"nothing set", nil, "", ""},
		{"endpoint", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s"}, "logs metrics traces", ""},
		{"one signal's endpoint", map[string]string{"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "%s/v1/logs"}, "logs", ""},
		{"switched off", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "prometheus"}, "traces", ""},
		{"disabled", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_SDK_DISABLED": "true"}, "", ""},
		{"unknown exporter", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_TRACES_EXPORTER": "zipkin, otlp", "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}, "traces", "unknown exporter"},
		{"unknown protocol", map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": "%s", "OTEL_EXPORTER_OTLP_PROTOCOL": "smoke"}, "logs metrics traces", "unknown OTLP protocol"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSink()
			url := s.serve(t).URL
			for name, v := range c.env {
				t.Setenv(name, strings.ReplaceAll(v, "%s", url))
			}
			w := start(t, telemetry.Options{})
			h := w.HTTP(httpAccept{w.chain(world{opens(payment()), accepts(callback.Commit{})}), envelopeV3()})
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
			if err := w.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
			var got []string
			for path := range s.paths {
				got = append(got, path)
			}
			slices.Sort(got)
			if strings.Join(got, " ") != c.want {
				t.Errorf("exported %v, want %s", got, c.want)
			}
			if out := string(w.stderr.Bytes()); c.warn != "" && !strings.Contains(out, c.warn) || c.warn == "" && strings.Contains(out, `"WARN"`) {
				t.Errorf("stderr: %s", out)
			}
		})
	}
}

// silent is a collector that takes connections and never answers.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Cleanup(func() { _ = c.Close() })
		}
	}()
	return "http://" + l.Addr().String()
}

// refused is an address that nobody listens on.
func refused(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	return "http://" + l.Addr().String()
}

// TestBrokenCollector is promise P5: whatever is wrong with the collector,
// callbacks get the same answers in the same latency class, memory and
// goroutines stay bounded, and Shutdown keeps its deadline.
func TestBrokenCollector(t *testing.T) {
	with := func(endpoint string) map[string]string {
		return map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint}
	}
	https := func(url string) string { return strings.Replace(url, "http:", "https:", 1) }
	for _, c := range []struct {
		name, protocol string
		env            func(*testing.T) map[string]string
	}{
		{"refused", "http/protobuf", func(t *testing.T) map[string]string { t.Helper(); return with(refused(t)) }},
		{"refused", "grpc", func(t *testing.T) map[string]string { t.Helper(); return with(refused(t)) }},
		{"silent", "http/protobuf", func(t *testing.T) map[string]string { t.Helper(); return with(silent(t)) }},
		{"silent", "grpc", func(t *testing.T) map[string]string { t.Helper(); return with(silent(t)) }},
		{"no TLS behind https", "http/protobuf", func(t *testing.T) map[string]string {
			t.Helper()
			return with(https(newSink().serve(t).URL))
		}},
		{"certificate missing", "grpc", func(t *testing.T) map[string]string {
			t.Helper()
			env := with(https(refused(t)))
			env["OTEL_EXPORTER_OTLP_CERTIFICATE"] = filepath.Join(t.TempDir(), "none.pem")
			return env
		}},
		{"no URL", "http/protobuf", func(*testing.T) map[string]string {
			env := with("://\x7f")
			env["OTEL_EXPORTER_OTLP_HEADERS"], env["OTEL_EXPORTER_OTLP_TIMEOUT"] = "=,=,authorization=%zzSECRET", "soon"
			return env
		}},
	} {
		t.Run(c.protocol+"/"+c.name, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", c.protocol)
			for name, v := range c.env(t) {
				t.Setenv(name, v)
			}
			underFire(t, func() {})
		})
	}
}

// TestCollectorStopsMidway: what was counted meanwhile arrives when another
// one comes up in its place.
func TestCollectorStopsMidway(t *testing.T) {
	s := newSink()
	first := s.serve(t)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", first.URL)
	underFire(t, first.Close)
}

// underFire sends callbacks through w, with something happening halfway, and
// checks what P5 promises.
func underFire(t *testing.T, midway func()) {
	t.Helper()
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	goroutines := runtime.NumGoroutine()

	began := time.Now()
	complaints := &buffer{}
	tel, err := telemetry.Start(t.Context(), telemetry.Options{Merchants: []string{"shop"}, Stderr: onlyWarnings{complaints}})
	if err != nil {
		t.Fatal("a collector kept the service from starting:", err)
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Start took %v", took)
	}
	w := &watched{Telemetry: tel}
	good := w.HTTP(httpAccept{w.chain(world{opens(payment()), accepts(callback.Commit{})}), envelopeV3()})
	bad := w.HTTP(httpAccept{w.chain(failing(callback.ReasonStoreUnavailable, callback.Proven)), envelopeV3()})

	const callbacks = 4000 // three spans and a record each: more than the queues hold
	took := make([]time.Duration, 0, callbacks)
	for i := range callbacks {
		if i == callbacks/2 {
			midway()
		}
		h, want := good, 200
		if i%10 == 0 {
			h, want = bad, 503
		}
		answer := httptest.NewRecorder()
		one := time.Now()
		h.ServeHTTP(answer, httptest.NewRequest("POST", "/", nil))
		took = append(took, time.Since(one))
		if answer.Code != want {
			t.Fatalf("callback %d answered %d, want %d", i, answer.Code, want)
		}
	}
	slices.Sort(took)
	if p99 := took[callbacks*99/100]; p99 > 100*time.Millisecond {
		t.Errorf("p99 %v", p99)
	}
	if n := runtime.NumGoroutine() - goroutines; n > 60 {
		t.Errorf("%d more goroutines", n)
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 96<<20 {
		t.Errorf("the heap grew by %d MiB", grown>>20)
	}
	page := scrape(t, w, "")
	if !strings.Contains(page, `outcome="accepted"} 3600`) || !strings.Contains(page, `error_type="store_unavailable",merchant="shop",outcome="failed"} 400`) {
		t.Error("/metrics does not count 3600 accepted and 400 failed")
	}

	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	began = time.Now()
	_ = tel.Shutdown(ctx) // it reports what did not get out; here, that it ends is what counts
	if took := time.Since(began); took > time.Second {
		t.Errorf("Shutdown with a deadline of 0.5 s took %v", took)
	}
	settled(t)
	if told := string(complaints.Bytes()); !strings.Contains(told, "telemetry fault") || strings.Contains(told, "SECRET") {
		t.Errorf("the operator is told %q", told)
	}
}

// TestTokensAreNotTold: a collector's token that cannot be read is a warning
// without the token, whichever way the SDK complains.
func TestTokensAreNotTold(t *testing.T) {
	for _, signal := range []string{"TRACES", "METRICS", "LOGS"} {
		t.Run(signal, func(t *testing.T) {
			t.Setenv("OTEL_EXPORTER_OTLP_"+signal+"_ENDPOINT", newSink().serve(t).URL)
			t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-scope=%zzSECRET")
			for _, other := range []string{"TRACES", "METRICS", "LOGS"} {
				if other != signal {
					t.Setenv("OTEL_"+other+"_EXPORTER", "none")
				}
			}
			w := start(t, telemetry.Options{})
			if err := w.Flush(t.Context()); err != nil {
				t.Fatal(err)
			}
			told := string(w.stderr.Bytes())
			if !strings.Contains(told, "header") && !strings.Contains(told, "HEADERS") || strings.Contains(told, "SECRET") {
				t.Errorf("stderr: %s", told)
			}
		})
	}
}

// TestLossesAreCounted: what a full queue and a failed export lose is a number.
func TestLossesAreCounted(t *testing.T) {
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", silent(t))
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "100")
	t.Setenv("OTEL_BLRP_MAX_QUEUE_SIZE", "10")
	w := start(t, telemetry.Options{})
	h := w.HTTP(httpAccept{w.chain(world{opens(payment()), accepts(callback.Commit{})}), envelopeV3()})
	for range 500 { // three spans and one record each
		post(h, "/wechatpay/shop")
	}
	got := w.collect(t)[telemetry.TelemetryDropped]
	if n, _ := value(got, "signal", "traces"); n != 1400 {
		t.Errorf("%v spans dropped, want 1400", n)
	}
	if n, _ := value(got, "signal", "logs"); n != 490 {
		t.Errorf("%v records dropped, want 490", n)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_ = w.Shutdown(ctx)
	settled(t)
}

// TestShutdownLeavesNothingBehind: no goroutine survives.
func TestShutdownLeavesNothingBehind(t *testing.T) {
	s := newSink()
	server := httptest.NewServer(s)
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	before := goleak.IgnoreCurrent()
	w := start(t, telemetry.Options{})
	w.Watch(context.Background(), ledger{
		func(context.Context) (callback.Snapshot, error) { return aSnapshot(), nil },
		func() callback.Local { return callback.Local{} },
	}, keyring(noKeys))
	if err := w.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	server.CloseClientConnections()
	server.Close()
	goleak.VerifyNone(t, before)
}

// settled waits until no goroutine of the SDK is left: those that Shutdown's
// deadline cut off end soon after it, too.
func settled(t *testing.T) {
	t.Helper()
	stacks := make([]byte, 4<<20)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
		now := stacks[:runtime.Stack(stacks, true)]
		if !bytes.Contains(now, []byte("go.opentelemetry.io/otel/")) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("goroutines survive Shutdown:\n%s", now)
		}
	}
}

// onlyWarnings keeps the lines that are no records.
type onlyWarnings struct{ *buffer }

func (w onlyWarnings) Write(p []byte) (int, error) {
	for line := range bytes.Lines(p) {
		if !bytes.Contains(line, []byte(telemetry.EventHandled)) {
			_, _ = w.buffer.Write(line)
		}
	}
	return len(p), nil
}

//go:build stack

package otelcollector_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	spanpb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	_ "google.golang.org/grpc/encoding/gzip" // the collector compresses
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
)

// patience is how long a test waits for something that takes moments. It is
// longer than the collector's longest pause between two attempts.
const patience = 60 * time.Second

// sink stands for Prometheus, Loki and Jaeger: it remembers what it is sent,
// and refuses when told to.
type sink struct {
	tracepb.UnimplementedTraceServiceServer
	web  *httptest.Server
	grpc string

	mu      sync.Mutex
	refused map[string]int // by signal: the HTTP status
	got     map[string][]proto.Message
	news    chan struct{} // closed and renewed on every arrival
}

func newSink(t *testing.T) *sink {
	t.Helper()
	s := &sink{refused: map[string]int{}, got: map[string][]proto.Message{}, news: make(chan struct{})}
	s.web = httptest.NewServer(s)
	t.Cleanup(s.web.Close)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	tracepb.RegisterTraceServiceServer(server, s)
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(listener) }()
	t.Cleanup(func() { server.Stop(); <-done })
	s.grpc = listener.Addr().String()
	return s
}

// ServeHTTP takes metrics and records.
func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var m proto.Message
	var signal string
	switch {
	case strings.HasSuffix(r.URL.Path, "/v1/metrics"):
		signal, m = "metrics", &metricspb.ExportMetricsServiceRequest{}
	case strings.HasSuffix(r.URL.Path, "/v1/logs"):
		signal, m = "logs", &logspb.ExportLogsServiceRequest{}
	default:
		http.NotFound(w, r)
		return
	}
	body := io.Reader(r.Body)
	if r.Header.Get("Content-Encoding") == "gzip" {
		unzipped, err := gzip.NewReader(body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		body = unzipped
	}
	raw, err := io.ReadAll(body)
	if err == nil {
		err = proto.Unmarshal(raw, m)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if status := s.take(signal, m); status != 0 {
		http.Error(w, "not this", status)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

// Export takes spans.
func (s *sink) Export(_ context.Context, m *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	if s.take("traces", m) != 0 {
		return nil, status.Error(codes.Unavailable, "not now")
	}
	return &tracepb.ExportTraceServiceResponse{}, nil
}

// take remembers m, or says with which status it is refused.
func (s *sink) take(signal string, m proto.Message) (refused int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if refused = s.refused[signal]; refused == 0 {
		s.got[signal] = append(s.got[signal], m)
	}
	close(s.news)
	s.news = make(chan struct{})
	return refused
}

// refuse answers with status: 503 asks to try again, 400 not to. Spans are
// always refused for now.
func (s *sink) refuse(status int, signals ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, signal := range signals {
		s.refused[signal] = status
	}
}

// accept ends every refusal.
func (s *sink) accept() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.refused)
}

// until waits for seen to be true of what has arrived.
func (s *sink) until(t *testing.T, what string, seen func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for {
		s.mu.Lock()
		news := s.news
		s.mu.Unlock()
		if seen() {
			return
		}
		select {
		case <-news:
		case <-deadline.C:
			t.Fatalf("never seen: %s", what)
		}
	}
}

// all is every message of the signals, or of all signals, as text: wherever in
// it something hides, it can be found.
func (s *sink) all(signals ...string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var text bytes.Buffer
	for signal, messages := range s.got {
		for _, m := range messages {
			if len(signals) == 0 || signal == signals[0] {
				text.WriteString(prototext.MarshalOptions{Multiline: true}.Format(m))
			}
		}
	}
	return text.String()
}

func (s *sink) spans() []*spanpb.Span {
	s.mu.Lock()
	defer s.mu.Unlock()
	var spans []*spanpb.Span
	for _, m := range s.got["traces"] {
		for _, r := range m.(*tracepb.ExportTraceServiceRequest).GetResourceSpans() {
			for _, scope := range r.GetScopeSpans() {
				spans = append(spans, scope.GetSpans()...)
			}
		}
	}
	return spans
}

// attributes are every attribute list of a signal: of items and resources.
func (s *sink) attributes(signal string) [][]*commonpb.KeyValue {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found [][]*commonpb.KeyValue
	resource := func(r *resourcepb.Resource) { found = append(found, r.GetAttributes()) }
	for _, m := range s.got[signal] {
		switch m := m.(type) {
		case *tracepb.ExportTraceServiceRequest:
			for _, r := range m.GetResourceSpans() {
				resource(r.GetResource())
				for _, scope := range r.GetScopeSpans() {
					for _, span := range scope.GetSpans() {
						found = append(found, span.GetAttributes())
					}
				}
			}
		case *logspb.ExportLogsServiceRequest:
			for _, r := range m.GetResourceLogs() {
				resource(r.GetResource())
				for _, scope := range r.GetScopeLogs() {
					for _, record := range scope.GetLogRecords() {
						found = append(found, record.GetAttributes())
					}
				}
			}
		case *metricspb.ExportMetricsServiceRequest:
			for _, r := range m.GetResourceMetrics() {
				resource(r.GetResource())
				for _, scope := range r.GetScopeMetrics() {
					for _, metric := range scope.GetMetrics() {
						found = append(found, labels(metric)...)
					}
				}
			}
		}
	}
	return found
}

package telemetry_test

import (
	"compress/gzip"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	logspb "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
)

// sink is a collector that remembers what it was sent.
type sink struct {
	tracepb.UnimplementedTraceServiceServer

	mu      sync.Mutex
	spans   []string           // names
	records []string           // event names
	series  map[string]float64 // processed counter, by error.type
	news    chan struct{}      // closed and renewed on every arrival
	paths   map[string]int
}

func newSink() *sink {
	return &sink{series: map[string]float64{}, news: make(chan struct{}), paths: map[string]int{}}
}

// serve takes OTLP over HTTP.
func (s *sink) serve(t *testing.T) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return server
}

func (s *sink) ServeHTTP(w http.ResponseWriter, r *http.Request) {
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
		switch r.URL.Path {
		case "/v1/traces":
			m := &tracepb.ExportTraceServiceRequest{}
			err = proto.Unmarshal(raw, m)
			s.takeSpans(m)
		case "/v1/metrics":
			m := &metricspb.ExportMetricsServiceRequest{}
			err = proto.Unmarshal(raw, m)
			s.takeMetrics(m)
		case "/v1/logs":
			m := &logspb.ExportLogsServiceRequest{}
			err = proto.Unmarshal(raw, m)
			s.takeRecords(m)
		}
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func (s *sink) took(path string) {
	s.paths[path]++
	close(s.news)
	s.news = make(chan struct{})
}

func (s *sink) takeSpans(m *tracepb.ExportTraceServiceRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range m.GetResourceSpans() {
		for _, scope := range r.GetScopeSpans() {
			for _, span := range scope.GetSpans() {
				s.spans = append(s.spans, span.GetName())
			}
		}
	}
	s.took("traces")
}

func (s *sink) takeRecords(m *logspb.ExportLogsServiceRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range m.GetResourceLogs() {
		for _, scope := range r.GetScopeLogs() {
			for _, record := range scope.GetLogRecords() {
				s.records = append(s.records, record.GetEventName())
			}
		}
	}
	s.took("logs")
}

func (s *sink) takeMetrics(m *metricspb.ExportMetricsServiceRequest) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range m.GetResourceMetrics() {
		for _, scope := range r.GetScopeMetrics() {
			for _, metric := range scope.GetMetrics() {
				if metric.GetName() != "wechatpay.callback.processed" {
					continue
				}
				clear(s.series)
				for _, p := range metric.GetSum().GetDataPoints() {
					for _, kv := range p.GetAttributes() {
						if kv.GetKey() == "error.type" {
							s.series[kv.GetValue().GetStringValue()] += float64(p.GetAsInt())
						}
					}
				}
			}
		}
	}
	s.took("metrics")
}

// Export takes spans over gRPC.
func (s *sink) Export(_ context.Context, m *tracepb.ExportTraceServiceRequest) (*tracepb.ExportTraceServiceResponse, error) {
	s.takeSpans(m)
	return &tracepb.ExportTraceServiceResponse{}, nil
}

type metricSink struct {
	metricspb.UnimplementedMetricsServiceServer
	*sink
}

func (s metricSink) Export(_ context.Context, m *metricspb.ExportMetricsServiceRequest) (*metricspb.ExportMetricsServiceResponse, error) {
	s.takeMetrics(m)
	return &metricspb.ExportMetricsServiceResponse{}, nil
}

type logSink struct {
	logspb.UnimplementedLogsServiceServer
	*sink
}

func (s logSink) Export(_ context.Context, m *logspb.ExportLogsServiceRequest) (*logspb.ExportLogsServiceResponse, error) {
	s.takeRecords(m)
	return &logspb.ExportLogsServiceResponse{}, nil
}

// serveGRPC takes OTLP over gRPC and returns the endpoint.
func (s *sink) serveGRPC(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	tracepb.RegisterTraceServiceServer(server, s)
	metricspb.RegisterMetricsServiceServer(server, metricSink{sink: s})
	logspb.RegisterLogsServiceServer(server, logSink{sink: s})
	go func() { _ = server.Serve(l) }()
	t.Cleanup(server.Stop)
	return "http://" + l.Addr().String()
}

// until waits for an arrival after which ok holds.
func (s *sink) until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	late := time.After(20 * time.Second)
	for {
		s.mu.Lock()
		done, news := ok(), s.news
		s.mu.Unlock()
		if done {
			return
		}
		select {
		case <-news:
		case <-late:
			t.Fatal("never arrived:", what)
		}
	}
}

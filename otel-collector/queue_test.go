//go:build stack

package otelcollector_test

import (
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/telemetry"
)

// one sends one item of each signal, all called name.
func (c *collector) one(t *testing.T, name string) {
	t.Helper()
	c.send(t, "metrics", metrics(t, resource, counter(t, telemetry.CallbackProcessed, facts{telemetry.LabelMerchant: name}, nil)))
	c.send(t, "logs", records(t, resource, record(t, telemetry.EventHandled, facts{telemetry.FieldMerchant: name})))
	c.send(t, "traces", traces(t, resource, span(t, telemetry.SpanOpen, time.Millisecond, facts{telemetry.FieldMerchant: name})))
}

func (s *sink) has(signal, name string) bool { return strings.Contains(s.all(signal), `"`+name+`"`) }

// TestStackQueuesSurvive: every store refuses, the collector is killed, another
// one starts in its place, the stores are back: everything that had been taken
// from the service arrives, and with it what comes after.
func TestStackQueuesSurvive(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	queues := t.TempDir()
	s.refuse(http.StatusServiceUnavailable, signals...)
	first := startCollector(t, s.stores(), queues)
	first.one(t, "waited")
	first.end(t, syscall.SIGKILL)

	second := startCollector(t, s.stores(), queues)
	second.one(t, "followed")
	second.end(t, syscall.SIGTERM)
	if all := s.all(); all != "" {
		t.Fatalf("something was taken while everything was refused:\n%s", all)
	}

	s.accept()
	startCollector(t, s.stores(), queues)
	for _, signal := range signals {
		for _, name := range []string{"waited", "followed"} {
			s.until(t, signal+" that "+name, func() bool { return s.has(signal, name) })
		}
	}
}

// TestStackOneStoreDown: a store that is down holds up nobody else, least of all
// the metrics that page.
func TestStackOneStoreDown(t *testing.T) {
	t.Parallel()
	for _, down := range signals {
		t.Run(down, func(t *testing.T) {
			t.Parallel()
			s := newSink(t)
			s.refuse(http.StatusServiceUnavailable, down)
			c := startCollector(t, s.stores(), t.TempDir())
			began := time.Now()
			c.one(t, "shop")
			for _, signal := range signals {
				if signal != down {
					s.until(t, signal, func() bool { return s.has(signal, "shop") })
				}
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("the others took %v", took)
			}
			s.accept()
			s.until(t, down, func() bool { return s.has(down, "shop") })
			t.Logf("%s is back after %v", down, time.Since(began).Round(time.Millisecond))
		})
	}
}

// TestStackOwnMetrics: the series that alert rules and the dashboard use, in the
// two ways to lose something. A full queue refuses, so that the service knows.
func TestStackOwnMetrics(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	s.refuse(http.StatusServiceUnavailable, "metrics")
	s.refuse(http.StatusBadRequest, "logs")
	c := startCollector(t, s.stores(), t.TempDir(), "yaml:exporters::otlp_http/prometheus::sending_queue::queue_size: 2")
	c.one(t, "shop")

	full := false
	for range 20 {
		full = full || c.offer(t, "metrics", metrics(t, resource, counter(t, telemetry.CallbackProcessed, nil, nil))) == http.StatusServiceUnavailable
	}
	if !full {
		t.Error("a full queue refuses nothing")
	}
	want := []string{
		`otelcol_exporter_queue_size{data_type="metrics",exporter="otlp_http/prometheus"} 2`,
		`otelcol_exporter_queue_capacity{data_type="metrics",exporter="otlp_http/prometheus"} 2`,
		`otelcol_exporter_enqueue_failed_metric_points{exporter="otlp_http/prometheus"`,
		`otelcol_exporter_send_failed_log_records{`,
		`otelcol_exporter_sent_spans{`,
		`otelcol_receiver_accepted_metric_points{receiver="otlp",transport="http"} 2`,
		`otelcol_receiver_refused_metric_points{`,
		`otelcol_process_memory_rss `,
	}
	for _, series := range want {
		s.until(t, series, func() bool { return strings.Contains(body(t, c.telemetry), series) })
	}
}

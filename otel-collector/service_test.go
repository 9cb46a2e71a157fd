//go:build stack

package otelcollector_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxnotify/service/telemetry"
)

// TestStackRealService runs the service's demo, which shows every kind of
// callback, against the collector: the second lock finds nothing to do, because
// the first one holds, and nothing that the service tells is lost on the way.
func TestStackRealService(t *testing.T) {
	t.Parallel()
	binary := filepath.Join(t.TempDir(), "wxnotify")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "../service").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	s := newSink(t)
	c := startCollector(t, s.stores(), t.TempDir())
	demo := exec.CommandContext(t.Context(), binary, "demo", "--for", "6s")
	demo.Env = append(os.Environ(),
		"OTEL_EXPORTER_OTLP_ENDPOINT="+c.otlp, "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="+s.web.URL+"/v1/metrics", // before the lock
		"OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=demo,host.name=here")
	if said, err := demo.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}

	seen := map[string]map[string]bool{}
	look := func(signal string) {
		keys := map[string]bool{}
		for _, list := range s.attributes(signal) {
			for key := range read(list) {
				keys[key] = true
			}
		}
		seen[signal] = keys
	}
	s.until(t, "records and spans", func() bool {
		look("logs")
		look("traces")
		return seen["logs"][telemetry.FieldBody] && seen["logs"]["merchants"] && seen["traces"]["db.system.name"]
	})
	empty := regexp.MustCompile(`otelcol_exporter_queue_size{data_type="(logs|traces)",[^}]*} 0\n`)
	eventually(t, "the queues' end", func() bool { return len(empty.FindAllString(body(t, c.telemetry), -1)) == 2 })
	look("logs")
	look("traces")
	for _, signal := range []string{"logs", "traces"} {
		for key := range seen[signal] {
			if strings.HasPrefix(key, "redaction.") {
				t.Errorf("%s: the second lock had something to do: %s", signal, key)
			}
		}
		if strings.Contains(s.all(signal), "****") {
			t.Errorf("%s: something was masked", signal)
		}
	}
	for _, span := range s.spans() {
		if span.GetName() == "_OTHER" {
			t.Errorf("a span lost its name: %v", span)
		}
	}
	look("metrics")
	allowed := locks(t)["metrics"].keys()
	for key := range seen["metrics"] {
		if !slices.Contains(allowed, key) {
			t.Errorf("metrics: %s would be removed", key)
		}
	}
	for _, want := range []string{telemetry.LabelMerchant, telemetry.LabelReason, "http.route", "db.operation.name", "go.memory.type"} {
		if !seen["metrics"][want] {
			t.Errorf("metrics: the demo has no %s", want)
		}
	}
	for _, never := range []string{"network.peer.address", "network.peer.port"} {
		if seen["traces"][never] {
			t.Errorf("traces: %s came through", never)
		}
	}
}

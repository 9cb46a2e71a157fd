//go:build stack

package otelcollector_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
)

// tool is the path of a pinned binary, built where it is missing.
func tool(t *testing.T, name string) string {
	t.Helper()
	var complaints bytes.Buffer
	command := exec.CommandContext(t.Context(), "../.ci/tool", name)
	command.Stderr = &complaints
	path, err := command.Output()
	if err != nil {
		t.Fatalf(".ci/tool %s: %v\n%s", name, err, &complaints)
	}
	return strings.TrimSpace(string(path))
}

// shipped is the name of a file of this folder. Reading it here tells the test
// cache that a result depends on it: the programs' reading goes unnoticed.
func shipped(t *testing.T, name string) string {
	t.Helper()
	if _, err := os.ReadFile(name); err != nil {
		t.Fatal(err)
	}
	return name
}

// process is one running program of the stack.
type process struct {
	*exec.Cmd
	log   *output
	ended chan struct{}
}

// output is what a process says, readable while it speaks.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// launch starts a program and waits until ready answers 200.
func launch(t *testing.T, ready, binary string, args, env []string) *process {
	t.Helper()
	p := &process{exec.Command(binary, args...), &output{}, make(chan struct{})}
	p.Env = append(os.Environ(), env...)
	p.Stdout, p.Stderr = p.log, p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { defer close(p.ended); _ = p.Wait() }()
	t.Cleanup(func() {
		p.end(t, syscall.SIGKILL)
		if t.Failed() {
			t.Logf("%s said:\n%s", binary, p.log)
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for get(ctx, ready) != nil {
		select {
		case <-tick.C:
		case <-p.ended:
			t.Fatalf("%s ended:\n%s", binary, p.log)
		case <-ctx.Done():
			t.Fatalf("%s never answers on %s", binary, ready)
		}
	}
	return p
}

func get(ctx context.Context, url string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}

// end sends a signal and waits for the process to be gone.
func (p *process) end(t *testing.T, signal os.Signal) {
	t.Helper()
	_ = p.Process.Signal(signal)
	select {
	case <-p.ended:
	case <-time.After(patience):
		t.Errorf("%s does not end on %v", p.Path, signal)
	}
}

// issued are the ports that free has given out.
var issued sync.Map

// free is an address that nobody listens on. The port is below those that the
// kernel gives to outgoing connections: one of these would take it before the
// program that it is meant for.
func free(t *testing.T) string {
	t.Helper()
	for {
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(10_000+rand.IntN(20_000)))
		if _, again := issued.LoadOrStore(address, true); again {
			continue
		}
		if l, err := net.Listen("tcp", address); err == nil {
			_ = l.Close()
			return address
		}
	}
}

// collector is the real one, with the shipped configuration as it is.
type collector struct {
	*process
	otlp      string // where it takes OTLP over HTTP
	telemetry string // its own metrics
}

// stores are the addresses a collector sends to.
type stores struct{ prometheus, loki, jaeger string }

func (s *sink) stores() stores {
	return stores{s.web.URL + "/api/v1/otlp", s.web.URL + "/otlp", s.grpc}
}

// startCollector lays overlays, files or "yaml:…", over the shipped configuration.
func startCollector(t *testing.T, to stores, queues string, overlays ...string) *collector {
	t.Helper()
	otlp, health, own := free(t), free(t), free(t)
	host, port, err := net.SplitHostPort(own)
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"--config", shipped(t, "config.yaml")}
	for _, overlay := range overlays {
		args = append(args, "--config", overlay)
	}
	return &collector{
		launch(t, "http://"+health, tool(t, "otelcol"), args, []string{
			"PROMETHEUS_OTLP=" + to.prometheus, "LOKI_OTLP=" + to.loki, "JAEGER_OTLP=" + to.jaeger, "QUEUE_DIR=" + queues,
			"OTLP_GRPC_LISTEN=" + free(t), "OTLP_HTTP_LISTEN=" + otlp, "HEALTH_LISTEN=" + health,
			"TELEMETRY_HOST=" + host, "TELEMETRY_PORT=" + port,
		}),
		"http://" + otlp, "http://" + own + "/metrics",
	}
}

// offer hands a message over and tells what the collector answers.
func (c *collector) offer(t *testing.T, signal string, m proto.Message) int {
	t.Helper()
	raw, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(c.otlp+"/v1/"+signal, "application/x-protobuf", bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	return answer.StatusCode
}

// send fails unless the collector takes the message.
func (c *collector) send(t *testing.T, signal string, m proto.Message) {
	t.Helper()
	if status := c.offer(t, signal, m); status != http.StatusOK {
		t.Fatalf("%s: the collector answers %d", signal, status)
	}
}

// TestStackValidate: the collector itself finds nothing wrong, not even a
// deprecated name.
func TestStackValidate(t *testing.T) {
	t.Parallel()
	for name, overlays := range map[string][]string{"base": nil, "tail sampling": {shipped(t, "tail-sampling.yaml")}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			args := []string{"validate", "--config", "config.yaml"}
			for _, overlay := range overlays {
				args = append(args, "--config", overlay)
			}
			command := exec.CommandContext(t.Context(), tool(t, "otelcol"), args...)
			command.Env = append(os.Environ(), "QUEUE_DIR="+t.TempDir())
			if said, err := command.CombinedOutput(); err != nil || len(said) > 0 {
				t.Errorf("%v\n%s", err, said)
			}
			c := startCollector(t, newSink(t).stores(), t.TempDir(), overlays...)
			if log := c.log.String(); strings.Contains(log, `"level":"warn"`) || strings.Contains(log, "deprecated") {
				t.Errorf("it complains:\n%s", log)
			}
		})
	}
}

// body is what a page says.
func body(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s %v\n%s", url, answer.Status, err, raw)
	}
	return string(raw)
}

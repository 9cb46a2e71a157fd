//go:build stack

package main

import (
	"context"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/compose-spec/compose-go/v2/types"
)

// native says how a container's program is run without the container: which
// tool it is, and what moves its doors to other addresses than the container's.
type native struct {
	tool  string
	moved func(a doors) (flags, variables) // beyond what docker-compose.yml says
	probe func(a doors) flags              // beyond what the health check says
}

type (
	doors     func(containers string) (ours string)
	flags     []string
	variables []string
)

func port(address string) string { return address[strings.LastIndex(address, ":")+1:] }

// natives are all containers but Grafana's, which cannot be had as a program.
var natives = map[string]native{
	"prometheus": {
		tool:  "prometheus",
		moved: func(a doors) (flags, variables) { return flags{"--web.listen-address=" + a("127.0.0.1:9090")}, nil },
	},
	"alertmanager": {
		tool:  "alertmanager",
		moved: func(a doors) (flags, variables) { return flags{"--web.listen-address=" + a("127.0.0.1:9093")}, nil },
	},
	"loki": {
		tool: "loki",
		moved: func(a doors) (flags, variables) {
			return flags{
				"-server.http-listen-address=127.0.0.1", "-server.http-listen-port=" + port(a("127.0.0.1:3100")),
				"-server.grpc-listen-port=" + port(a("127.0.0.1:9095")), "-querier.frontend-address=" + a("127.0.0.1:9095"),
				"-common.path-prefix=" + a("/loki"), "-common.storage.filesystem.chunk-directory=" + a("/loki") + "/chunks",
				"-common.storage.filesystem.rules-directory=" + a("/loki") + "/rules",
			}, nil
		},
		probe: func(a doors) flags { return flags{"-health.url=http://" + a("127.0.0.1:3100") + "/ready"} },
	},
	"jaeger": {
		tool: "jaeger",
		moved: func(a doors) (flags, variables) {
			return nil, variables{
				"JAEGER_DATA=" + a("/var/lib/jaeger"), "JAEGER_OTLP_LISTEN=" + a("127.0.0.1:4317"), "JAEGER_QUERY_LISTEN=" + a("127.0.0.1:16686"),
				"JAEGER_QUERY_GRPC_LISTEN=" + a("127.0.0.1:16685"), "JAEGER_HEALTH_LISTEN=" + a("127.0.0.1:13133"),
			}
		},
	},
	"otel-collector": {
		tool: "otelcol",
		moved: func(a doors) (flags, variables) {
			return nil, variables{
				"QUEUE_DIR=" + a("/var/lib/otelcol"), "OTLP_GRPC_LISTEN=" + a("127.0.0.1:4317"), "OTLP_HTTP_LISTEN=" + a("127.0.0.1:4318"),
				"HEALTH_LISTEN=" + a("127.0.0.1:13133"), "TELEMETRY_HOST=127.0.0.1", "TELEMETRY_PORT=" + port(a("127.0.0.1:8888")),
			}
		},
	},
	"mailpit": {
		tool: "mailpit",
		moved: func(a doors) (flags, variables) {
			return flags{"--smtp=" + a("127.0.0.1:1025"), "--listen=" + a("127.0.0.1:8025")}, nil
		},
		probe: func(a doors) flags { return flags{"--listen=" + a("127.0.0.1:8025")} },
	},
}

// TestStackComposed runs each container's command on the files that are mounted
// into it, and asks its health check: it must say no, then yes, then no again.
func TestStackComposed(t *testing.T) {
	t.Parallel()
	for name, s := range composed(t, nil).Services {
		if s.Image == "wxnotify:local" || name == "grafana" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			part, known := natives[name]
			if !known {
				t.Fatal("nobody has said how it runs natively")
			}
			printed, err := exec.CommandContext(t.Context(), "../.ci/tool", part.tool).Output()
			if err != nil {
				t.Fatal(err)
			}
			program := strings.TrimSpace(string(printed))
			at := moving(t, s)
			move, vars := part.moved(at)
			var said buffer
			running, stop := context.WithCancel(t.Context())
			defer stop()
			c := exec.CommandContext(running, program, append(translated(s.Command, at), move...)...)
			c.Env, c.Dir, c.Stdout, c.Stderr = append(os.Environ(), vars...), t.TempDir(), &said, &said
			c.Cancel = func() error { return c.Process.Signal(os.Interrupt) }
			c.WaitDelay = 20 * time.Second
			healthy := func() bool {
				var more flags
				if part.probe != nil {
					more = part.probe(at)
				}
				return probe(t, filepath.Dir(program), append(translated(s.HealthCheck.Test[1:], at), more...))
			}
			if healthy() {
				t.Fatal("its health check finds it well before it runs")
			}
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			ended := make(chan error, 1)
			go func() { ended <- c.Wait() }()
			defer func() {
				if t.Failed() {
					t.Logf("%q said:\n%s", c.Args, said.String())
				}
			}()
			within(t, time.Minute, "its health check finds it well", func() bool {
				select {
				case err := <-ended:
					t.Fatalf("it ended: %v", err)
				default:
				}
				return healthy()
			})
			stop()
			select {
			case <-ended:
			case <-time.After(30 * time.Second):
				t.Fatal("it does not end")
			}
			if healthy() {
				t.Error("its health check finds it well after it has ended")
			}
		})
	}
}

// moving translates what a container calls its folders and its own doors.
func moving(t *testing.T, s types.ServiceConfig) doors {
	t.Helper()
	known := map[string]string{}
	for _, v := range s.Volumes {
		known[v.Target] = v.Source
		if v.Type == types.VolumeTypeVolume {
			known[v.Target] = t.TempDir()
		}
	}
	return func(containers string) string {
		if _, ok := known[containers]; !ok && strings.HasPrefix(containers, "127.0.0.1:") {
			known[containers] = freeAddress(t)
		}
		if ours, ok := known[containers]; ok {
			return ours
		}
		return containers
	}
}

// translated puts our folders and addresses into a command line.
func translated(args []string, at doors) []string {
	ours := make([]string, len(args))
	for i, arg := range args {
		name, value, isFlag := strings.Cut(arg, "=")
		if !isFlag {
			name, value = "", arg
		} else {
			name += "="
		}
		scheme, rest, isURL := strings.Cut(value, "://")
		if isURL {
			address, path, _ := strings.Cut(rest, "/")
			value = scheme + "://" + at(address) + "/" + path
		} else {
			path, inside := value, ""
			for at(path) == path && strings.Count(path, "/") > 1 { // /etc/wxnotify/alerts/prometheus.yml is in /etc/wxnotify/alerts
				path, inside = filepath.Dir(path), filepath.Join(filepath.Base(path), inside)
			}
			if at(path) != path {
				value = filepath.Join(at(path), inside)
			}
		}
		ours[i] = name + value
	}
	return ours
}

// probe runs a health check with the programs beside the one that it is for. For
// busybox's wget we ask ourselves.
func probe(t *testing.T, programs string, check []string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if check[0] == "wget" {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, check[len(check)-1], nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		return answer.Body.Close() == nil && answer.StatusCode == http.StatusOK
	}
	return exec.CommandContext(ctx, filepath.Join(programs, filepath.Base(check[0])), check[1:]...).Run() == nil
}

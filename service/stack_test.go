//go:build stack

package main

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/simulator/webhook"
)

// stack is the native stack of .ci/stack/up with the shipped configuration and
// an inbox of our own: what runs here is what `make stack` runs.
type stack struct {
	dir   string
	alert string            // Alertmanager's configuration, of those in alerts/
	doors map[string]string // address by the name that the configuration uses
	inbox *webhook.Inbox
	mails *mailbox
}

// Who tells people: Alertmanager, or wxnotify's own pager, which is the default.
const (
	toldByAlertmanager = "alertmanager.yml"
	toldByPager        = "alertmanager-pager.yml"
)

// stackParts are the parts that a test does not play itself.
var stackParts = []string{"mailpit", "alertmanager", "prometheus", "loki", "jaeger", "otel-collector"}

// newStack prepares a stack, of which nothing runs yet but the inbox. It ends with
// the test, or with this process. alert is Alertmanager's configuration; empty: that
// of who says nothing.
func newStack(t *testing.T, alert string) *stack {
	t.Helper()
	s := &stack{dir: filepath.Join(t.TempDir(), "stack"), alert: alert, doors: map[string]string{}, inbox: webhook.New(nil)}
	if err := os.MkdirAll(s.dir, 0o700); err != nil {
		t.Fatal(err)
	}
	var addresses strings.Builder
	for _, door := range []string{
		"service:8080", "service:9090", "otel-collector:4317", "otel-collector:4318", "otel-collector:8888", "otel-collector:13133",
		"prometheus:9090", "alertmanager:9093", "loki:3100", "loki:9095", "jaeger:4317", "jaeger:16686", "jaeger:13133", "jaeger:16685",
		"grafana:3000", "mailpit:1025", "mailpit:8025", "inbox:8090", "dingtalk:8082", "simulator:8081",
	} {
		s.doors[door] = freeAddress(t)
		fmt.Fprintf(&addresses, "%s %s\n", door, s.doors[door])
	}
	if err := os.WriteFile(filepath.Join(s.dir, "addresses"), []byte(addresses.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	s.receivePages(t)
	t.Cleanup(func() {
		if t.Failed() {
			s.showLogs(t)
		}
		s.script(t, "down")
	})
	return s
}

// receivePages serves the inbox where Alertmanager posts to.
func (s *stack) receivePages(t *testing.T) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", s.doors["inbox:8090"])
	if err != nil {
		t.Fatal(err)
	}
	server := &httptest.Server{Listener: listener, Config: &http.Server{Handler: s.inbox}}
	server.Start()
	t.Cleanup(server.Close)
}

// up and down start and end parts, which keep their addresses and their data.
func (s *stack) up(t *testing.T, parts ...string)   { t.Helper(); s.script(t, "up", parts...) }
func (s *stack) down(t *testing.T, parts ...string) { t.Helper(); s.script(t, "down", parts...) }

func (s *stack) script(t *testing.T, name string, args ...string) {
	t.Helper()
	c := exec.Command("../.ci/stack/"+name, args...)
	c.Env = append(os.Environ(), "ALERTMANAGER_CONFIG="+s.alert, "STACK_STATE="+s.dir, fmt.Sprintf("UNTIL=%d", os.Getpid()))
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, said)
	}
}

// showLogs tells what the parts said last, for a failed test.
func (s *stack) showLogs(t *testing.T) {
	t.Helper()
	for _, part := range stackParts {
		said, err := os.ReadFile(filepath.Join(s.dir, "log", part))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Error(err)
		}
		t.Logf("the end of %s's log:\n%s", part, said[max(0, len(said)-2000):])
	}
}

// given are the ports that this process has given away.
var given sync.Map

// freeAddress is a loopback address that nobody listens on. It lies below the
// range from which outgoing connections get their ports: a part that is
// restarted must find its own again.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 1000 {
		address := fmt.Sprintf("127.0.0.1:%d", 10_000+rand.IntN(20_000))
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			continue
		}
		_ = listener.Close()
		if _, taken := given.LoadOrStore(address, true); !taken {
			return address
		}
	}
	t.Fatal("no free port")
	return ""
}

// within asks until it is told yes, and says in vain for what.
func within(t *testing.T, limit time.Duration, what string, ask func() bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for !ask() {
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited %s in vain: %s", limit, what)
		}
	}
}

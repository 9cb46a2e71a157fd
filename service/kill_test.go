package main

import (
	"bufio"
	"encoding/json"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

// process is wxnotify as a process of its own, to be killed.
type process struct {
	*exec.Cmd
	public, private string
}

// launch runs `wxnotify serve` and waits until it listens.
func launch(t *testing.T, config string) process {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := process{Cmd: exec.Command(executable, "serve", "--config", config)}
	p.Env = append(os.Environ(), asProgram+"=1")
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	said := ""
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		said += lines.Text() + "\n"
		var line struct{ Msg, Listen, Private string }
		if json.Unmarshal(lines.Bytes(), &line) == nil && line.Listen != "" {
			p.public, p.private = "http://"+line.Listen, "http://"+line.Private
			go func() { // keep the pipe empty
				for lines.Scan() {
				}
			}()
			return p
		}
	}
	t.Fatalf("wxnotify did not start:\n%s", said)
	return p
}

// TestFailureSurvivesKill is promises P3 and P4 at their root: the process is
// killed right after a failure was answered, and the next one still shows it.
func TestFailureSurvivesKill(t *testing.T) {
	t.Parallel()
	account := *shop()
	config := writeConfig(t, configFor(t, &account))
	first := launch(t, config)
	account.NotifyURL = notifyURL(first.public, account.Name)
	w := &world{wechat: &account}
	message := account.Message(wechat.Payment, wechat.NewOrder(100))
	if status, _ := w.post(t, message.Sign(wechat.Stale, time.Now())); status != http.StatusUnauthorized {
		t.Fatalf("stale: %d", status)
	}
	if err := first.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()

	second := launch(t, config)
	w.private = second.private
	eventually(t, "the new process shows the old one's failure", func() bool {
		_, text := w.get(t, "/metrics")
		return metric(t, text, "wechatpay_callback_failures", `error_type="timestamp_stale"`, `merchant="shop"`) == 1 &&
			metric(t, text, "wechatpay_notification_outstanding", `merchant="shop"`) == 1
	})
	// The re-send heals it.
	account.NotifyURL = notifyURL(second.public, account.Name)
	if status, _ := w.post(t, message.Sign(wechat.None, time.Now())); status != http.StatusNoContent {
		t.Errorf("re-send: %d", status)
	}
	eventually(t, "nothing is outstanding", func() bool {
		_, text := w.get(t, "/metrics")
		return strings.Contains(text, "wechatpay_notification_outstanding") &&
			metric(t, text, "wechatpay_notification_outstanding", `merchant="shop"`) == 0
	})
}

// TestTerminate ends a process the way an orchestrator does.
func TestTerminate(t *testing.T) {
	t.Parallel()
	account := *shop()
	p := launch(t, writeConfig(t, configFor(t, &account)))
	if err := p.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- p.Wait() }()
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("SIGTERM ended in %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("still running 30 s after SIGTERM")
	}
}

//go:build stack

package alerts_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// post is where alerts become mail: a real Alertmanager with the shipped
// configuration, a real mail server, and a webhook that keeps what it gets.
type post struct {
	alertmanager, mailpit string // base URLs
	webhook               chan webhookMessage
	refuses               atomic.Bool // the webhook does, as with a wrong token
}

// webhookMessage is what Alertmanager posts.
type webhookMessage struct {
	Receiver, Status string
	CommonLabels     map[string]string
	Alerts           []struct{ Labels map[string]string }
}

// mail is a message in the mail server.
type mail struct {
	ID, Subject string
	To          []struct{ Address string }
	Created     time.Time
	HTML, Text  string
}

// alert is what Prometheus sends. Without an end, it fires until further notice.
type alert struct {
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations,omitempty"`
	StartsAt    time.Time         `json:"startsAt"`
	EndsAt      time.Time         `json:"endsAt"`
}

// binary is the path of a pinned tool of the stack; it is built when missing.
func binary(t *testing.T, name string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "../.ci/tool", name).Output()
	if err != nil {
		t.Fatalf(".ci/tool %s: %v", name, err)
	}
	return strings.TrimSpace(string(out))
}

// openPost starts the shipped configuration. Only addresses are replaced.
func openPost(t *testing.T) *post {
	t.Helper()
	smtp, web, api := free(t), free(t), free(t)
	p := &post{alertmanager: "http://" + api, mailpit: "http://" + web, webhook: make(chan webhookMessage, 1024)}
	inbox := httptest.NewServer(http.HandlerFunc(p.take))
	t.Cleanup(inbox.Close)

	dir := t.TempDir()
	addresses := strings.NewReplacer("mailpit:1025", smtp, "inbox:8090", inbox.Listener.Addr().String())
	config, err := os.ReadFile("alertmanager.yml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "alertmanager.yml"), []byte(addresses.Replace(string(config))), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(filepath.Join(dir, "templates"), os.DirFS("templates")); err != nil {
		t.Fatal(err)
	}

	launch(t, dir, "mailpit", "--smtp", smtp, "--listen", web, "--disable-version-check")
	launch(t, dir, "alertmanager", "--config.file=alertmanager.yml", "--storage.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+api, "--web.external-url=http://localhost:9093", "--cluster.listen-address=")
	within(t, 15*time.Second, "ready", func() bool {
		return answers(t, p.mailpit+"/readyz") && answers(t, p.alertmanager+"/-/ready")
	})
	return p
}

func (p *post) take(w http.ResponseWriter, r *http.Request) {
	if p.refuses.Load() {
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	var m webhookMessage
	if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.webhook <- m
}

// send hands alerts to Alertmanager, as Prometheus does.
func (p *post) send(t *testing.T, alerts ...alert) {
	t.Helper()
	body, err := json.Marshal(alerts)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(p.alertmanager+"/api/v2/alerts", "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if text, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Fatalf("Alertmanager refuses alerts: %s %s", answer.Status, text)
	}
}

// group is what Alertmanager tells about in one message.
type group struct {
	Alerts []struct {
		Labels map[string]string
		Status struct{ InhibitedBy []string }
	}
}

func (p *post) groups(t *testing.T) (all []group) {
	t.Helper()
	read(t, p.alertmanager+"/api/v2/alerts/groups", &all)
	return all
}

// known says how many alerts Alertmanager has put into groups, and how many of
// them an inhibition mutes.
func (p *post) known(t *testing.T) (grouped, muted int) {
	t.Helper()
	for _, g := range p.groups(t) {
		for _, a := range g.Alerts {
			grouped++
			if len(a.Status.InhibitedBy) > 0 {
				muted++
			}
		}
	}
	return grouped, muted
}

// mails are the messages whose subject contains text, eldest first.
func (p *post) mails(t *testing.T, text string) (found []mail) {
	t.Helper()
	var list struct{ Messages []mail }
	read(t, p.mailpit+"/api/v1/messages?limit=500", &list)
	for i := len(list.Messages) - 1; i >= 0; i-- {
		if !strings.Contains(list.Messages[i].Subject, text) {
			continue
		}
		m := mail{}
		read(t, p.mailpit+"/api/v1/message/"+list.Messages[i].ID, &m)
		m.Created = list.Messages[i].Created
		found = append(found, m)
	}
	return found
}

// mail waits for one message.
func (p *post) mail(t *testing.T, limit time.Duration, subject string) (m mail) {
	t.Helper()
	within(t, limit, "mail "+subject, func() bool {
		found := p.mails(t, subject)
		if len(found) > 0 {
			m = found[0]
		}
		return len(found) > 0
	})
	return m
}

// within polls until what is asked for has come.
func within(t *testing.T, limit time.Duration, what string, come func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !come() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within %s", what, limit)
		case <-tick.C:
		}
	}
}

// launch runs a binary of the stack until the test ends. What it wrote is shown
// when the test fails.
func launch(t *testing.T, dir, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(binary(t, name), args...)
	cmd.Dir = dir
	log := &bytes.Buffer{}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s wrote:\n%s", name, log)
		}
	})
}

// issued are the addresses that free has given out.
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

func answers(t *testing.T, url string) bool {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		return false
	}
	_ = answer.Body.Close()
	return answer.StatusCode == http.StatusOK
}

// body is what an address answers.
func body(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func read(t *testing.T, url string, into any) {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(fmt.Errorf("%s: %w", url, err))
	}
}

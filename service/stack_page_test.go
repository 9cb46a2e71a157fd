//go:build stack

package main

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"os"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/webhook"
	"wxnotify/service/simulator/wechat"
)

// TestStack holds the shipped configuration to its promises on the real parts,
// all of them started once. Each subtest has services and an environment of its
// own, so that none sees another's alerts.
func TestStack(t *testing.T) {
	t.Parallel()
	s := newStack(t, toldByAlertmanager)
	// The one that Prometheus looks after (up) is there before Prometheus is.
	calm := s.serve(t, "calm", []string{"calm"}, func(c *Config) { c.Private.Listen = s.doors["service:9090"] })
	s.up(t, stackParts...)
	s.readMails(t)
	t.Cleanup(func() { s.nothingAbout(t, calm.environment) }) // when everybody else is done
	for name, test := range map[string]func(*testing.T, *stack){
		"latency": pageLatency, "proven reasons": provenReasons, "unproven reasons": unprovenReasons,
		"story": oneStory, "queries": everyQuery,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
	t.Run("calm", func(t *testing.T) {
		t.Parallel()
		healthyRun(t, s, calm)
	})
}

// callbackFailed is the alert that the whole product is about.
const callbackFailed = "WechatPayCallbackFailed"

// about tells the page that one failure makes.
func about(environment, merchant string, reason callback.Reason, class callback.Class) func(webhook.Page) bool {
	return func(p webhook.Page) bool {
		return p.Status == webhook.Firing && slices.ContainsFunc(p.Alerts, func(a webhook.Alert) bool {
			return a.Labels["alertname"] == callbackFailed && a.Labels["deployment_environment_name"] == environment &&
				a.Labels["merchant"] == merchant && a.Labels["error_type"] == string(reason) && a.Labels["class"] == string(class)
		})
	}
}

// receivers are who is told of a failure: woken up, or not.
var receivers = map[callback.Class]string{callback.Proven: "page", callback.Unproven: "notice"}

// told waits for the page and the mail of one failure, and says when they came.
func (s *stack) told(ctx context.Context, environment, merchant string, reason callback.Reason, class callback.Class) (page, mailed time.Time, err error) {
	p, err := s.inbox.Received(ctx, about(environment, merchant, reason, class))
	if err != nil {
		return page, mailed, fmt.Errorf("%s of %s in %s: no page at the webhook: %w", reason, merchant, environment, err)
	}
	if want := receivers[class]; p.Receiver != want {
		return page, mailed, fmt.Errorf("%s, %s went to %s, not to %s", class, reason, p.Receiver, want)
	}
	m, err := s.mails.received(ctx, environment, merchant, string(reason))
	if err != nil {
		return page, mailed, fmt.Errorf("%s of %s in %s: %w", reason, merchant, environment, err)
	}
	return p.At, m.Created, nil
}

// paged wants it told within the limit.
func (s *stack) paged(t *testing.T, limit time.Duration, environment, merchant string, reason callback.Reason, class callback.Class) (at time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	at, _, err := s.told(ctx, environment, merchant, reason, class)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

// The page may be this late: 1 s until the export (at most one a second), 0.2 s
// in the collector's queue, 5 s until the rule is evaluated, and as much again
// where an export just missed an evaluation; the rest is delivery.
const pageBudget = 11 * time.Second

// trials of the latency measurement, and the pause between two of them: no
// multiple of the rules' 5 s, so that every phase is met.
const (
	latencyTrials = 24
	trialPause    = 2300 * time.Millisecond
)

// pageLatency measures from the failure's answer to the page, one failing
// callback and one merchant for each trial.
func pageLatency(t *testing.T, s *stack) {
	var merchants []string
	for i := range latencyTrials {
		merchants = append(merchants, fmt.Sprintf("trial-%02d", i))
	}
	r := s.serve(t, "latency", merchants, nil)
	pages, mails := make([]time.Duration, latencyTrials), make([]time.Duration, latencyTrials)
	pace := time.NewTicker(trialPause)
	defer pace.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), latencyTrials*trialPause+time.Minute)
	defer cancel()
	var trials sync.WaitGroup
	for i, merchant := range merchants {
		<-pace.C
		w := r.world(merchant)
		message := w.wechat.Message(wechat.Payment, wechat.NewOrder(100))
		if status, body := w.post(t, message.Sign(wechat.Stale, time.Now())); status != http.StatusUnauthorized {
			t.Fatalf("answered %d %s", status, body)
		}
		answered := time.Now()
		trials.Go(func() {
			page, mailed, err := s.told(ctx, r.environment, merchant, callback.ReasonTimestampStale, callback.Proven)
			if err != nil {
				t.Error(err)
				return
			}
			pages[i], mails[i] = page.Sub(answered), mailed.Sub(answered)
		})
	}
	trials.Wait()
	if t.Failed() {
		return
	}
	table := latencyTable(leg{"the post at the webhook", pages}, leg{"the mail in the mailbox", mails})
	t.Log("\n" + table)
	if worst := max(slices.Max(pages), slices.Max(mails)); worst > pageBudget {
		t.Errorf("a page took %s, the budget is %s", worst, pageBudget)
	}
	if *update {
		writeLatency(t, "measured", fmt.Sprintf("wxnotify built with %s, %s", runtime.Version(), versions(t)), table)
	}
}

// leg is one line of a table: how long it took to get there.
type leg struct {
	to    string
	takes []time.Duration
}

// latencyTable shows percentiles by nearest rank.
func latencyTable(rows ...leg) string {
	var b strings.Builder
	b.WriteString("| from the failing callback's answer to | trials | min | p50 | p90 | max |\n|---|---|---|---|---|---|\n")
	for _, row := range rows {
		sorted := slices.Sorted(slices.Values(row.takes))
		at := func(p float64) string {
			took := sorted[max(0, int(math.Ceil(p*float64(len(sorted))))-1)]
			if took < 100*time.Millisecond {
				return fmt.Sprintf("%d ms", took.Milliseconds())
			}
			return fmt.Sprintf("%.1f s", took.Seconds())
		}
		fmt.Fprintf(&b, "| %s | %d | %s | %s | %s | %s |\n", row.to, len(sorted), at(0), at(0.5), at(0.9), at(1))
	}
	return b.String()
}

const latencyPage = "docs/paging.md"

// writing is held by who writes the page: two tests measure at the same time.
var writing sync.Mutex

// writeLatency puts a table between two marks of the page, and what was measured.
func writeLatency(t *testing.T, mark, parts, table string) {
	t.Helper()
	begin, end := "<!-- "+mark+": begin -->\n", "<!-- "+mark+": end -->"
	writing.Lock()
	defer writing.Unlock()
	text, err := os.ReadFile(latencyPage)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, found := strings.Cut(string(text), begin)
	_, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has lost its marks", latencyPage)
	}
	said := fmt.Sprintf("Measured %s, everything on one machine of %d cores (%s/%s) beside the other tests of the run: %s.\n\n%s",
		time.Now().UTC().Format(time.DateOnly), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, parts, table)
	if err := os.WriteFile(latencyPage, []byte(head+begin+said+end+tail), 0o600); err != nil {
		t.Fatal(err)
	}
}

// versions names the parts that a page passes through, as they are pinned.
func versions(t *testing.T) string {
	t.Helper()
	var all []string
	for _, part := range []struct{ name, file, module string }{
		{"collector", "../otel-collector/build/go.mod", "go.opentelemetry.io/collector/otelcol"},
		{"Prometheus", "../.ci/stack/prometheus/go.mod", "github.com/prometheus/prometheus"},
		{"Alertmanager", "../.ci/stack/alertmanager/go.mod", "github.com/prometheus/alertmanager"},
		{"Mailpit", "../.ci/stack/mailpit/go.mod", "github.com/axllent/mailpit"},
	} {
		text, err := os.ReadFile(part.file)
		if err != nil {
			t.Fatal(err)
		}
		required := regexp.MustCompile(`(?m)\b` + regexp.QuoteMeta(part.module) + ` (v\S+)`).FindStringSubmatch(string(text))
		if required == nil {
			t.Fatalf("%s does not require %s", part.file, part.module)
		}
		version := required[1]
		if part.name == "Prometheus" { // the release 3.15.0 is the module v0.315.0
			version = regexp.MustCompile(`^v0\.(\d)0?(\d+)\.`).ReplaceAllString(version, "v$1.$2.")
		}
		all = append(all, part.name+" "+version)
	}
	return strings.Join(all, ", ")
}

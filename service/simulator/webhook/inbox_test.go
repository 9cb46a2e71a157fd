package webhook_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/simulator/webhook"
)

var update = flag.Bool("update", false, "write the golden files anew")

// message is what Alertmanager 0.31 posts, with n alerts.
func message(status webhook.Status, n int) webhook.Page {
	p := webhook.Page{
		Version: "4", GroupKey: `{}:{alertname="WechatPayCallbackFailed"}`, Status: status, Receiver: "page",
		GroupLabels: map[string]string{"alertname": "WechatPayCallbackFailed"}, ExternalURL: "http://alertmanager:9093",
	}
	for range n {
		p.Alerts = append(p.Alerts, webhook.Alert{
			Status: status,
			Labels: map[string]string{
				"alertname": "WechatPayCallbackFailed", "severity": "critical", "class": "proven",
				"merchant": "shop", "error_type": "timestamp_stale",
			},
			Annotations: map[string]string{
				"summary":       "A WeChat Pay callback failed.",
				"description":   "shop: 1 callback failed in 5 minutes.\nshop：5 分钟内 1 笔回调失败。\n",
				"runbook_url":   "http://prometheus:9090/user/WechatPayCallbackFailed.html#timestamp_stale",
				"dashboard_url": "http://localhost:3000/d/wxnotify-callbacks?var-merchant=shop",
			},
			StartsAt: time.Date(2026, 11, 23, 13, 3, 1, 0, time.UTC),
		})
	}
	return p
}

func post(t *testing.T, h http.Handler, path string, body any) *httptest.ResponseRecorder {
	t.Helper()
	text, ok := body.(string)
	if !ok {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		text = string(b)
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(text)))
	return answer
}

func TestPagesAreKeptAndPrinted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // its clock starts at midnight UTC, 2000-01-01
		var printed bytes.Buffer
		inbox := webhook.New(&printed)
		for _, p := range []webhook.Page{message(webhook.Firing, 1), message(webhook.Firing, 7), message(webhook.Resolved, 1)} {
			if answer := post(t, inbox, "/", p); answer.Code != http.StatusOK {
				t.Fatalf("answered %d %s", answer.Code, answer.Body)
			}
		}
		pages := inbox.Pages()
		if len(pages) != 3 || pages[1].Alerts[6].Labels["error_type"] != "timestamp_stale" || !pages[0].At.Equal(time.Now()) {
			t.Errorf("kept %+v", pages)
		}
		golden := filepath.Join("testdata", "blocks.txt")
		if *update {
			if err := os.WriteFile(golden, printed.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if printed.String() != string(want) {
			t.Errorf("printed\n%s\nwant\n%s", printed.String(), want)
		}
		answer := httptest.NewRecorder()
		inbox.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/pages", nil))
		var told []webhook.Page
		if err := json.Unmarshal(answer.Body.Bytes(), &told); err != nil || len(told) != 3 {
			t.Errorf("GET /pages: %v, %d pages", err, len(told))
		}
	})
}

func TestWhatIsNoPageIsRefused(t *testing.T) {
	t.Parallel()
	unknown := message("pending", 1)
	other := message(webhook.Firing, 1)
	other.Version = "3"
	for name, body := range map[string]any{
		"junk": "{", "an empty object": "{}", "another version": other, "an unknown status": unknown,
		"no alerts": message(webhook.Firing, 0),
	} {
		inbox := webhook.New(nil)
		if answer := post(t, inbox, "/", body); answer.Code != http.StatusBadRequest || len(inbox.Pages()) != 0 {
			t.Errorf("%s: answered %d, kept %d", name, answer.Code, len(inbox.Pages()))
		}
	}
}

// TestReceived waits for pages that are here and for one that is not.
func TestReceived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inbox := webhook.New(nil)
		post(t, inbox, "/", message(webhook.Firing, 1))
		if p, err := inbox.Received(t.Context(), nil); err != nil || p.Status != webhook.Firing {
			t.Errorf("a page that is here: %v, %v", p.Status, err)
		}
		resolved := func(p webhook.Page) bool { return p.Status == webhook.Resolved }
		var waiting sync.WaitGroup
		for range 3 {
			waiting.Go(func() {
				if p, err := inbox.Received(t.Context(), resolved); err != nil || p.Status != webhook.Resolved {
					t.Errorf("a page to come: %v, %v", p.Status, err)
				}
			})
		}
		synctest.Wait() // all of them wait
		post(t, inbox, "/", message(webhook.Firing, 2))
		post(t, inbox, "/", message(webhook.Resolved, 1))
		waiting.Wait()

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := inbox.Received(ctx, func(webhook.Page) bool { return false }); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a page that never comes: %v", err)
		}
	})
}

func TestFaults(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		inbox := webhook.New(nil)
		for _, bad := range []string{`{"status":42}`, `{"hang":"soon"}`, `{"times":-1}`, `{"colour":"red"}`} {
			if answer := post(t, inbox, "/faults", bad); answer.Code != http.StatusBadRequest {
				t.Errorf("%s: answered %d", bad, answer.Code)
			}
		}
		if answer := post(t, inbox, "/faults", `{"status":503,"hang":"2s","times":2}`); answer.Code != http.StatusOK {
			t.Fatalf("answered %d %s", answer.Code, answer.Body)
		}
		began := time.Now()
		for _, want := range []int{503, 503, 200} {
			if answer := post(t, inbox, "/", message(webhook.Firing, 1)); answer.Code != want {
				t.Errorf("answered %d, want %d", answer.Code, want)
			}
		}
		if took := time.Since(began); took != 4*time.Second || len(inbox.Pages()) != 1 || inbox.Broken() != 2 {
			t.Errorf("took %s, kept %d, broke %d", took, len(inbox.Pages()), inbox.Broken())
		}
		inbox.Break(webhook.Fault{Status: 500}) // until it is told otherwise
		for range 3 {
			post(t, inbox, "/", message(webhook.Firing, 1))
		}
		inbox.Break(webhook.Fault{})
		post(t, inbox, "/", message(webhook.Firing, 1))
		if len(inbox.Pages()) != 2 || inbox.Broken() != 5 {
			t.Errorf("kept %d, broke %d", len(inbox.Pages()), inbox.Broken())
		}
	})
}

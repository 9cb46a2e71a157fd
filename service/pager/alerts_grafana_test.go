package pager_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

// picky is a book that takes no incident of one rule.
type picky struct{ *process }

func (p picky) OpenIncident(ctx context.Context, i callback.Incident) error {
	if i.Rule == "bad" {
		return errors.New("refused")
	}
	return p.process.OpenIncident(ctx, i)
}

// TestAlertsOfOneRule: alerts are told apart by all their labels, each is taken
// by itself, and none passes for what the pager says of itself.
func TestAlertsOfOneRule(t *testing.T) {
	t.Parallel()
	book := &process{ledger: newLedger()}
	e := echo.New()
	e.POST("/alerts", pager.Alerts(picky{book}, true))
	post := func(want int, alerts ...string) {
		t.Helper()
		w := httptest.NewRecorder()
		body := `{"version":"1","alerts":[` + strings.Join(alerts, ",") + `],"truncatedAlerts":5}`
		e.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/alerts", strings.NewReader(body)))
		if w.Code != want {
			t.Errorf("answered %d, want %d", w.Code, want)
		}
	}
	alert := func(status, name, zone string) string {
		return `{"status":"` + status + `","labels":{"alertname":"` + name + `","zone":"` + zone + `"}}`
	}
	far := strings.Repeat("x", 150)
	post(204, alert("firing", "Memory", "us-1"), alert("firing", "Memory", "eu-1"), alert("firing", "drill", ""), alert("firing", "Far", far+"1"), alert("firing", "Far", far+"2"))
	post(503, alert("firing", "bad", ""), alert("firing", "Disk", "us-1"))
	post(204, alert("resolved", "Memory", "us-1"))
	list, err := book.Incidents(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]bool{}
	for _, i := range list {
		subject := i.Subject
		if len(subject) > 128 {
			t.Errorf("the book cuts %q", subject)
		}
		if i.Rule == "Far" {
			subject = "far"
		}
		got[i.Rule+" "+subject] = i.Lasting
		if time.Since(i.Opened) > time.Minute { // no startsAt: now
			t.Errorf("%s began at %s", i.Rule, i.Opened)
		}
	}
	want := map[string]bool{"Memory zone=us-1": false, "Memory zone=eu-1": true, "alert drill zone=": true, "Far far": true, "Disk zone=us-1": true, "alerts_truncated ": false}
	for key, lasting := range want {
		if is, open := got[key]; !open || is != lasting {
			t.Errorf("%q: open %v, lasting %v; all: %v", key, open, is, got)
		}
	}
	if len(list) != len(want)+1 { // two of Far
		t.Errorf("%d incidents: %v", len(list), got)
	}
}

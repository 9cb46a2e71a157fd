package pager_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

// TestAlerts: what Alertmanager and Grafana post joins the incident that is
// there, or opens one.
func TestAlerts(t *testing.T) {
	t.Parallel()
	failed := callback.FailureIncident("shop", callback.Proven, callback.ReasonDecryptFailed)
	post := func(status, labels, annotations string) string {
		return `{"version":"4","groupKey":"{}","status":"` + status + `","alerts":[{"status":"` + status + `","labels":{` + labels +
			`},"annotations":{` + annotations + `},"startsAt":"2026-11-23T08:00:00Z","endsAt":"0001-01-01T00:00:00Z","fingerprint":"ab"}]}`
	}

	for name, c := range map[string]struct {
		before func(*ledger)
		body   string
		status int
		want   map[callback.IncidentKey]bool // lasting
	}{
		"ours, not seen yet":  {nil, post("firing", failedLabels, ""), 204, map[callback.IncidentKey]bool{failed: true}},
		"ours, open already":  {func(l *ledger) { l.add(callback.Incident{IncidentKey: failed, Count: 3}) }, post("firing", failedLabels, ""), 204, map[callback.IncidentKey]bool{failed: true}},
		"ours, closed since":  {closedSince(failed), post("firing", failedLabels, ""), 204, nil},
		"resolved":            {func(l *ledger) { l.add(callback.Incident{IncidentKey: failed, Lasting: true}) }, post("resolved", failedLabels, ""), 204, map[callback.IncidentKey]bool{failed: false}},
		"our own fault":       {nil, post("firing", `"alertname":"WechatPayCallbackFailed","merchant":"shop","class":"proven","error_type":"internal"`, ""), 204, map[callback.IncidentKey]bool{{Rule: callback.RuleFailed, Class: callback.Proven, Reason: callback.ReasonInternal}: true}},
		"money":               {nil, post("firing", `"alertname":"WechatPayNotificationOutstanding","merchant":"shop","error_type":"conflict"`, ""), 204, map[callback.IncidentKey]bool{{Rule: callback.RuleOutstanding, Merchant: "shop"}: true}},
		"foreign":             {nil, post("firing", `"alertname":"WechatPayDiskFilling","severity":"warning","instance":"a"`, `"summary":"full soon"`), 204, map[callback.IncidentKey]bool{{Rule: "WechatPayDiskFilling", Class: "warning", Subject: "instance=a"}: true}},
		"watchdog":            {nil, post("firing", `"alertname":"Watchdog"`, ""), 204, nil},
		"nothing":             {nil, `{"version":"4","alerts":[]}`, 204, nil},
		"no JSON":             {nil, `alerts`, 400, nil},
		"too much":            {nil, `{"version":"` + strings.Repeat("4", 5<<20) + `"}`, 413, nil},
		"the book is away":    {func(l *ledger) { l.down = true }, post("firing", failedLabels, ""), 503, nil},
		"an alert's own name": {nil, post("firing", `"alertname":""`, ""), 204, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			book := &process{ledger: newLedger()}
			if c.before != nil {
				c.before(book.ledger)
			}
			e := echo.New()
			e.POST("/alerts", pager.Alerts(book, true))
			w := httptest.NewRecorder()
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/alerts", strings.NewReader(c.body))
			e.ServeHTTP(w, r)
			if w.Code != c.status {
				t.Fatalf("answered %d %s, want %d", w.Code, w.Body, c.status)
			}
			book.down = false
			list, err := book.Incidents(t.Context())
			if err != nil || len(list) != len(c.want) {
				t.Fatalf("%d incidents, want %d: %+v, %v", len(list), len(c.want), list, err)
			}
			for _, i := range list {
				if lasting, known := c.want[i.IncidentKey]; !known || i.Lasting != lasting {
					t.Errorf("incident %+v, want %v", i, c.want)
				}
			}
		})
	}
}

func closedSince(key callback.IncidentKey) func(*ledger) {
	return func(l *ledger) {
		i := l.add(callback.Incident{IncidentKey: key})
		l.closed[i.ID] = time.Date(2026, 11, 23, 8, 1, 0, 0, time.UTC)
	}
}

const failedLabels = `"alertname":"WechatPayCallbackFailed","merchant":"shop","class":"proven","error_type":"decrypt_failed","severity":"critical"`

// post has Alertmanager post one alert.
func (h *house) post(status, labels string) {
	h.t.Helper()
	e := echo.New()
	e.POST("/alerts", pager.Alerts(&process{ledger: h.ledger}, h.opts.Evaluate))
	w := httptest.NewRecorder()
	body := `{"version":"4","alerts":[{"status":"` + status + `","labels":{` + labels + `},"startsAt":"` + time.Now().Format(time.RFC3339Nano) + `"}]}`
	e.ServeHTTP(w, httptest.NewRequestWithContext(h.t.Context(), http.MethodPost, "/alerts", strings.NewReader(body)))
	if w.Code != http.StatusNoContent {
		h.t.Errorf("posted, and answered %d %s", w.Code, w.Body)
	}
}

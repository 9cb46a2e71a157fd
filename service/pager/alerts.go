package pager

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"wxnotify/service/callback"
)

// posted is what Alertmanager's webhook sends, version 4; Grafana's is the same
// where it matters.
//
// Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
type posted struct {
	Version string  `json:"version"`
	Alerts  []alert `json:"alerts"`
}

type alert struct {
	Status      string            `json:"status"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
	StartsAt    time.Time         `json:"startsAt"`
}

// maxPost bounds a post: some thousand alerts.
const maxPost = 4 << 20

// Names of the bundled rules that see what the pager sees itself.
const (
	alertFailed      = "WechatPayCallbackFailed"
	alertOutstanding = "WechatPayNotificationOutstanding"
	alertWatchdog    = "Watchdog"
)

// Alerts takes the alerts of Alertmanager or Grafana: each joins the incident
// that the pager has, or opens one. Anything but a 2xx has them sent again.
func Alerts(book Book) echo.HandlerFunc {
	return func(c echo.Context) error {
		var got posted
		body := http.MaxBytesReader(c.Response(), c.Request().Body, maxPost)
		if err := json.NewDecoder(body).Decode(&got); err != nil {
			return echo.NewHTTPError(http.StatusBadRequest, "not an Alertmanager webhook: "+err.Error())
		}
		for _, a := range got.Alerts {
			if name := a.Labels["alertname"]; name == alertWatchdog || name == "" {
				continue
			}
			if err := take(c, book, a); err != nil {
				return echo.NewHTTPError(http.StatusServiceUnavailable, "the incident could not be noted").SetInternal(err)
			}
		}
		return c.NoContent(http.StatusNoContent)
	}
}

func take(c echo.Context, book Book, a alert) error {
	now := time.Now()
	key := a.key()
	if a.Status == "resolved" {
		return book.EaseIncident(c.Request().Context(), key, now)
	}
	i := callback.Incident{IncidentKey: key, Opened: a.StartsAt, Latest: now, Lasting: true, Count: 1}
	if key.Rule != callback.RuleFailed && key.Rule != callback.RuleOutstanding {
		i.Detail = strings.TrimSpace(a.Annotations["summary"] + "\n" + a.Annotations["description"])
	}
	return book.OpenIncident(c.Request().Context(), i)
}

// key is the incident that an alert tells of.
func (a alert) key() callback.IncidentKey {
	l := a.Labels
	switch l["alertname"] {
	case alertFailed:
		return callback.FailureIncident(l["merchant"], callback.Class(l["class"]), callback.Reason(l["error_type"]))
	case alertOutstanding:
		return callback.IncidentKey{Rule: callback.RuleOutstanding, Merchant: l["merchant"]}
	}
	return callback.IncidentKey{
		Rule: l["alertname"], Merchant: l["merchant"], Class: callback.Class(l["severity"]), Subject: l["key_id"] + l["instance"] + l["burn"],
	}
}

package pager

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"wxnotify/service/callback"
)

// posted is what Alertmanager's webhook sends, version 4; Grafana's is the same
// where it matters.
//
// Sources: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config,
// https://grafana.com/docs/grafana/latest/alerting/configure-notifications/manage-contact-points/integrations/webhook-notifier/
type posted struct {
	Alerts    []alert `json:"alerts"`
	Truncated int     `json:"truncatedAlerts"` // how many were left out
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
// that the pager has, or opens one. Anything but a 2xx has them sent again. A
// pager that evaluates finds out by itself when money is no longer missing.
func Alerts(book Book, evaluates bool) echo.HandlerFunc {
	return func(c echo.Context) error {
		var got posted
		body := http.MaxBytesReader(c.Response(), c.Request().Body, maxPost)
		if err := json.NewDecoder(body).Decode(&got); err != nil {
			if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
				return echo.NewHTTPError(http.StatusRequestEntityTooLarge, fmt.Sprintf("more than %d bytes: set max_alerts at the receiver", maxPost))
			}
			return echo.NewHTTPError(http.StatusBadRequest, "not an Alertmanager webhook: "+err.Error())
		}
		var failed error // each by itself: what one meets holds up no other
		for _, a := range got.Alerts {
			if name := a.Labels["alertname"]; name != alertWatchdog && name != "" {
				failed = errors.Join(failed, a.join(c.Request().Context(), book, evaluates, time.Now()))
			}
		}
		if got.Truncated > 0 {
			failed = errors.Join(failed, book.OpenIncident(c.Request().Context(), truncated(got.Truncated, time.Now())))
		}
		if failed != nil {
			return echo.NewHTTPError(http.StatusServiceUnavailable, "not every incident could be noted").SetInternal(failed)
		}
		return c.NoContent(http.StatusNoContent)
	}
}

// join takes the alert into its incident.
func (a alert) join(ctx context.Context, book Book, evaluates bool, now time.Time) error {
	began := a.StartsAt
	if began.IsZero() || began.After(now) {
		began = now
	}
	i := callback.Incident{IncidentKey: a.key(), Opened: began, Latest: now, Lasting: true, Count: 1, Detail: a.words()}
	switch {
	case i.Rule == callback.RuleFailed:
		i.Latest = began // the latest failure is in the book, if there was a later one
	case i.Rule == callback.RuleOutstanding && evaluates:
		i.Reason = "" // the evaluator's incident is the merchant's
	}
	if a.Status != "resolved" {
		return book.OpenIncident(ctx, i)
	}
	if i.Rule == callback.RuleOutstanding && evaluates {
		return nil
	}
	return book.EaseIncident(ctx, i.IncidentKey, i.Latest)
}

// words is what the alert says of itself, or at least its name: an incident
// without any is one that nobody posted.
func (a alert) words() string {
	if words := strings.TrimSpace(a.Annotations["summary"] + "\n" + a.Annotations["description"]); words != "" {
		return words
	}
	return a.Labels["alertname"]
}

// key is the incident that an alert tells of.
func (a alert) key() callback.IncidentKey {
	l := a.Labels
	switch name := l["alertname"]; name {
	case alertFailed:
		return callback.FailureIncident(l["merchant"], callback.Class(l["class"]), callback.Reason(l["error_type"]))
	case alertOutstanding:
		return callback.IncidentKey{Rule: callback.RuleOutstanding, Merchant: l["merchant"], Reason: callback.Reason(l["error_type"])}
	default:
		return callback.IncidentKey{Rule: foreign(name), Merchant: l["merchant"], Class: callback.Class(l["severity"]), Subject: a.subject()}
	}
}

// foreign is the rule of an alert that is not ours: it takes no name that means
// something here.
func foreign(name string) string {
	switch name {
	case callback.RuleFailed, callback.RuleOutstanding, callback.RuleOrderConflict, callback.RuleHistory, drillKey.Rule, ruleTruncated:
		return "alert " + name
	}
	return name
}

// subjectLength leaves room for what tells two long subjects apart.
const subjectLength = 100

// subject is what tells this alert from the others of its rule: all labels that
// are not in the key by themselves. They may be longer than what the book keeps.
func (a alert) subject() string {
	var labels []string
	for _, name := range slices.Sorted(maps.Keys(a.Labels)) {
		switch name {
		case "alertname", "merchant", "severity":
		default:
			labels = append(labels, name+"="+a.Labels[name])
		}
	}
	all := strings.Join(labels, ", ")
	if len(all) <= subjectLength {
		return all
	}
	return strings.ToValidUTF8(all[:subjectLength], "") + "… " + digest(all)[:12]
}

// ruleTruncated is about alerts that were left out of a post.
const ruleTruncated = "alerts_truncated"

func truncated(n int, now time.Time) callback.Incident {
	return callback.Incident{
		IncidentKey: callback.IncidentKey{Rule: ruleTruncated, Class: "warning"}, Opened: now, Latest: now, Count: 1,
		Detail: fmt.Sprintf("%d alerts were left out of a post, and nobody is told of them: raise max_alerts at the receiver that posts to wxnotify\n"+
			"有 %d 条告警未随请求发来，无人得知：请调大向 wxnotify 发送告警的接收方的 max_alerts", n, n),
	}
}

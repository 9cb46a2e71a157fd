package webhook

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// Page is one message of Alertmanager: a group of alerts that is told at once.
//
// Source: https://prometheus.io/docs/alerting/latest/configuration/#webhook_config
type Page struct {
	Version           string            `json:"version"`
	GroupKey          string            `json:"groupKey"`
	TruncatedAlerts   int               `json:"truncatedAlerts"`
	Status            Status            `json:"status"`
	Receiver          string            `json:"receiver"`
	GroupLabels       map[string]string `json:"groupLabels"`
	CommonLabels      map[string]string `json:"commonLabels"`
	CommonAnnotations map[string]string `json:"commonAnnotations"`
	ExternalURL       string            `json:"externalURL"`
	Alerts            []Alert           `json:"alerts"`

	// At is when the page came in. It is ours, not the sender's.
	At time.Time `json:"at"`
}

// Alert is one alert of a page.
type Alert struct {
	Status       Status            `json:"status"`
	Labels       map[string]string `json:"labels"`
	Annotations  map[string]string `json:"annotations"`
	StartsAt     time.Time         `json:"startsAt"`
	EndsAt       time.Time         `json:"endsAt"` // zero while it fires
	GeneratorURL string            `json:"generatorURL"`
	Fingerprint  string            `json:"fingerprint"`
}

// Status says whether there is something to do.
type Status string

// The two states of an alert, and of a page.
const (
	Firing   Status = "firing"
	Resolved Status = "resolved"
)

// version is the only form of the message that there is.
const version = "4"

// parse reads a page and refuses what Alertmanager does not send.
func parse(body []byte) (Page, error) {
	var p Page
	if err := json.Unmarshal(body, &p); err != nil {
		return Page{}, errors.New("not a JSON object of Alertmanager's webhook")
	}
	switch {
	case p.Version != version:
		return Page{}, fmt.Errorf("version %q, not %s", p.Version, version)
	case p.Status != Firing && p.Status != Resolved:
		return Page{}, fmt.Errorf("status %q", p.Status)
	case p.GroupKey == "" || len(p.Alerts) == 0:
		return Page{}, errors.New("no group, or no alert in it")
	}
	return p, nil
}

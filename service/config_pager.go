package main

import (
	"fmt"
	netmail "net/mail"
	"net/url"
	"slices"
	"strings"
	"time"
)

// PagerConfig is who is told of failures, and how.
type PagerConfig struct {
	Mode        string `koanf:"mode"`
	Language    string `koanf:"language"`
	Environment string `koanf:"environment"`
	// Drill is the time of day, in China, at which a message shows that the
	// channels work; empty: none.
	Drill        string             `koanf:"drill"`
	Heartbeat    HeartbeatConfig    `koanf:"heartbeat"`
	Links        LinksConfig        `koanf:"links"`
	DingTalk     []DingTalkConfig   `koanf:"dingtalk"`
	Email        []EmailConfig      `koanf:"email"`
	Webhook      []WebhookConfig    `koanf:"webhook"`
	Alertmanager AlertmanagerConfig `koanf:"alertmanager"`
}

// HeartbeatConfig is an address that is asked while people can be told: a dead
// man's switch elsewhere misses it otherwise.
type HeartbeatConfig struct {
	URL Secret `koanf:"url"`
}

// LinksConfig is where a message sends its reader.
type LinksConfig struct {
	Dashboard string `koanf:"dashboard"`
	Runbooks  string `koanf:"runbooks"`
	Trace     string `koanf:"trace"`
}

// DingTalkConfig is a custom robot (钉钉自定义机器人).
type DingTalkConfig struct {
	URL     Secret   `koanf:"url"`
	Secret  Secret   `koanf:"secret"`
	Keyword string   `koanf:"keyword"`
	Mobiles []string `koanf:"mobiles"`
}

// EmailConfig is mail through one or more relays.
type EmailConfig struct {
	From   string        `koanf:"from"`
	To     []string      `koanf:"to"`
	Relays []RelayConfig `koanf:"relays"`
}

// RelayConfig is one SMTP server.
type RelayConfig struct {
	Host     string `koanf:"host"`
	Port     int    `koanf:"port"`
	TLS      string `koanf:"tls"`
	Username string `koanf:"username"`
	Password Secret `koanf:"password"`
}

// WebhookConfig is a program of the operator's own.
type WebhookConfig struct {
	URL    Secret `koanf:"url"`
	Secret Secret `koanf:"secret"`
}

// AlertmanagerConfig lets Alertmanager and Grafana post their alerts.
type AlertmanagerConfig struct {
	Token Secret `koanf:"token"`
}

// Modes of the pager.
const (
	pagerBoth         = "both"         // it looks itself, and takes alerts
	pagerEmbedded     = "embedded"     // it looks itself
	pagerAlertmanager = "alertmanager" // it takes alerts
)

func (p PagerConfig) validate(found *problems) {
	if !slices.Contains([]string{pagerBoth, pagerEmbedded, pagerAlertmanager}, p.Mode) {
		found.add("pager.mode", fmt.Sprintf("%q is not known", p.Mode), "write both, embedded or alertmanager")
	}
	if p.Mode == pagerAlertmanager && p.Alertmanager.Token == (Secret{}) {
		found.add("pager.alertmanager.token", "missing, so nobody could post alerts", "add {file: …}, or set pager.mode to embedded")
	}
	if p.Alertmanager.Token != (Secret{}) && len(p.DingTalk)+len(p.Email)+len(p.Webhook) == 0 {
		found.add("pager.alertmanager.token", "alerts would be taken, and nobody told", "add a channel: pager.dingtalk, pager.email or pager.webhook")
	}
	p.Alertmanager.Token.validate(found, "pager.alertmanager.token", false)
	p.Heartbeat.URL.validate(found, "pager.heartbeat.url", false)
	if !slices.Contains([]string{"en", "zh"}, p.Language) {
		found.add("pager.language", fmt.Sprintf("%q is not known", p.Language), "write en or zh")
	}
	if _, err := time.Parse("15:04", p.Drill); p.Drill != "" && err != nil {
		found.add("pager.drill", fmt.Sprintf("%q is no time of day", p.Drill), `write it like "09:30", or leave it out`)
	}
	for field, link := range map[string]string{
		"pager.links.dashboard": p.Links.Dashboard, "pager.links.runbooks": p.Links.Runbooks, "pager.links.trace": p.Links.Trace,
	} {
		if u, err := url.Parse(link); link != "" && (err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https") {
			found.add(field, fmt.Sprintf("%q is no web address", link), "write https://…")
		}
	}
	if p.Links.Trace != "" && !strings.Contains(p.Links.Trace, "{trace_id}") {
		found.add("pager.links.trace", "it does not say where the trace id goes", "put {trace_id} into it")
	}
	for n, d := range p.DingTalk {
		field := fmt.Sprintf("pager.dingtalk.%d", n)
		d.URL.validate(found, field+".url", true)
		d.Secret.validate(found, field+".secret", false)
		if d.Secret == (Secret{}) && d.Keyword == "" {
			found.add(field, "neither secret nor keyword", "add secret (加签) as {file: …}, or the robot's keyword (自定义关键词)")
		}
	}
	for n, e := range p.Email {
		e.validate(found, fmt.Sprintf("pager.email.%d", n))
	}
	for n, w := range p.Webhook {
		w.URL.validate(found, fmt.Sprintf("pager.webhook.%d.url", n), true)
		w.Secret.validate(found, fmt.Sprintf("pager.webhook.%d.secret", n), false)
	}
}

func (e EmailConfig) validate(found *problems, field string) {
	if _, err := netmail.ParseAddress(e.From); err != nil {
		found.add(field+".from", fmt.Sprintf("%q is no address", e.From), "write wxnotify@example.com")
	}
	if len(e.To) == 0 {
		found.add(field+".to", "nobody", "name at least one address")
	}
	for _, to := range e.To {
		if _, err := netmail.ParseAddress(to); err != nil {
			found.add(field+".to", fmt.Sprintf("%q is no address", to), "write oncall@example.com")
		}
	}
	if len(e.Relays) == 0 {
		found.add(field+".relays", "none", "add {host: smtp.example.com, port: 465, tls: implicit}")
	}
	for n, r := range e.Relays {
		field := fmt.Sprintf("%s.relays.%d", field, n)
		if r.Host == "" || r.Port < 1 || r.Port > 65535 {
			found.add(field, "host or port is missing", "write {host: smtp.example.com, port: 465, tls: implicit}")
		}
		if !slices.Contains([]string{"implicit", "starttls", "none"}, r.TLS) {
			found.add(field+".tls", fmt.Sprintf("%q is not known", r.TLS), "write implicit (port 465), starttls (port 587) or none")
		}
		if r.TLS == "none" && r.Username != "" {
			found.add(field+".tls", "the password would go out in clear", "write implicit or starttls")
		}
		r.Password.validate(found, field+".password", r.Username != "")
	}
}

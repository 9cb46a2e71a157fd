//go:build stack

package alerts_test

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// paged is how soon a message must be there once Alertmanager knows.
const paged = 2 * time.Second

// calm is how long a resolved message may take: the group's interval and some.
const calm = 40 * time.Second

const dashboard = "http://localhost:3000/d/wxnotify-callbacks?var-environment=production&var-merchant="

// failed is WechatPayCallbackFailed as the rules make it.
func failed(class, merchant, reason string) alert {
	severity := map[string]string{"proven": "critical", "unproven": "warning"}[class]
	return alert{
		Labels: map[string]string{
			"alertname": "WechatPayCallbackFailed", "severity": severity, "class": class,
			"deployment_environment_name": "production", "merchant": merchant, "error_type": reason,
		},
		Annotations: map[string]string{
			"summary": "WeChat Pay callbacks failed · 微信支付回调失败", "count": "3",
			"description": merchant + ": 3 failed in 5 minutes, reason " + reason + " (proven: from WeChat Pay, or our own fault)." +
				" WeChat Pay sends again 15 s, 30 s, 1, 4, 14, 34 and 64 min after the first arrival, then until 24 h." +
				" Outstanding at 14:05 (UTC+8): 2, 25800 minor units. Resolved will mean: no new failure for 15 minutes, not that it is booked.\n" +
				merchant + "：5 分钟内失败 3 次，原因 " + reason + "（已证实：确为微信支付，或本系统故障）。" +
				"微信支付会在首次通知后 15 秒、30 秒、1、4、14、34、64 分钟重发，直至 24 小时。14:05（北京时间）未入账 2 笔，25800 分。",
			"runbook_url":   "http://localhost:9090/user/WechatPayCallbackFailed.html#" + reason,
			"dashboard_url": dashboard + merchant, "panel_url": dashboard + merchant + "&viewPanel=10",
		},
		StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour),
	}
}

// outstanding is one of the alerts on money that is still missing.
func outstanding(name, merchant, reason string) alert {
	a := failed("proven", merchant, reason)
	a.Labels["alertname"] = name
	delete(a.Labels, "class")
	return a
}

// over ends an alert.
func over(a alert) alert { a.EndsAt = time.Now(); return a }

func TestProvenFailureIsMailedAtOnceAndItsEndToo(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	one := failed("proven", "shop", "signature_invalid")
	p.send(t, one)
	m := p.mail(t, paged, "[wxnotify] 3 failed · shop · signature_invalid · production")
	keep(t, "one", m)
	if got := m.To[0].Address; got != "oncall@example.com" {
		t.Errorf("a critical page went to %s", got)
	}
	contains(t, "html", m.HTML,
		"Critical · 严重", "WeChat Pay callbacks failed · 微信支付回调失败", "shop：5 分钟内失败 3 次",
		`href="http://localhost:9090/user/WechatPayCallbackFailed.html#signature_invalid"`,
		`href="http://localhost:9090/user/WechatPayCallbackFailed.zh-CN.html#signature_invalid"`,
		`var-merchant=shop&amp;viewPanel=10"`, "prefers-color-scheme: dark",
		one.StartsAt.UTC().Add(8*time.Hour).Format(time.DateTime))
	contains(t, "text", m.Text,
		"CallbackFailed · shop · signature_invalid · production", "shop：5 分钟内失败 3 次",
		"http://localhost:9090/user/WechatPayCallbackFailed.zh-CN.html#signature_invalid")
	if hook := <-p.webhook; hook.Receiver != "page" || hook.Status != "firing" || hook.CommonLabels["merchant"] != "shop" {
		t.Errorf("the webhook was told %+v", hook)
	}

	p.send(t, over(one))
	m = p.mail(t, calm, "[wxnotify] over: 3 failed · shop · signature_invalid · production")
	keep(t, "over", m)
	contains(t, "html", m.HTML, "Over · 已恢复", "No new failure for 15 minutes.", "不等于已入账", "When it last fired 最后一次告警时")
	contains(t, "text", m.Text, "No new failure for 15 minutes.", "不等于已入账")
}

func TestFloodIsOneMessage(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	var flood []alert
	for i := range 300 {
		flood = append(flood, failed("unproven", fmt.Sprintf("shop%03d", i/3), []string{"key_unknown", "signature_invalid", "headers_missing"}[i%3]))
	}
	p.send(t, flood...)
	m := p.mail(t, paged, "failed")
	if got := m.To[0].Address; got != "team@example.com" {
		t.Errorf("an unproven failure went to %s", got)
	}
	within(t, 10*time.Second, "all alerts in their group", func() bool { grouped, _ := p.known(t); return grouped == len(flood) })
	// Whoever came after the first message waits for group_interval: 5 minutes.
	if sent := p.mails(t, ""); len(sent) != 1 {
		t.Errorf("%d alerts made %d messages at once; want 1", len(flood), len(sent))
	}
	<-p.webhook
	if len(p.webhook) > 0 {
		t.Errorf("the webhook was called again: %+v", <-p.webhook)
	}
}

func TestOurOwnFaultIsOneIncidentForAllMerchants(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	var all []alert
	for i := range 60 {
		all = append(all, failed("proven", fmt.Sprintf("shop%02d", i), "store_unavailable"))
	}
	p.send(t, all...)
	p.mail(t, paged, "store_unavailable")
	// The second message, group_interval later, has the rest: a capped list.
	within(t, calm, "the rest", func() bool { return len(p.mails(t, "failed in 60 places · store_unavailable")) == 1 })
	m := p.mail(t, paged, "failed in 60 places")
	keep(t, "sixty", m)
	contains(t, "html", m.HTML, "60 firing · 60 项正在告警", "… and 50 more · 另有 50 项", `WechatPayCallbackFailed.html"`)
	contains(t, "text", m.Text, "60 firing 正在告警", "… and 50 more 另有 50 项")
	if shown := strings.Count(m.HTML, "· store_unavailable</a>"); shown != 10 {
		t.Errorf("%d of 60 alerts are shown; want 10", shown)
	}
	if sent := p.mails(t, ""); len(sent) > 2 {
		t.Errorf("%d alerts made %d messages; want at most 2", len(all), len(sent))
	}
}

func TestRepetitionsAreMutedAndNothingElse(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	unchanged := outstanding("WechatPayOutstandingUnchanged", "shop", "signature_invalid")
	p.send(t, outstanding("WechatPayNotificationOutstanding", "shop", "signature_invalid"), unchanged)
	p.mail(t, paged, "outstanding · shop · signature_invalid")
	repetition := failed("proven", "shop", "signature_invalid")
	p.send(t, repetition,
		failed("proven", "shop", "key_unknown"),
		failed("proven", "cafe", "signature_invalid"),
		failed("unproven", "shop", "signature_invalid"),
	)
	p.mail(t, paged, "3 failed · shop · key_unknown")
	p.mail(t, paged, "3 failed · cafe · signature_invalid")
	p.mail(t, paged, "3 failed · unproven · shop · signature_invalid")
	if _, muted := p.known(t); muted != 1 {
		t.Errorf("%d alerts are muted; want 1", muted)
	}
	if sent := p.mails(t, "3 failed · shop · signature_invalid"); len(sent) != 0 {
		t.Errorf("a repetition was mailed beside Outstanding: %s", sent[0].Subject)
	}

	// One more notification is outstanding: it is no repetition any more.
	p.send(t, over(unchanged), repetition)
	p.mail(t, calm, "3 failed · shop · signature_invalid")
}

// TestTroubleOnTheWayIsMailedAndNotPosted: what fails must not have to carry the
// news of its failing.
func TestTroubleOnTheWayIsMailedAndNotPosted(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	trouble := func(name, severity string, more map[string]string) alert {
		a := alert{Labels: map[string]string{"alertname": name, "severity": severity}, StartsAt: time.Now(), EndsAt: time.Now().Add(time.Hour)}
		maps.Copy(a.Labels, more)
		return a
	}
	p.send(t, trouble("WechatPayPagerFailing", "critical", nil))
	if m := p.mail(t, paged, "[wxnotify] PagerFailing"); m.To[0].Address != "oncall@example.com" {
		t.Errorf("that nobody could be told was told to %s", m.To[0].Address)
	}
	p.send(t, trouble("WechatPayPagerFailing", "warning", map[string]string{"channel": "dingtalk"}),
		trouble("WechatPayAlertmanagerFailing", "warning", map[string]string{"reason": "clientError"}))
	if m := p.mail(t, calm, "[wxnotify] AlertmanagerFailing"); m.To[0].Address != "team@example.com" {
		t.Errorf("a failing webhook was told to %s", m.To[0].Address)
	}
	if _, muted := p.known(t); muted != 1 {
		t.Errorf("%d alerts are muted; want one, the channel's, by the one that says that none works", muted)
	}
	// The first post is about the failure that comes after all that.
	p.send(t, failed("proven", "shop", "internal"))
	if hook := <-p.webhook; hook.CommonLabels["alertname"] != "WechatPayCallbackFailed" {
		t.Errorf("the webhook was told %+v", hook)
	}
}

// TestAlertmanagerCountsWhatTheWebhookRefuses: the rule's series has its zero
// before the first failure, or increase() would not see that one.
func TestAlertmanagerCountsWhatTheWebhookRefuses(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	const counter = `alertmanager_notifications_failed_total{integration="webhook",reason="clientError"} `
	if text := body(t, p.alertmanager+"/metrics"); !strings.Contains(text, counter+"0\n") {
		t.Errorf("there is no zero: %s", counter)
	}
	p.refuses.Store(true)
	p.send(t, failed("proven", "shop", "internal"))
	p.mail(t, paged, "internal")
	within(t, calm, "the failed post is counted", func() bool {
		return strings.Contains(body(t, p.alertmanager+"/metrics"), counter+"1\n")
	})
}

func TestTextFromOutsideIsEscaped(t *testing.T) {
	t.Parallel()
	p := openPost(t)
	a := failed("proven", "shop", "internal")
	a.Annotations["description"] = `<script>alert(1)</script><img src=x onerror=alert(1)>`
	a.Annotations["panel_url"] = `javascript:alert(1)`
	a.Labels["instance"] = `<b>x</b>`
	p.send(t, a)
	m := p.mail(t, paged, "internal")
	for _, bad := range []string{"<script", "<img", `href="javascript`, "<b>x</b>"} {
		if strings.Contains(m.HTML, bad) {
			t.Errorf("the mail contains %s", bad)
		}
	}
}

// keep leaves a mail where WXNOTIFY_KEEP_MAIL says, for a look at it.
func keep(t *testing.T, name string, m mail) {
	t.Helper()
	dir := os.Getenv("WXNOTIFY_KEEP_MAIL")
	if dir == "" {
		return
	}
	for ending, text := range map[string]string{".html": m.HTML, ".txt": m.Text} {
		if err := os.WriteFile(filepath.Join(dir, name+ending), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func contains(t *testing.T, part, text string, wanted ...string) {
	t.Helper()
	for _, w := range wanted {
		if !strings.Contains(text, w) {
			t.Errorf("the %s part lacks %q:\n%s", part, w, text)
		}
	}
}

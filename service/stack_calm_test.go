//go:build stack

package main

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"wxnotify/service/simulator/webhook"
	"wxnotify/service/simulator/wechat"
)

// healthyRun is an ordinary day: everything WeChat Pay sends is accepted once,
// it probes, it repeats itself, strangers knock. Nobody is told.
func healthyRun(t *testing.T, s *stack, r *reporter) {
	w := r.world("calm")
	send := func(m *wechat.Message, f wechat.Fault, want int) {
		t.Helper()
		if status, body := w.post(t, m.Sign(f, time.Now())); status != want {
			t.Fatalf("%s %s: answered %d %s, want %d", m.Kind, f, status, body, want)
		}
	}
	accepted, duplicates, probes, noise := 0.0, 0.0, 0.0, 0.0
	for _, kind := range wechat.Kinds() {
		if kind == wechat.Unclassifiable {
			continue // it pages: somebody must look at it
		}
		success := http.StatusNoContent
		if kind.V2() {
			success = http.StatusOK
		}
		m := w.wechat.Message(kind, wechat.NewOrder(100))
		for _, probe := range []wechat.Fault{wechat.Probe, wechat.ProbeBadBase64} {
			if probe.Fits(kind) {
				send(m, probe, http.StatusUnauthorized)
				probes++
			}
		}
		send(m, wechat.None, success)
		send(m, wechat.None, success)
		accepted, duplicates = accepted+1, duplicates+1
	}
	stranger := newAccount("calm")
	stranger.NotifyURL = w.wechat.NotifyURL
	for _, knock := range []struct {
		kind   wechat.Kind
		fault  wechat.Fault
		answer int
	}{
		{wechat.Payment, wechat.Oversize, http.StatusRequestEntityTooLarge},
		{wechat.Payment, wechat.WrongPath, http.StatusNotFound},
		{wechat.PaymentMD5, wechat.Unsigned, http.StatusUnauthorized},
		{wechat.Payment, wechat.Unsigned, http.StatusUnauthorized},
	} {
		send(stranger.Message(knock.kind, wechat.NewOrder(100)), knock.fault, knock.answer)
		noise++
	}
	for range 10 {
		send(stranger.Message(wechat.Payment, wechat.NewOrder(100)), wechat.Junk, http.StatusUnauthorized)
		noise++
	}
	ended := time.Now()
	send(w.wechat.Message(wechat.Payment, wechat.NewOrder(100)), wechat.None, http.StatusNoContent) // the last one is known
	accepted++

	const processed = `wechatpay_callback_processed_total{deployment_environment_name="calm",`
	const last = `max(wechatpay_callback_last_seconds{deployment_environment_name="calm",merchant="calm"})`
	within(t, time.Minute, "Prometheus has all of it, also what the store says", func() bool {
		return s.total(t, processed+`outcome="accepted"}`) == accepted &&
			s.total(t, processed+`outcome="duplicate"}`) == duplicates &&
			s.total(t, processed+`class="probe"}`) == probes && s.total(t, processed+`class="noise"}`) == noise &&
			s.total(t, last) >= float64(ended.Unix())
	})
	s.evaluated(t)
	// How full this machine's disk is says nothing about the run.
	expected := []string{"Watchdog", "WechatPayDiskFilling"}
	for _, a := range s.activeAlerts(t) {
		environment := a.Labels["deployment_environment_name"]
		if (environment == r.environment || environment == "") && !slices.Contains(expected, a.Labels["alertname"]) {
			t.Errorf("%s on a healthy day: %v", a.State, a.Labels)
		}
	}
	// The way to people works, or silence would mean nothing: the Watchdog came
	// to the webhook, and never becomes a mail.
	within(t, time.Minute, "the Watchdog comes", func() bool {
		return slices.ContainsFunc(s.inbox.Pages(), func(p webhook.Page) bool { return p.Receiver == "watchdog" })
	})
	if mails := s.mails.all("Watchdog"); len(mails) > 0 {
		t.Errorf("the Watchdog was mailed: %s", mails[0].Subject)
	}
}

// nothingAbout looks again when everything is over.
func (s *stack) nothingAbout(t *testing.T, environment string) {
	t.Helper()
	for _, m := range s.mails.all(environment) {
		t.Errorf("a mail about %s: %s\n%s", environment, m.Subject, m.Text)
	}
	for _, p := range s.inbox.Pages() {
		for _, a := range p.Alerts {
			if a.Labels["deployment_environment_name"] == environment {
				t.Errorf("a page about %s: %v", environment, a.Labels)
			}
		}
	}
}

//go:build stack

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/dingtalk"
)

// TestStackPager holds wxnotify's own pager to its promises on the real parts,
// with the Alertmanager configuration for who has channels: everything is told,
// once, whoever sees it first, and also by a wxnotify that nothing watches.
func TestStackPager(t *testing.T) {
	t.Parallel()
	s := newStack(t, toldByPager)
	token := s.postToPager(t)
	f := newFront(t, s)
	both := s.guard(t, f, token, pagerBoth, "stale", "key", "stranger", "fence")
	relay := s.guard(t, f, token, pagerAlertmanager, "relayed", "fence")
	s.up(t, "alertmanager", "prometheus", "otel-collector")
	s.readMails(t)
	t.Run("told", func(t *testing.T) {
		t.Run("once, seen by both", func(t *testing.T) { t.Parallel(); toldOnce(t, s, f, both) })
		t.Run("once, seen by Alertmanager alone", func(t *testing.T) { t.Parallel(); toldByRelay(t, s, f, relay) })
		t.Run("without the metrics stack", func(t *testing.T) { t.Parallel(); toldAlone(t, s) })
	})
	t.Run("service down", func(t *testing.T) { serviceDown(t, s, f, both) })
}

// mailedDirectly is what wxnotify cannot report about itself.
var mailedDirectly = map[string]string{
	"WechatPayServiceDown": "page-by-mail", "WechatPayTelemetryAbsent": "page-by-mail", "WechatPayCollectorDropping": "notice-by-mail",
	"WechatPayPagerFailing": "notice-by-mail", "WechatPayAlertmanagerFailing": "notice-by-mail",
}

// TestStackPagerRoutes: everything else goes to the pager, also what nobody has
// foreseen.
func TestStackPagerRoutes(t *testing.T) {
	t.Parallel()
	amtool, err := exec.Command("../.ci/tool", "amtool").Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"Watchdog": "watchdog", "WechatPayOutstandingUnchanged": "nobody", "AnAlertOfYours": "pager"}
	pages, err := filepath.Glob("../alerts/runbooks/*.zh-CN.md")
	if err != nil || len(pages) < 10 {
		t.Fatalf("%d runbooks, %v", len(pages), err)
	}
	for _, page := range pages {
		alert := strings.TrimSuffix(filepath.Base(page), ".zh-CN.md")
		if _, special := want[alert]; !special {
			want[alert] = "pager"
		}
	}
	for alert, receiver := range mailedDirectly {
		want[alert] = receiver
	}
	for alert, receiver := range want {
		severity := "warning"
		if receiver == "page-by-mail" {
			severity = "critical"
		}
		got, err := exec.Command(strings.TrimSpace(string(amtool)), "config", "routes", "test",
			"--config.file=../alerts/alertmanager-pager.yml", "alertname="+alert, "severity="+severity).CombinedOutput()
		if strings.TrimSpace(string(got)) != receiver || err != nil {
			t.Errorf("%s goes to %s (%v); want %s", alert, got, err, receiver)
		}
	}
}

// postToPager gives Alertmanager a token to post with, and returns its file.
func (s *stack) postToPager(t *testing.T) (token string) {
	t.Helper()
	s.up(t, "mailpit") // it claims the stack's folder
	token = filepath.Join(s.dir, "secrets", alertmanagerToken)
	if err := errors.Join(os.Mkdir(filepath.Dir(token), 0o700), os.WriteFile(token, []byte(testToken), 0o600)); err != nil {
		t.Fatal(err)
	}
	return token
}

// guarded is a wxnotify that tells a robot and, by mail, Mailpit.
type guarded struct {
	*reporter
	robot *dingtalk.Robot
}

// guard starts one, in the environment of its mode. Its merchants' names begin
// with it.
func (s *stack) guard(t *testing.T, f *front, token, mode string, merchants ...string) *guarded {
	t.Helper()
	for i := range merchants {
		merchants[i] = mode + "-" + merchants[i]
	}
	g := &guarded{}
	g.reporter = s.serve(t, mode, merchants, func(cfg *Config) {
		g.robot = s.reached(t, cfg)
		cfg.Pager.Mode, cfg.Pager.Alertmanager.Token = mode, Secret{File: token}
	})
	f.open(mode, g.private)
	return g
}

// reached has the configuration tell a robot of its own, and Mailpit.
func (s *stack) reached(t *testing.T, cfg *Config) *dingtalk.Robot {
	t.Helper()
	const secret = "SEC0123456789abcdef"
	robot := dingtalk.New(dingtalk.Options{Token: "robot", Secret: secret})
	server, err := dingtalk.Listen(t.Context(), "127.0.0.1:0", robot, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() }) // nobody sends any more
	host, port, err := net.SplitHostPort(s.doors["mailpit:1025"])
	if err != nil {
		t.Fatal(err)
	}
	number, err := strconv.Atoi(port)
	if err != nil {
		t.Fatal(err)
	}
	cfg.Pager.DingTalk = []DingTalkConfig{{URL: Secret{File: written(t, server.URL)}, Secret: Secret{File: written(t, secret)}}}
	cfg.Pager.Email = []EmailConfig{{
		From: "pager@example.com", To: []string{"oncall@example.com"}, Relays: []RelayConfig{{Host: host, Port: number, TLS: "none"}},
	}}
	return robot
}

// headline is how a message names an incident.
func headline(merchant string, reason callback.Reason) string {
	return merchant + " · " + string(reason)
}

// chats are the robot's messages that tell of an incident.
func chats(robot *dingtalk.Robot, incident string) []dingtalk.Message {
	return chatsOf(robot.Messages(), incident)
}

func chatsOf(all []dingtalk.Message, incident string) (found []dingtalk.Message) {
	for _, m := range all {
		if strings.Contains(strings.ReplaceAll(m.Text, `\`, ""), incident) {
			found = append(found, m)
		}
	}
	return found
}

// tells waits until an incident has come to the robot and by mail.
func (s *stack) tells(t *testing.T, limit time.Duration, robot *dingtalk.Robot, incident string) (chat, mailed time.Time) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	within(t, limit, "the robot is told of "+incident, func() bool { return len(chats(robot, incident)) > 0 })
	m, err := s.mails.received(ctx, incident)
	if err != nil {
		t.Fatal(err)
	}
	return chats(robot, incident)[0].At, m.Created
}

// exactlyOnce wants one message on each channel, whoever sent it.
func (s *stack) exactlyOnce(t *testing.T, robot *dingtalk.Robot, incident string) {
	t.Helper()
	if found := chats(robot, incident); len(found) != 1 {
		t.Errorf("%s: %d DingTalk messages: %+v", incident, len(found), found)
	}
	if found := s.mails.all(incident); len(found) != 1 {
		t.Errorf("%s: %d mails: %+v", incident, len(found), found)
	}
}

// posted is how late Alertmanager may be: the paging budget, and the minute after
// which Prometheus tries again where it found no Alertmanager.
const posted = 90 * time.Second

// toldOnce: the pager sees a failure in its store, Alertmanager posts the same
// one, and people hear of it once. The fence is an incident that comes after all
// posts: with its page, any further one would have come.
func toldOnce(t *testing.T, s *stack, f *front, g *guarded) {
	incidents := []struct {
		merchant string
		class    callback.Class
		reason   callback.Reason
		happen   cause
	}{
		{"both-stale", callback.Proven, callback.ReasonTimestampStale, provenCauses[callback.ReasonTimestampStale]},
		{"both-key", callback.Proven, callback.ReasonDecryptFailed, provenCauses[callback.ReasonDecryptFailed]},
		{"both-stranger", callback.Unproven, callback.ReasonSignatureInvalid, unprovenCauses[callback.ReasonSignatureInvalid]},
	}
	for range 3 {
		for _, i := range incidents {
			i.happen(t, g.reporter, g.world(i.merchant))
		}
	}
	for _, i := range incidents {
		s.tells(t, pageBudget, g.robot, headline(i.merchant, i.reason))
		within(t, posted, "Alertmanager posts "+string(i.reason), func() bool { return f.took(i.merchant, i.class, i.reason) })
	}
	fail(t, g.world("both-fence"))
	s.tells(t, pageBudget, g.robot, headline("both-fence", callback.ReasonTimestampStale))
	for _, i := range incidents {
		s.exactlyOnce(t, g.robot, headline(i.merchant, i.reason))
	}
}

// toldByRelay: a pager that does not look for itself tells what Alertmanager
// posts, and not before.
func toldByRelay(t *testing.T, s *stack, f *front, g *guarded) {
	for _, merchant := range []string{"alertmanager-relayed", "alertmanager-fence"} {
		fail(t, g.world(merchant))
		incident := headline(merchant, callback.ReasonTimestampStale)
		chat, _ := s.tells(t, posted, g.robot, incident)
		if at, took := f.first(merchant); !took || chat.Before(at) {
			t.Errorf("%s was told before Alertmanager posted it", incident)
		}
	}
	s.exactlyOnce(t, g.robot, headline("alertmanager-relayed", callback.ReasonTimestampStale))
}

// serviceDown: what wxnotify cannot say itself is mailed without it.
func serviceDown(t *testing.T, s *stack, f *front, g *guarded) {
	if err := g.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = g.Wait()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	m, err := s.mails.received(ctx, "WechatPayServiceDown")
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("mailed: %s", m.Subject)
	for _, p := range f.posts() {
		if _, direct := mailedDirectly[p.labels["alertname"]]; direct {
			t.Errorf("posted to the pager: %v", p.labels)
		}
	}
}

// What the pager alone is measured with. DingTalk bears 15 messages a minute, and
// a trial that joins another's message would be none.
const (
	aloneTrials = 24
	alonePause  = 4300 * time.Millisecond
	aloneBudget = 5 * time.Second
)

// toldAlone: no collector, no Prometheus, no Alertmanager. It measures from the
// failure's answer to the message, one merchant for each trial.
func toldAlone(t *testing.T, s *stack) {
	var merchants []string
	for i := range aloneTrials {
		merchants = append(merchants, fmt.Sprintf("alone-%02d", i))
	}
	var robot *dingtalk.Robot
	r := prepare(t, "alone", merchants, func(cfg *Config) {
		robot = s.reached(t, cfg)
		cfg.Pager.Mode = pagerEmbedded
	})
	r.runsAs(launch(t, r.file)) // nothing in its environment names a collector
	toRobot, toMailbox := make([]time.Duration, aloneTrials), make([]time.Duration, aloneTrials)
	pace := time.NewTicker(alonePause)
	defer pace.Stop()
	for i, merchant := range merchants {
		fail(t, r.world(merchant))
		answered := time.Now()
		chat, mailed := s.tells(t, time.Minute, robot, headline(merchant, callback.ReasonTimestampStale))
		toRobot[i], toMailbox[i] = max(0, chat.Sub(answered)), max(0, mailed.Sub(answered))
		<-pace.C
	}
	table := latencyTable(leg{"the message at DingTalk's stand-in", toRobot}, leg{"the mail in the mailbox", toMailbox})
	t.Log("\n" + table)
	if worst := max(slices.Max(toRobot), slices.Max(toMailbox)); worst > aloneBudget {
		t.Errorf("a page took %s, the budget is %s", worst, aloneBudget)
	}
	if *update {
		writeLatency(t, "alone", "wxnotify built with "+runtime.Version(), table)
	}
}

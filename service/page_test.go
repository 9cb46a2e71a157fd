package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/wechat"
)

var pageTrials = flag.Int("page-trials", 3, "how often the service is killed between a failure and its page")

// told is one page as the person's own program got it.
type told struct {
	Occasion string
	Rule     string
	Merchant string
	Class    callback.Class
	Reason   callback.Reason
	Count    int64
	Orders   []string
	at       time.Time
}

// person is somebody who is told by webhook.
type person struct {
	pages chan told
	url   string
}

func newPerson(t *testing.T) *person {
	t.Helper()
	p := &person{pages: make(chan told, 100)}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var message struct{ Pages []told }
		if err := json.NewDecoder(r.Body).Decode(&message); err != nil {
			t.Errorf("a message that is no JSON: %v", err)
		}
		for _, page := range message.Pages {
			page.at = time.Now()
			p.pages <- page
		}
	}))
	t.Cleanup(server.Close)
	p.url = server.URL
	return p
}

// reached has the configuration tell this person.
func (p *person) reached(t *testing.T, cfg *Config) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "webhook")
	if err := os.WriteFile(path, []byte(p.url), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg.Pager.Webhook = []WebhookConfig{{URL: Secret{File: path}}}
}

// next is the next page.
func (p *person) next(t *testing.T) told {
	t.Helper()
	select {
	case page := <-p.pages:
		return page
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
		return told{}
	}
}

// TestFailurePages is promise P4 on the running service: a failure is told
// within seconds, with what ends the investigation; probes and noise are not.
func TestFailurePages(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	w := newWorld(t, func(cfg *Config) { p.reached(t, cfg) })
	order := wechat.NewOrder(1288)
	message := w.wechat.Message(wechat.Payment, order)
	w.post(t, message.Sign(wechat.Probe, time.Now()))
	w.post(t, wechat.Sending{URL: w.wechat.NotifyURL, Header: http.Header{}, Body: []byte("hello")})
	w.post(t, w.wechat.Message(wechat.Payment, wechat.NewOrder(1)).Sign(wechat.None, time.Now()))
	began := time.Now()
	w.post(t, message.Sign(wechat.Stale, time.Now()))
	page := p.next(t)
	if page.Reason != callback.ReasonTimestampStale || page.Occasion != "opened" || page.Merchant != "shop" || page.Class != callback.Proven || page.Count < 1 {
		t.Errorf("the page says %+v", page)
	}
	t.Logf("told %s after it was sent", page.at.Sub(began).Round(time.Millisecond))
	w.end(t)
	close(p.pages)
	for page := range p.pages {
		t.Errorf("and one more: %+v", page)
	}
}

// TestPageSurvivesKill: the process is killed at some moment between the failure
// and its page, and the next one tells.
func TestPageSurvivesKill(t *testing.T) {
	t.Parallel()
	var waits []time.Duration
	copies, before := 0, 0
	for trial := range *pageTrials {
		account := *shop()
		p := newPerson(t)
		cfg := configFor(t, &account)
		p.reached(t, &cfg)
		config := writeConfig(t, cfg)
		first := launch(t, config)
		account.NotifyURL = notifyURL(first.public, account.Name)
		w := &world{wechat: &account}
		w.post(t, account.Message(wechat.Payment, wechat.NewOrder(100)).Sign(wechat.Stale, time.Now()))
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond) // not a wait: the moment of the kill is what is tried
		if err := first.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = first.Wait()
		began := time.Now()
		untold := len(p.pages) == 0
		launch(t, config)
		page := p.next(t)
		if page.Reason != callback.ReasonTimestampStale || page.Occasion != "opened" {
			t.Errorf("trial %d: the page says %+v", trial, page)
		}
		if untold {
			waits = append(waits, page.at.Sub(began))
		} else {
			before++
		}
		select {
		case <-p.pages: // one copy per crash is allowed
			copies++
		default:
		}
	}
	slices.Sort(waits)
	t.Logf("%d trials: %d told before the kill, %d after it, so long after the restart: %s; %d copies",
		*pageTrials, before, len(waits), waits, copies)
}

// TestHeartbeat: a dead man's switch elsewhere hears of us while people can be
// told, and no longer when they cannot.
func TestHeartbeat(t *testing.T) {
	t.Parallel()
	beats := make(chan struct{}, 10)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { beats <- struct{}{} }))
	t.Cleanup(elsewhere.Close)
	p := newPerson(t)
	newWorld(t, func(cfg *Config) {
		p.reached(t, cfg)
		path := filepath.Join(t.TempDir(), "heartbeat")
		if err := os.WriteFile(path, []byte(elsewhere.URL), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Pager.Heartbeat.URL = Secret{File: path}
	})
	select {
	case <-beats:
	case <-time.After(20 * time.Second):
		t.Error("nobody elsewhere hears of us")
	}
}

// TestNobodyToTell: without a channel the service says so, once.
func TestNobodyToTell(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.end(t)
	if n := strings.Count(fmt.Sprint(w.records), "nobody is told of failures"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

// TestHeartbeatRefused: it is said, once, and the address is told to nobody.
func TestHeartbeatRefused(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked.Add(1) }))
	t.Cleanup(other.Close)
	elsewhere := httptest.NewServer(http.RedirectHandler(other.URL, http.StatusFound))
	t.Cleanup(elsewhere.Close)
	p := newPerson(t)
	w := newWorld(t, func(cfg *Config) {
		p.reached(t, cfg)
		path := filepath.Join(t.TempDir(), "heartbeat")
		if err := os.WriteFile(path, []byte(elsewhere.URL+"/a-token"), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Pager.Heartbeat.URL = Secret{File: path}
	})
	eventually(t, "the refused heartbeat is in the log", func() bool { return strings.Contains(w.records.String(), "the heartbeat is not taken") })
	if asked.Load() > 0 || strings.Contains(w.records.String(), "a-token") {
		t.Errorf("another host was asked %d times, or the token was written down", asked.Load())
	}
}

// TestStrangersPath: what a stranger wrote into the path reaches nobody, and is
// no second incident while the database is away.
func TestStrangersPath(t *testing.T) {
	t.Parallel()
	p := newPerson(t)
	w := newWorld(t, func(cfg *Config) { p.reached(t, cfg) })
	h := heard{nil, w.service}
	for path, want := range map[string]string{"shop": "shop", "CALL +8613800000000 NOW": callback.OtherMerchant, strings.Repeat("A", 3000): callback.OtherMerchant} {
		if got := h.merchant(callback.Envelope{Merchant: path}, callback.Refuse(callback.ReasonSignatureInvalid, "")); got != want {
			t.Errorf("heard of %.40q as %.40q, want %q", path, got, want)
		}
	}
}

// TestOneRobotTwice: two limiters for one robot would make it mute.
func TestOneRobotTwice(t *testing.T) {
	t.Parallel()
	robot := func() DingTalkConfig {
		path := filepath.Join(t.TempDir(), "url")
		if err := os.WriteFile(path, []byte("https://oapi.dingtalk.com/robot/send?access_token=1"), 0o600); err != nil {
			t.Fatal(err)
		}
		return DingTalkConfig{URL: Secret{File: path}, Keyword: "k"}
	}
	cfg := PagerConfig{Language: "en", DingTalk: []DingTalkConfig{robot(), robot()}}
	if _, err := cfg.routes(nil); err == nil || !strings.Contains(err.Error(), "pager.dingtalk.1.url") || strings.Contains(err.Error(), "access_token") {
		t.Errorf("taken: %v", err)
	}
}

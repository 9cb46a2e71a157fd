//go:build stack

package main

import (
	"bufio"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/dingtalk"
	"wxnotify/service/simulator/wechat"
)

// TestStackDefault starts what `make stack` starts, as it is: the demo's account,
// its robot and its token. The service sees a failure, Alertmanager posts it, and
// people hear of it once.
func TestStackDefault(t *testing.T) {
	t.Parallel()
	s := newStack(t, "")
	s.up(t, "mailpit", "dingtalk", "alertmanager", "prometheus", "otel-collector", "service")
	s.readMails(t)
	shop, err := wechat.ReadMerchant(filepath.Join(s.dir, "account"))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{wechat: shop, public: "http://" + s.doors["service:8080"]}
	shop.NotifyURL = notifyURL(w.public, shop.Name)
	fail(t, w)
	stale := headline(shop.Name, callback.ReasonTimestampStale)
	within(t, posted, "Alertmanager posts it", func() bool { return s.postedToPager(t) > 0 })
	// The fence: with its page, another one about the first would have come.
	order := shop.Message(wechat.Payment, wechat.NewOrder(100))
	if status, body := w.post(t, order.Sign(wechat.Undecryptable, time.Now())); status != http.StatusInternalServerError {
		t.Fatalf("answered %d %s", status, body)
	}
	for _, incident := range []string{headline(shop.Name, callback.ReasonDecryptFailed), stale} {
		within(t, posted, "both channels tell of "+incident, func() bool {
			return len(s.robotHas(t, incident)) > 0 && len(s.mails.all(incident)) > 0
		})
	}
	if told, mails := s.robotHas(t, stale), s.mails.all(stale); len(told) != 1 || len(mails) != 1 {
		t.Errorf("%d messages at the robot, %d mails; want one each: %+v %+v", len(told), len(mails), told, mails)
	}
	if all := s.mails.all(); len(all) != 2 {
		t.Errorf("%d mails about two incidents: Alertmanager mails, too: %+v", len(all), all)
	}
}

// robotHas asks the stack's robot what it was told of an incident.
func (s *stack) robotHas(t *testing.T, incident string) []dingtalk.Message {
	t.Helper()
	var taken struct{ Messages []dingtalk.Message }
	if err := getJSON(t.Context(), "http://"+s.doors["dingtalk:8082"]+"/messages", &taken); err != nil {
		t.Fatal(err)
	}
	return chatsOf(taken.Messages, incident)
}

// postedToPager is how many alerts the pager has taken from Alertmanager: all that
// it posted in peace, but the heartbeats, which have come here.
func (s *stack) postedToPager(t *testing.T) (n int) {
	t.Helper()
	for _, counter := range []struct {
		series string
		sign   int
	}{{"alertmanager_notifications_total", 1}, {"alertmanager_notifications_failed_total", -1}} {
		n += counter.sign * s.alertmanagerCounts(t, counter.series+`{integration="webhook"`)
	}
	return n - len(s.inbox.Pages())
}

// alertmanagerCounts sums up the series of Alertmanager's own that begin so.
func (s *stack) alertmanagerCounts(t *testing.T, series string) (sum int) {
	t.Helper()
	answer, err := http.Get("http://" + s.doors["alertmanager:9093"] + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		if !strings.HasPrefix(lines.Text(), series) {
			continue
		}
		n, err := strconv.Atoi(lines.Text()[strings.LastIndex(lines.Text(), " ")+1:])
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}

//go:build stack

package main

import (
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/wechat"
)

// TestStackRestarts kills what lies between a failure and its page, on a stack
// of its own: the others would notice.
func TestStackRestarts(t *testing.T) {
	t.Parallel()
	s := newStack(t, toldByAlertmanager)
	s.up(t, stackParts...)
	s.readMails(t)
	t.Run("service", func(t *testing.T) { serviceKilled(t, s) })
	r := s.serve(t, "restarts", merchantsOf(restarted), nil)
	for _, part := range restarted {
		t.Run(part, func(t *testing.T) { partKilled(t, s, r, part) })
	}
	t.Run("without the collector", func(t *testing.T) { withoutCollector(t, s) })
}

// killedWithin is how soon after the failure's answer the process is gone.
const killedWithin = 50 * time.Millisecond

// pagedAfterRestart is how late a page may be then. An alert that Prometheus
// could not deliver is sent again after a minute.
const pagedAfterRestart = 90 * time.Second

// serviceKilled is promise P4 on the real parts: killed right after the failure
// was answered, before any export, and started again.
func serviceKilled(t *testing.T, s *stack) {
	var merchants []string
	for i := range 5 {
		merchants = append(merchants, "killed-"+strconv.Itoa(i))
	}
	r := s.serve(t, "killed", merchants, nil)
	for _, merchant := range merchants {
		w := r.world(merchant)
		fail(t, w)
		answered := time.Now()
		if err := r.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(answered); took > killedWithin {
			t.Errorf("the kill came %s after the answer, too late to prove anything", took)
		}
		_ = r.Wait()
		r.start(t, s)
		page := s.paged(t, pagedAfterRestart, r.environment, merchant, callback.ReasonTimestampStale, callback.Proven)
		t.Logf("paged %.1f s after the answer", page.Sub(answered).Seconds())
	}
}

// fail sends a callback that fails.
func fail(t *testing.T, w *world) {
	t.Helper()
	message := w.wechat.Message(wechat.Payment, wechat.NewOrder(100))
	if status, body := w.post(t, message.Sign(wechat.Stale, time.Now())); status != http.StatusUnauthorized {
		t.Fatalf("answered %d %s", status, body)
	}
}

// restarted are the parts between a failure and its page.
var restarted = []string{"prometheus", "alertmanager", "otel-collector"}

// merchantsOf are two for each part: one whose callback fails just before the
// part is killed, and one whose callback fails while it is gone.
func merchantsOf(parts []string) (all []string) {
	for _, part := range parts {
		all = append(all, part+"-before", part+"-without")
	}
	return all
}

// partKilled kills a part of the stack in the moment of the failure, lets another
// callback fail without it, and starts it again.
func partKilled(t *testing.T, s *stack, r *reporter, part string) {
	text, err := os.ReadFile(filepath.Join(s.dir, "pid", part))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	merchants := merchantsOf([]string{part})
	fail(t, r.world(merchants[0]))
	answered := time.Now()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	fail(t, r.world(merchants[1]))
	s.up(t, part)
	for _, merchant := range merchants {
		page := s.paged(t, pagedAfterRestart, r.environment, merchant, callback.ReasonTimestampStale, callback.Proven)
		t.Logf("%s: paged %.1f s after the first answer", merchant, page.Sub(answered).Seconds())
	}
}

// An outage of the collector: callbacks are taken in all the while.
const (
	outageCallbacks = 200
	outageLasts     = 10 * time.Second
)

// withoutCollector is promise P5 on the real parts: callbacks are answered as
// ever, and what happened meanwhile is told afterwards, whatever the protocol.
func withoutCollector(t *testing.T, s *stack) {
	var hit []*reporter
	for protocol := range otlpDoors {
		name := "outage-" + strings.ReplaceAll(protocol, "/", "-")
		r := prepare(t, name, []string{name}, nil)
		r.protocol = protocol
		r.start(t, s)
		hit = append(hit, r)
	}
	take := func() (last []wechat.Order, p99 []time.Duration) {
		pace := time.NewTicker(outageLasts / outageCallbacks)
		defer pace.Stop()
		last, p99 = make([]wechat.Order, len(hit)), make([]time.Duration, len(hit))
		took := make([][]time.Duration, len(hit))
		for range outageCallbacks {
			<-pace.C
			for i, r := range hit {
				last[i] = wechat.NewOrder(100)
				took[i] = append(took[i], accepted(t, r.world(r.environment), last[i]))
			}
		}
		for i := range hit {
			slices.Sort(took[i])
			p99[i] = took[i][len(took[i])*99/100]
		}
		return last, p99
	}
	_, before := take()
	s.down(t, "otel-collector")
	last, during := take()
	s.up(t, "otel-collector")
	for i, r := range hit {
		t.Run(r.protocol, func(t *testing.T) {
			t.Parallel()
			t.Logf("p99 of %d callbacks: %s with the collector, %s without", outageCallbacks, before[i], during[i])
			// The same latency class: far from WeChat Pay's 5 s on a busy machine, too.
			if during[i] > 10*before[i]+50*time.Millisecond {
				t.Errorf("p99 without the collector: %s, with it: %s", during[i], before[i])
			}
			toldAfterwards(t, s, r.environment, last[i])
		})
	}
}

// accepted sends a sound payment and says how long the answer took.
func accepted(t *testing.T, w *world, order wechat.Order) time.Duration {
	t.Helper()
	sending := w.wechat.Message(wechat.Payment, order).Sign(wechat.None, time.Now())
	began := time.Now()
	if status, body := w.post(t, sending); status != http.StatusNoContent {
		t.Fatalf("answered %d %s", status, body)
	}
	return time.Since(began)
}

// toldAfterwards waits until the stores have all that happened in an environment,
// also the last callback of the outage.
func toldAfterwards(t *testing.T, s *stack, environment string, last wechat.Order) {
	t.Helper()
	within(t, 2*time.Minute, "the trace of the last callback during the outage", func() bool {
		return len(s.tracesWith(t, "wechatpay.out_trade_no", last.OutTradeNo)) == 1
	})
	records := `{service_name="wxnotify", deployment_environment_name="` + environment + `"} | wechatpay_status="accepted"`
	within(t, 2*time.Minute, "its record, and every other", func() bool {
		return len(s.records(t, records+` | wechatpay_out_trade_no="`+last.OutTradeNo+`"`)) == 1 &&
			s.count(t, `sum(count_over_time(`+records+` [1h]))`) == 2*outageCallbacks
	})
	within(t, 2*time.Minute, "every callback is counted", func() bool {
		return s.total(t, `wechatpay_callback_processed_total{merchant="`+environment+`",outcome="accepted"}`) == 2*outageCallbacks
	})
}

//go:build stack

package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/wechat"
	"wxnotify/service/store/storetest/server"
)

// TestReplicas is promises P1 to P4 with two processes on one database.
func TestReplicas(t *testing.T) {
	t.Parallel()
	program := build(t)
	for _, e := range server.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			for _, prove := range []struct {
				what string
				that func(*testing.T, string, *server.Server)
			}{
				{"once", bookedOnce},
				{"one is killed", oneIsKilled},
				{"rolling restart", rollingRestart},
				{"one tells", oneTells},
			} {
				t.Run(prove.what, func(t *testing.T) { prove.that(t, program, server.Shared(t, e)) })
			}
		})
	}
}

// bookedOnce fires copies of the same notifications at both replicas in the same
// instant, payments and refunds of the same orders among them.
func bookedOnce(t *testing.T, program string, s *server.Server) {
	const purchases, copies = 120, 2
	c := newCluster(t, program, s, nil, direct, direct)
	var messages []*wechat.Message
	for range purchases {
		messages = append(messages, c.purchase()...)
	}
	rand.Shuffle(len(messages), func(i, j int) { messages[i], messages[j] = messages[j], messages[i] })
	c.all(messages, func(m *wechat.Message) {
		var fired, sent sync.WaitGroup
		fired.Add(1)
		for _, r := range c.replicas {
			for range copies {
				sending := m.Sign(wechat.None, time.Now())
				sent.Go(func() {
					fired.Wait()
					c.deliver(m, sending, r)
				})
			}
		}
		fired.Done()
		sent.Wait()
	})
	if got, want := c.total(), len(messages)*copies*len(c.replicas); got.acknowledged != want {
		t.Errorf("%+v; want %d acknowledged; %v", got, want, c.errors)
	}
	c.audit(t)
	gaugesEqual(t, c)
}

// gaugesEqual: whichever replica is asked, it tells the same.
func gaugesEqual(t *testing.T, c *cluster) {
	t.Helper()
	const failures = 7
	for i := range failures {
		m := c.account.Message(wechat.Payment, wechat.NewOrder(100))
		if status, err := c.post(m.Sign(wechat.Stale, time.Now()), c.replicas[i%2]); status != http.StatusUnauthorized {
			t.Fatalf("answered %d, %v", status, err)
		}
	}
	names := []string{"wechatpay_callback_failures", "wechatpay_notification_outstanding", "wechatpay_notification_outstanding_amount"}
	eventually(t, "both report the same failures and the same missing money", func() bool {
		one, other := c.replicas[0].metrics(t), c.replicas[1].metrics(t)
		for _, name := range names {
			if a := series(one, name); a == "" || a != series(other, name) {
				return false
			}
		}
		return metric(t, one, "wechatpay_callback_failures", `error_type="timestamp_stale"`) == failures &&
			metric(t, one, "wechatpay_notification_outstanding") == failures &&
			metric(t, one, "wechatpay_notification_outstanding_amount") == failures*100
	})
}

// series are the lines of one metric.
func series(text, name string) string {
	var lines strings.Builder
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, name+"{") {
			lines.WriteString(line)
		}
	}
	return lines.String()
}

// oneIsKilled kills one replica after the other in the middle of a batch.
func oneIsKilled(t *testing.T, program string, s *server.Server) {
	const kills = 6
	c := newCluster(t, program, s, nil, direct, direct)
	c.balance(t)
	end := c.load(t, 0)
	for i := range kills {
		r := c.replicas[i%len(c.replicas)]
		before := c.total()
		eventually(t, "there is a batch to be killed in", func() bool {
			return c.total().acknowledged > before.acknowledged+100 && r.inFlight.Load() > senders/4
		})
		r.kill()
		r.start(t)
	}
	end()
	if got := c.total(); got.none < kills {
		t.Errorf("%d kills, and only %d callbacks were under way: %+v", kills, got.none, got)
	}
	c.audit(t)
	c.heal(t)
	c.audit(t)
	t.Logf("%d kills, %+v, slowest %s", kills, c.total(), c.slowest)
}

// rollingRestart replaces one replica after the other under load, behind a load
// balancer that repeats nothing.
func rollingRestart(t *testing.T, program string, s *server.Server) {
	const rounds = 2
	c := newCluster(t, program, s, nil, direct, direct)
	c.balance(t)
	end := c.load(t, 20*time.Millisecond)
	more := func(n int) {
		before := c.total().acknowledged
		eventually(t, "callbacks are acknowledged", func() bool { return c.total().acknowledged > before+n })
	}
	for i := range rounds * len(c.replicas) {
		more(50)
		r := c.replicas[i%len(c.replicas)]
		r.signal(t, syscall.SIGTERM)
		select {
		case err := <-r.ended:
			if err != nil {
				t.Errorf("SIGTERM ended in %v", err)
			}
			r.ended <- err
		case <-time.After(30 * time.Second):
			t.Fatal("still running 30 s after SIGTERM")
		}
		r.start(t)
	}
	more(50)
	end()
	if got := c.total(); got.refused+got.none+got.wrong > 0 {
		t.Errorf("%+v, %v", got, c.errors)
	}
	c.audit(t)
	t.Logf("%d restarts, %+v, slowest %s", rounds*len(c.replicas), c.total(), c.slowest)
}

// oneTells: both replicas see a failure, one tells people; when it is killed, the
// other does.
func oneTells(t *testing.T, program string, s *server.Server) {
	p := newPerson(t)
	c := newCluster(t, program, s, func(cfg *Config) { p.reached(t, cfg) }, direct, direct)
	fail := func(to *replica, f wechat.Fault, want callback.Reason) {
		m := c.account.Message(wechat.Payment, wechat.NewOrder(100))
		if status, err := c.post(m.Sign(f, time.Now()), to); status/100 == 2 || err != nil {
			t.Fatalf("%s: answered %d, %v", want, status, err)
		}
	}
	times, kills := map[callback.Reason]int{}, 0
	count := func(page told) {
		if times[page.Reason]++; page.Occasion != "opened" || page.Merchant != "shop" {
			t.Errorf("told of %+v", page)
		}
		if copies := times[page.Reason] - 1; copies > kills { // one for each kill is allowed
			t.Errorf("told %d times of %s, after %d kills", copies+1, page.Reason, kills)
		}
	}
	tells := func(want callback.Reason) {
		t.Helper()
		for times[want] == 0 && !t.Failed() {
			count(p.next(t))
		}
	}
	// Each fails at both, so that both would tell if nobody stopped them.
	both := func(f wechat.Fault, want callback.Reason) {
		t.Helper()
		for _, r := range c.replicas {
			fail(r, f, want)
		}
		for _, r := range c.replicas {
			eventually(t, "the replica sees the failures", func() bool {
				return metric(t, r.metrics(t), "wechatpay_callback_failures", `error_type="`+string(want)+`"`) == 2
			})
		}
		tells(want)
	}
	both(wechat.Stale, callback.ReasonTimestampStale)
	both(wechat.Undecryptable, callback.ReasonDecryptFailed)

	holder, other := c.holder(t)
	fail(holder, wechat.ForeignMerchant, callback.ReasonMerchantMismatch)
	holder.kill()
	kills++
	tells(callback.ReasonMerchantMismatch)
	fail(other, wechat.Forged, callback.ReasonSignatureInvalid)
	tells(callback.ReasonSignatureInvalid)
	other.kill()
	for len(p.pages) > 0 {
		count(<-p.pages)
	}
	if len(times) != 4 {
		t.Errorf("told of %v", times)
	}
}

// holder is the replica that tells, by the database; other is the one that
// does not.
func (c *cluster) holder(t *testing.T) (holder, other *replica) {
	t.Helper()
	var name string
	each(t, c.books, `SELECT holder FROM leases`, func(rows *sql.Rows) error { return rows.Scan(&name) })
	for i, r := range c.replicas {
		if strings.HasSuffix(name, fmt.Sprintf("/%d", r.process.Process.Pid)) {
			return r, c.replicas[1-i]
		}
	}
	t.Fatalf("%q is no replica", name)
	return nil, nil
}

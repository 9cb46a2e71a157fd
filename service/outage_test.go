//go:build stack

package main

import (
	"strings"
	"testing"
	"time"

	"wxnotify/service/store/storetest/server"
)

// TestOutages is promises P1 and P3 while the database is away, in every way that
// it can be: the answers are right, the process stays, and it is back at once.
func TestOutages(t *testing.T) {
	t.Parallel()
	program := build(t)
	for _, e := range server.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			for _, prove := range []struct {
				what string
				that func(t *testing.T, program string, e server.Engine)
			}{
				{"restarts", restarts},
				{"faults on the way", faultsOnTheWay},
				{"no answer to COMMIT", noAnswerToCommit},
				{"disk full", diskFull},
				{"a replica stands still", standsStill},
			} {
				t.Run(prove.what, func(t *testing.T) {
					t.Parallel()
					prove.that(t, program, e)
				})
			}
		})
	}
}

// backWithin is how soon after the database is back a callback is acknowledged.
const backWithin = 2 * time.Second

// pace is how long each sender waits: an outage has to fit into the spool.
const pace = 160 * time.Millisecond

// outages is one cluster on which the database is taken away again and again.
type outages struct {
	*cluster
	slowest time.Duration // return of the first acknowledgement
}

// out lets the database go away, waits until WeChat Pay has noticed, and lets it
// come back.
func (o *outages) out(t *testing.T, what string, away, back func()) {
	t.Helper()
	const noticed = 5 // refusals
	before := o.total()
	eventually(t, "callbacks are acknowledged before: "+what, func() bool { return o.total().acknowledged > before.acknowledged })
	before = o.total()
	away()
	eventually(t, "the outage is noticed: "+what, func() bool { return o.total().refused >= before.refused+noticed })
	back()
	began := time.Now()
	eventually(t, "callbacks are acknowledged after: "+what, func() bool {
		_, is := o.acknowledgedAfter(began)
		return is
	})
	latest, _ := o.acknowledgedAfter(began)
	took := latest.Sub(began)
	if o.slowest = max(o.slowest, took); took > backWithin {
		t.Errorf("%s: acknowledged %s after the database was back", what, took)
	}
	for _, r := range o.replicas {
		if !r.alive() {
			t.Fatalf("%s: the process has ended", what)
		}
	}
}

// settle ends the load and looks at what it has left: no answer was wrong, none
// was missing, and nothing is lost.
func (o *outages) settle(t *testing.T, end func()) {
	t.Helper()
	end()
	o.audit(t)
	o.heal(t)
	o.audit(t)
	got := o.total()
	if got.none+got.wrong > 0 {
		t.Errorf("%+v, %v", got, o.errors)
	}
	eventually(t, "nothing is outstanding and the spool is empty", func() bool {
		text := o.replicas[0].metrics(t)
		return metric(t, text, "wechatpay_notification_outstanding", `merchant="shop"`) == 0 &&
			strings.Contains(text, "\nwechatpay_spool_used_bytes 0\n")
	})
	t.Logf("%+v; slowest answer %s; back at the latest after %s", got, o.cluster.slowest, o.slowest)
}

// restarts ends the server under load, gently and not, and starts it again.
func restarts(t *testing.T, program string, e server.Engine) {
	const times = 20
	s, err := server.New(e)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	// The server is away half of the time: more is refused than a small spool holds.
	roomy := func(cfg *Config) { cfg.Spool.Size = defaults().Spool.Size }
	o := &outages{cluster: newCluster(t, program, s, roomy, direct)}
	end := o.load(t, pace)
	for i := range times {
		what, away := "kill", s.Kill
		if i%3 == 2 {
			what, away = "stop", func() error { return s.Stop(t.Context()) }
		}
		o.out(t, what, func() {
			if err := away(); err != nil {
				t.Fatal(err)
			}
		}, func() {
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
	o.settle(t, end)
}

// faultsOnTheWay: the database is well, and cannot be reached, or is heard too
// late.
func faultsOnTheWay(t *testing.T, program string, e server.Engine) {
	s := server.Shared(t, e)
	p := s.Proxy(t)
	o := &outages{cluster: newCluster(t, program, s, nil, p.URL)}
	end := o.load(t, pace)
	for _, fault := range []struct {
		what  string
		begin func()
	}{
		{"refused", p.Down},
		{"reset", func() { p.ResetPeer(0) }},
		{"hangs", func() { p.Timeout(0) }},
		{"slow", func() { p.Latency(3*time.Second, 0) }},
		{"cut in the middle of answers", func() { p.LimitData(100) }},
	} {
		o.out(t, fault.what, fault.begin, p.Heal)
	}
	o.settle(t, end)
}

// noAnswerToCommit cuts the connection after the server has got a COMMIT and
// before its answer arrives, or before the server gets it: which of the two, the
// replica cannot know.
func noAnswerToCommit(t *testing.T, program string, e server.Engine) {
	const times = 10
	s := server.Shared(t, e)
	w := s.Wire(t)
	o := &outages{cluster: newCluster(t, program, s, nil, w.URL)}
	end := o.load(t, pace)
	for hit, cuts, seen := 0, 0, 0; hit < times; cuts++ {
		cut := w.CutAnswer
		if cuts%2 == 1 {
			cut = w.CutQuestion
		}
		select {
		case <-cut([]byte("commit")):
		case <-time.After(20 * time.Second):
			t.Fatal("nobody has sent a COMMIT")
		}
		began := time.Now()
		eventually(t, "the next ones are acknowledged", func() bool { _, is := o.acknowledgedAfter(began); return is })
		if refused := o.total().refused; refused > seen {
			seen = refused
			hit++ // else it was not the callbacks' COMMIT, but that of their notes
		}
		if cuts == 10*times {
			t.Fatalf("of %d cuts, %d hit callbacks", cuts, hit)
		}
	}
	end()
	o.audit(t)
	if o.unknown(t) == 0 {
		t.Error("not one callback was refused and booked all the same")
	}
	o.settle(t, end)
}

// unknown counts the messages that were booked by an arrival that was refused:
// its row says failed since the spool was read.
func (c *cluster) unknown(t *testing.T) (n int) {
	t.Helper()
	for _, b := range c.read(t) {
		if b.standing == "accepted" && b.rows["accepted"] == 0 && b.rows["failed"] > 0 {
			n++
		}
	}
	return n
}

// diskFull fills the server's disk.
func diskFull(t *testing.T, program string, e server.Engine) {
	const times = 3
	s, err := server.New(e, server.WithDisk(400))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	o := &outages{cluster: newCluster(t, program, s, nil, direct)}
	end := o.load(t, pace)
	for range times {
		var free func()
		o.out(t, "disk full", func() { free = s.Fill(t) }, func() {
			free()
			if err := s.Start(t.Context()); err != nil { // if it has ended itself
				t.Fatal(err)
			}
		})
	}
	o.settle(t, end)
}

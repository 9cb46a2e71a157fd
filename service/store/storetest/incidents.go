package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
)

// incidents: every failure that people must know of belongs to one incident,
// and what they were told is not forgotten (P4).
func incidents(t *testing.T, e Engine) {
	failed := func(merchant string, class callback.Class, reason callback.Reason) callback.IncidentKey {
		return callback.FailureIncident(merchant, class, reason)
	}
	t.Run("each failure joins one", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.accept(Payment("1", 100))
		for _, f := range []struct {
			merchant string
			reason   callback.Reason
			class    callback.Class
			times    int
		}{
			{"acme", callback.ReasonDecryptFailed, callback.Proven, 3},
			{"bell", callback.ReasonDecryptFailed, callback.Proven, 1},
			{"acme", callback.ReasonInternal, callback.Proven, 1},
			{"bell", callback.ReasonInternal, callback.Proven, 1},
			{"acme", callback.ReasonSignatureInvalid, callback.Unproven, 1},
			{"acme", callback.ReasonSignatureInvalid, callback.Proven, 1},
			{"acme", callback.ReasonProbe, callback.Probe, 1},
			{"acme", callback.ReasonUnsigned, callback.Noise, 1},
		} {
			for range f.times {
				b.refused(Refuse(f.merchant, f.reason, f.class, nil), f.reason)
			}
		}
		want := map[callback.IncidentKey]int64{
			failed("acme", callback.Proven, callback.ReasonDecryptFailed):      3,
			failed("bell", callback.Proven, callback.ReasonDecryptFailed):      1,
			failed("", callback.Proven, callback.ReasonInternal):               2, // our fault is everybody's
			failed("acme", callback.Unproven, callback.ReasonSignatureInvalid): 1,
			failed("acme", callback.Proven, callback.ReasonSignatureInvalid):   1,
		}
		var all sync.WaitGroup
		for range 4 { // as many replicas at once
			all.Go(func() { _, _ = b.Incidents(t.Context()) })
		}
		all.Wait()
		got := b.incidents()
		for key, count := range want {
			if i := got[key]; i.Count != count || !i.Told.IsZero() || i.Opened.After(i.Latest) || time.Since(i.Opened) > time.Minute {
				t.Errorf("%v: %+v, want %d failures", key, i, count)
			}
		}
		if len(got) != len(want) {
			t.Errorf("%d incidents, want %d: %v", len(got), len(want), got)
		}
		if n := b.count(`SELECT count(*) FROM callbacks WHERE incident = 0 AND outcome = 'failed'`); n != 2 {
			t.Errorf("%d failures outside of incidents, want the probe and the noise", n)
		}
	})
	t.Run("told, joined, closed", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		key := failed("acme", callback.Proven, callback.ReasonMalformed)
		fail := func() {
			b.refused(Refuse("acme", callback.ReasonMalformed, callback.Proven, nil), callback.ReasonMalformed)
		}
		fail()
		first := b.incidents()[key]
		told := time.Now()
		b.must(b.IncidentTold(t.Context(), first.ID, 1, told))
		fail()
		if i := b.crash().incidents()[key]; i.ID != first.ID || i.Count != 2 || i.ToldCount != 1 || !i.Told.Equal(told.Truncate(time.Microsecond)) {
			t.Errorf("after a crash: %+v", i)
		}
		b.incidents()
		b.must(b.CloseIncident(t.Context(), first.ID, 1, time.Now()))
		if i := b.incidents()[key]; i.ID != first.ID || !i.Told.IsZero() {
			t.Errorf("people were told that it is over, and a failure had joined: %+v", i)
		}
		b.must(b.CloseIncident(t.Context(), first.ID, 2, time.Now()))
		if got := b.incidents(); len(got) != 0 {
			t.Errorf("still open: %v", got)
		}
		fail()
		if i := b.incidents()[key]; i.ID == first.ID || i.Count != 1 || !i.Told.IsZero() {
			t.Errorf("the next one: %+v", i)
		}
	})
	t.Run("from outside", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		disk := callback.Incident{
			IncidentKey: callback.IncidentKey{Rule: "WechatPayDiskFilling", Class: "warning", Subject: "host-1"},
			Detail:      "two hours left", Opened: time.Now(), Latest: time.Now(), Count: 1, Lasting: true,
		}
		b.must(b.OpenIncident(t.Context(), disk))
		disk.Detail = "one hour left"
		b.must(b.OpenIncident(t.Context(), disk))
		i := b.incidents()[disk.IncidentKey]
		if len(b.incidents()) != 1 || i.Detail != "one hour left" || !i.Lasting || i.Count != 1 {
			t.Errorf("opened twice: %+v", i)
		}
		b.must(b.EaseIncident(t.Context(), disk.IncidentKey, time.Now().Add(time.Second)))
		if i := b.incidents()[disk.IncidentKey]; i.Lasting || !i.Latest.After(disk.Latest) {
			t.Errorf("eased: %+v", i)
		}
		b.must(b.CloseIncident(t.Context(), i.ID, 1, time.Now().Add(time.Second)))
		b.must(b.OpenIncident(t.Context(), disk))
		if got := b.incidents(); len(got) != 0 {
			t.Errorf("a late copy of an alert opened it anew: %v", got)
		}
		disk.Latest = time.Now().Add(2 * time.Second)
		b.must(b.OpenIncident(t.Context(), disk))
		i, again := b.incidents()[disk.IncidentKey]
		if !again {
			t.Error("one that fires still did not")
		}
		b.must(b.CloseIncident(t.Context(), i.ID, 1, time.Now().Add(time.Hour)))
		if i := b.incidents()[disk.IncidentKey]; i.ID == 0 {
			t.Error("closed while it lasts")
		}
		b.must(b.EaseIncident(t.Context(), disk.IncidentKey, time.Time{}))
		b.must(b.CloseIncident(t.Context(), i.ID, 1, time.Now().Add(time.Hour))) // by a clock that runs ahead
		disk.Latest = time.Now().Add(3 * time.Second)
		b.must(b.OpenIncident(t.Context(), disk))
		if got := b.incidents(); len(got) != 1 {
			t.Errorf("a wrong clock mutes: %v", got)
		}
	})
	t.Run("whatever the names", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		long := callback.IncidentKey{
			Rule: strings.Repeat("规则", 50), Merchant: strings.Repeat("m", 99), Class: "business-critical", Reason: callback.Reason(strings.Repeat("r", 40)), Subject: "a\x00" + strings.Repeat("b", 200),
		}
		b.must(b.OpenIncident(t.Context(), callback.Incident{IncidentKey: long, Opened: time.Now(), Latest: time.Now(), Count: 1, Lasting: true}))
		b.must(b.EaseIncident(t.Context(), long, time.Now()))
		for _, i := range b.incidents() {
			if i.Lasting {
				t.Errorf("it never ends: %+v", i)
			}
		}
	})
	t.Run("how much is missing", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		money := callback.Incident{
			IncidentKey: callback.IncidentKey{Rule: callback.RuleOutstanding, Merchant: "acme"},
			Opened:      time.Now().Add(-time.Hour), Latest: time.Now(), Count: 2, Lasting: true,
		}
		b.must(b.OpenIncident(t.Context(), money))
		money.Count = 7
		b.must(b.OpenIncident(t.Context(), money))
		money.Lasting = false // an echo of it ends nothing
		b.must(b.OpenIncident(t.Context(), money))
		if i := b.incidents()[money.IncidentKey]; i.Count != 7 || !i.Lasting {
			t.Errorf("%+v, want 7 that last", i)
		}
	})
	t.Run("told while the database was away", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.Break()
		b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
		waiting := b.Waiting()
		if len(waiting) != 1 || waiting[0].Reason != callback.ReasonStoreUnavailable || waiting[0].Count != 1 {
			t.Errorf("waiting: %+v", waiting)
		}
		if _, err := b.Incidents(t.Context()); err == nil {
			t.Log("incidents can still be read: nothing was untold in the database")
		}
		b.heal()
		told := time.Now()
		key := failed("", callback.Proven, callback.ReasonStoreUnavailable)
		b.must(b.OpenIncident(t.Context(), callback.Incident{
			IncidentKey: key, Opened: told, Latest: told, Count: 1, Told: told, ToldCount: 1,
		}))
		if i := b.incidents()[key]; i.Count != 1 || i.ToldCount != 1 || i.Told.IsZero() {
			t.Errorf("told again: %+v", i)
		}
		if got := b.Waiting(); len(got) != 0 {
			t.Errorf("still waiting: %+v", got)
		}
	})
	t.Run("facts", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		for n := range 7 {
			p := Payment(fmt.Sprint(n), 100)
			b.refused(Refuse("acme", callback.ReasonDecryptFailed, callback.Proven, &p), callback.ReasonDecryptFailed)
		}
		again := Payment("0", 100)
		b.refused(Refuse("acme", callback.ReasonDecryptFailed, callback.Proven, &again), callback.ReasonDecryptFailed)
		b.accept(Payment("6", 100))
		i := b.incidents()[failed("acme", callback.Proven, callback.ReasonDecryptFailed)]
		facts, err := b.IncidentFacts(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		if len(facts.Amounts) != 1 || facts.Amounts[0] != Fen(700) || fmt.Sprint(facts.Orders) != "[0 1 2 3 4]" || facts.More != 2 ||
			facts.Outstanding != 6 || facts.Left != 15 || facts.Next.Before(time.Now()) || len(facts.Traces) != 3 || i.Count != 8 {
			t.Errorf("facts %+v of %d failures", facts, i.Count)
		}
	})
	t.Run("one tells", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		held := func(holder string, ttl time.Duration) bool {
			held, err := b.Lease(t.Context(), "pager", holder, ttl)
			b.must(err)
			return held
		}
		if !held("ahead", 1000*time.Hour) || !held("a", time.Hour) || held("b", time.Hour) || !held("a", -time.Hour) || !held("b", time.Hour) || held("a", time.Hour) {
			t.Error("the lease was given to both, or to none")
		}
	})
	t.Run("leased by callers who give up", func(t *testing.T) { // for the race detector
		t.Parallel()
		b := start(t, e)
		for range 50 {
			ctx, cancel := context.WithCancel(t.Context())
			b.faults.OnExec(func(query string, _ []driver.NamedValue) error {
				if strings.HasPrefix(query, "UPDATE leases") {
					cancel() // and the transaction goes on
				}
				return nil
			})
			held, err := b.Lease(ctx, "pager", "a", time.Hour)
			if held != (err == nil) || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("held %v, %v", held, err)
			}
		}
	})
}

// incidents is what is open, by key.
func (b *bench) incidents() map[callback.IncidentKey]callback.Incident {
	b.t.Helper()
	list, err := b.Incidents(b.t.Context())
	b.must(err)
	all := make(map[callback.IncidentKey]callback.Incident, len(list))
	for _, i := range list {
		if _, twice := all[i.IncidentKey]; twice {
			b.t.Errorf("two incidents of %v are open", i.IncidentKey)
		}
		all[i.IncidentKey] = i
	}
	return all
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

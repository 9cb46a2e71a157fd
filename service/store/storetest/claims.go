package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// claims: what belongs to an incident is counted once, whatever is added to it,
// by whatever number of replicas (P4), and the page says what is at stake (P8).
func claims(t *testing.T, e Engine) {
	forged := callback.FailureIncident("acme", callback.Unproven, callback.ReasonSignatureInvalid)
	junk := func(from string) callback.Entry {
		entry := Refuse("acme", callback.ReasonSignatureInvalid, callback.Unproven, nil)
		entry.Envelope.Peer = netip.MustParseAddr(from)
		return entry
	}
	t.Run("by two replicas", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		replicas := []*bench{b, b.replica()}
		const failures = 600 // several transactions
		reasons := []callback.Reason{callback.ReasonMalformed, callback.ReasonDecryptFailed}
		var all sync.WaitGroup
		for n := range failures {
			all.Go(func() {
				r := replicas[n%2]
				_, _ = r.record(Refuse("acme", reasons[n/2%2], callback.Proven, nil))
				if n%20 == 0 {
					_, _ = r.Incidents(t.Context())
				}
			})
		}
		all.Wait()
		for range 2 {
			all.Go(func() { _, _ = replicas[0].Incidents(t.Context()) })
			all.Go(func() { _, _ = replicas[1].Incidents(t.Context()) })
		}
		all.Wait()
		got := b.incidents()
		for _, reason := range reasons {
			if i := got[callback.FailureIncident("acme", callback.Proven, reason)]; i.Count != failures/2 {
				t.Errorf("%s: %+v, want %d failures", reason, i, failures/2)
			}
		}
	})
	t.Run("closed meanwhile", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		other := b.replica()
		for range 30 {
			b.refused(Refuse("acme", callback.ReasonMalformed, callback.Proven, nil), callback.ReasonMalformed)
			var both sync.WaitGroup
			both.Go(func() { _, _ = b.Incidents(t.Context()) })
			both.Go(func() {
				for _, i := range b.unclosed() {
					if other.CloseIncident(t.Context(), i.ID, i.Count, time.Now()) != nil {
						t.Error("not closed")
					}
				}
			})
			both.Wait()
		}
		b.incidents()
		told := b.count(`SELECT sum(count) FROM incidents`)
		if lost := b.count(`SELECT count(*) FROM callbacks WHERE incident = 0`); told != 30 || lost != 0 {
			t.Errorf("%d failures counted, %d in no incident", told, lost)
		}
	})
	t.Run("a flood is counted to the last", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, func(o *store.Options) { o.StrayRows = 5 })
		const flood = 300
		b.refused(junk("198.51.100.9"), callback.ReasonSignatureInvalid) // a stranger, once
		for n := range flood - 1 {
			b.refused(junk("203.0.113.7"), callback.ReasonSignatureInvalid)
			if n%50 == 0 {
				b.incidents()
			}
		}
		b.eventually("all are counted", func() bool { return b.incidents()[forged].Count == flood })
		i := b.incidents()[forged]
		f, err := b.IncidentFacts(t.Context(), i)
		b.must(err)
		rows := b.count(`SELECT count(*) FROM callbacks`)
		if len(f.Sources) != 2 || f.Sources[0].Network != "203.0.113.0/24" || f.Sources[0].Count != rows-1 || f.Sampled != rows {
			t.Errorf("sources %+v of a sample of %d; %d rows", f.Sources, f.Sampled, rows)
		}
	})
	t.Run("history is one", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		now := time.Now().Add(-48 * time.Hour)
		b := start(t, e, func(o *store.Options) { o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now } })
		for n := range 3 {
			entry := Refuse(fmt.Sprint("shop", n), callback.ReasonMalformed, callback.Proven, nil)
			entry.Envelope.Received = now
			b.refused(entry, callback.ReasonMalformed)
		}
		mu.Lock()
		now = now.Add(48 * time.Hour)
		mu.Unlock()
		b.refused(Refuse("acme", callback.ReasonMalformed, callback.Proven, nil), callback.ReasonMalformed)
		got := b.incidents()
		today := got[callback.FailureIncident("acme", callback.Proven, callback.ReasonMalformed)]
		old := got[callback.IncidentKey{Rule: callback.RuleHistory, Class: "warning"}]
		if len(got) != 2 || today.Count != 1 || old.Count != 3 || old.Critical() || time.Since(old.Latest) < 47*time.Hour {
			t.Errorf("incidents %+v", got)
		}
	})
	t.Run("missing money", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		for _, n := range []string{"1", "2", "3", "4", "5", "6"} {
			p := Payment(n, 8800)
			b.refused(Refuse("acme", callback.ReasonTimestampStale, callback.Proven, &p), callback.ReasonTimestampStale)
		}
		b.accept(Payment("1", 8800))
		i := callback.Incident{
			IncidentKey: callback.IncidentKey{Rule: callback.RuleOutstanding, Merchant: "acme"},
			Opened:      time.Now(), Latest: time.Now(), Lasting: true, Count: 1,
		}
		b.must(b.OpenIncident(t.Context(), i))
		i.Count = 500
		b.must(b.OpenIncident(t.Context(), i))
		if got := b.incidents()[i.IncidentKey]; got.Count != 500 {
			t.Errorf("500 are outstanding; the page counts %d", got.Count)
		}
		i.Count = 5
		b.must(b.OpenIncident(t.Context(), i))
		i = b.incidents()[i.IncidentKey]
		f, err := b.IncidentFacts(t.Context(), i)
		b.must(err)
		if i.Count != 5 || !f.Known || len(f.Amounts) != 1 || f.Amounts[0] != Fen(5*8800) || fmt.Sprint(f.Orders) != "[2 3 4 5 6]" ||
			f.More != 0 || f.Outstanding != 5 || len(f.Traces) != 3 || f.Next.IsZero() || f.Left != 15 {
			t.Errorf("%+v: %+v", i, f)
		}
	})
	t.Run("more money than is looked at", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		const missing = 510
		var all sync.WaitGroup
		for n := range missing {
			p := Payment(fmt.Sprint(n), 100)
			all.Go(func() { _, _ = b.record(Refuse("acme", callback.ReasonTimestampStale, callback.Proven, &p)) })
		}
		all.Wait()
		f, err := b.IncidentFacts(t.Context(), callback.Incident{IncidentKey: callback.IncidentKey{Rule: callback.RuleOutstanding, Merchant: "acme"}})
		b.must(err)
		if f.Outstanding != missing || f.More != missing-5 || f.Amounts[0] != Fen(100*missing) {
			t.Errorf("facts %+v", f)
		}
	})
	t.Run("orders that conflict", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		const orders = 120
		for n := range orders {
			b.register(fmt.Sprint("T2026", n), 100)
		}
		for _, twice := range []int{1, 2} { // a retry counts once
			for n := range 7 {
				order := callback.Order{Merchant: "acme", OutTradeNo: fmt.Sprint("T2026", n), Amount: Fen(200)}
				if _, err := b.RegisterOrder(t.Context(), order); !errors.Is(err, callback.ErrOrderConflict) {
					t.Errorf("time %d: %v", twice, err)
				}
			}
		}
		key := callback.IncidentKey{Rule: callback.RuleOrderConflict, Merchant: "acme"}
		i := b.incidents()[key]
		f, err := b.IncidentFacts(t.Context(), i)
		b.must(err)
		if i.Count != 7 || len(f.Orders) != 5 || f.Orders[0] != "T20260" || f.More != 2 {
			t.Errorf("%+v: %+v", i, f)
		}
		for n := range orders {
			order := callback.Order{Merchant: "acme", OutTradeNo: fmt.Sprint("T2026", n), Amount: Fen(200)}
			_, _ = b.RegisterOrder(t.Context(), order)
		}
		if i := b.incidents()[key]; i.Count != orders || len(b.incidents()) != 1 {
			t.Errorf("of %d: %+v", orders, i)
		}
	})
}

// replica is another process on the same database; a file has one.
func (b *bench) replica() *bench {
	b.t.Helper()
	o := b.opts
	if o.URL == "" {
		return b
	}
	o.SpoolPath += "-2"
	return open(b.t, b.engine, o)
}

// unclosed lists what is open without claiming: as another replica last saw it.
func (b *bench) unclosed() (list []callback.Incident) {
	var rows []struct{ ID, Count int64 }
	if err := b.raw.SelectContext(b.t.Context(), &rows, `SELECT id, count FROM incidents WHERE closed_at = 0`); err != nil {
		b.t.Error(err)
	}
	for _, r := range rows {
		list = append(list, callback.Incident{ID: r.ID, Count: r.Count})
	}
	return list
}

package storetest

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// strays: strangers get a budget of rows, and an exact count.
func strays(t *testing.T, e Engine) {
	const all = `SELECT coalesce(sum(1 + repeats), 0) FROM callbacks WHERE reason = 'signature_invalid'`
	junk := func() callback.Entry {
		return Refuse("acme", callback.ReasonSignatureInvalid, callback.Unproven, nil)
	}
	t.Run("counted exactly", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen, func(o *store.Options) { o.StrayRows = 10 })
		const requests = 500
		b.refused(junk(), callback.ReasonSignatureInvalid)
		var wait sync.WaitGroup
		for range requests - 1 {
			wait.Go(func() { b.refused(junk(), callback.ReasonSignatureInvalid) })
		}
		wait.Wait()
		b.eventually("all are counted", func() bool { return b.count(all) == requests })
		if n := b.count(`SELECT count(*) FROM callbacks`); n != 11 {
			t.Errorf("%d rows, want the first and 10 samples", n)
		}
		s, err := b.Snapshot(t.Context())
		if err != nil || len(s.Failures) != 1 || s.Failures[0].Count != requests {
			t.Errorf("snapshot %+v, %v", s.Failures, err)
		}
	})
	t.Run("what was shed is counted exactly", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen)
		for range 300 {
			b.refused(Refuse("acme", callback.ReasonOverloaded, callback.Proven, nil), callback.ReasonOverloaded)
		}
		b.eventually("all are counted", func() bool {
			return b.count(`SELECT coalesce(sum(1 + repeats), 0) FROM callbacks WHERE reason = 'overloaded' AND class = 'proven'`) == 300
		})
		if n := b.count(`SELECT count(*) FROM callbacks`); n != 1 {
			t.Errorf("%d rows, want the first", n)
		}
	})
	t.Run("counted while counts are written", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen, func(o *store.Options) { o.StrayRows = -1 })
		for range 5 {
			b.refused(junk(), callback.ReasonSignatureInvalid)
		}
		reached, release := b.faults.hold()
		<-reached // the four counted ones are on their way
		for range 7 {
			b.refused(junk(), callback.ReasonSignatureInvalid)
		}
		release()
		b.eventually("all are counted", func() bool { return b.count(all) == 12 })
	})
	t.Run("counted through a closing", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen, func(o *store.Options) { o.StrayRows = -1 })
		for range 50 {
			b.refused(junk(), callback.ReasonSignatureInvalid)
		}
		if err := b.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := b.count(all); n != 50 {
			t.Errorf("%d counted", n)
		}
	})
	t.Run("counted while the database is away", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen)
		b.faults.Break()
		for i := range 50 {
			if r := b.refused(junk(), callback.ReasonSignatureInvalid); r.Trail.Spooled != (i == 0) || (r.Trail.Row != "") != (i == 0) {
				t.Errorf("trail %+v of request %d", r.Trail, i)
			}
		}
		if h := b.Health(t.Context()); h.SpoolEntries != 1 || h.Lost != 0 {
			t.Errorf("health %+v", h)
		}
		b.faults.Heal()
		b.eventually("all are counted", func() bool { return b.count(all) >= 50 })
		if n, rows := b.count(all), b.count(`SELECT count(*) FROM callbacks WHERE length(body) > 0`); n != 50 || rows != 1 {
			t.Errorf("%d counted on %d whole rows", n, rows)
		}
	})
	t.Run("counted once when it is unclear whether the count was written", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen, func(o *store.Options) { o.StrayRows = -1 })
		b.refused(junk(), callback.ReasonSignatureInvalid)
		tried := make(chan struct{})
		b.faults.AfterCommit(sync.OnceValue(func() error { close(tried); return ErrBroken }))
		b.refused(junk(), callback.ReasonSignatureInvalid)
		<-tried
		b.faults.AfterCommit(nil)
		b.refused(junk(), callback.ReasonSignatureInvalid)
		b.eventually("all are counted", func() bool { return b.count(all) >= 3 })
		if n := b.count(all); n != 3 {
			t.Errorf("%d counted", n)
		}
	})
	t.Run("a sample fails when its minute is over", func(t *testing.T) {
		t.Parallel()
		var minute atomic.Int64
		b := start(t, e, func(o *store.Options) {
			o.Now = func() time.Time { return time.Unix(1_800_000_000+60*minute.Load(), 0) }
		})
		b.refused(junk(), callback.ReasonSignatureInvalid)
		reached, gate := make(chan struct{}, 16), make(chan struct{})
		b.faults.BeforeCommit(func() error { reached <- struct{}{}; <-gate; return ErrBroken })
		var both sync.WaitGroup
		both.Go(func() { b.refused(junk(), callback.ReasonSignatureInvalid) }) // the sample
		<-reached
		minute.Add(1)
		both.Go(func() { b.refused(junk(), callback.ReasonSignatureInvalid) }) // the first of its minute
		b.eventually("it waits", func() bool { return b.Local().Pending == 1 })
		b.faults.BeforeCommit(nil)
		close(gate)
		both.Wait()
		b.eventually("all are counted", func() bool { return b.count(all) == 3 })
	})
	t.Run("strangers cannot fill the spool", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen, func(o *store.Options) { o.SpoolSize = 16 << 10 })
		b.faults.Break()
		for i := range 40 {
			b.refused(Refuse(fmt.Sprint("shop", i), callback.ReasonSignatureInvalid, callback.Unproven, nil), callback.ReasonSignatureInvalid)
		}
		if used := b.Local().SpoolUsed; used == 0 || used > 4<<10 {
			t.Errorf("%d bytes for strangers", used)
		}
		if r := b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable); !r.Trail.Spooled {
			t.Error("no room left for a proven one")
		}
		b.faults.Heal()
		b.eventually("all are counted", func() bool { return b.count(all) == 40 })
	})
	t.Run("bodies have a budget", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen, func(o *store.Options) { o.StrayBytes = 100 })
		for _, reason := range []callback.Reason{callback.ReasonSignatureInvalid, callback.ReasonKeyUnknown, callback.ReasonUnsigned, callback.ReasonTooLarge} {
			b.refused(Refuse("acme", reason, reason.Class(), nil), reason)
		}
		rows, bodies := b.count(`SELECT count(*) FROM callbacks`), b.count(`SELECT sum(length(body)) FROM callbacks`)
		if digests := b.count(`SELECT count(*) FROM callbacks WHERE length(digest) = 32`); rows != 4 || digests != 4 || bodies > 100 || bodies == 0 {
			t.Errorf("%d rows, %d digests, %d bytes", rows, digests, bodies)
		}
	})
	t.Run("a new minute, a new first row", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		now := time.Unix(1_800_000_000, 0)
		b := start(t, e, func(o *store.Options) {
			o.StrayRows = -1
			o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		})
		for range 3 {
			if r := b.refused(junk(), callback.ReasonSignatureInvalid); r.Trail.Row == "" {
				t.Error("the first of a minute has no row")
			}
			for range 4 {
				if r := b.refused(junk(), callback.ReasonSignatureInvalid); r.Trail.Row != "" {
					t.Error("a further one has a row")
				}
			}
			mu.Lock()
			now = now.Add(time.Minute)
			mu.Unlock()
		}
		b.eventually("all are counted", func() bool { return b.count(all) == 15 })
		if n := b.count(`SELECT count(*) FROM callbacks`); n != 3 {
			t.Errorf("%d rows", n)
		}
	})
	t.Run("names that strangers make up are one", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen, func(o *store.Options) { o.Merchants, o.StrayRows = []string{"acme"}, -1 })
		for _, name := range []string{"a", "b", "c\x00\xff", "d"} {
			b.refused(Refuse(name, callback.ReasonUnknownMerchant, callback.Noise, nil), callback.ReasonUnknownMerchant)
			b.refused(Refuse(name, callback.ReasonTooLarge, callback.Noise, nil), callback.ReasonTooLarge)
		}
		b.eventually("counted", func() bool {
			return b.count(`SELECT sum(1 + repeats) FROM callbacks WHERE merchant = '_OTHER'`) == 8
		})
		if n := b.count(`SELECT count(*) FROM callbacks`); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
	t.Run("a stranger's row cannot fail a proven one", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, frozen, func(o *store.Options) { o.StrayRows = -1 })
		reached, release := b.faults.hold()
		results := make(chan error, 2)
		go func() { _, err := b.record(Arrive(Payment("1", 100))); results <- err }()
		<-reached
		bad := junk()
		bad.Envelope.ID = "" // no row can have it
		go func() { _, err := b.record(Arrive(Payment("2", 100))); results <- err }()
		stray := make(chan struct{})
		go func() { defer close(stray); b.refused(bad, callback.ReasonSignatureInvalid) }()
		b.eventually("they share a batch", func() bool { return b.Local().Pending == 2 })
		release()
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		<-stray
		b.refused(Refuse("acme", callback.ReasonKeyUnknown, callback.Unproven, nil), callback.ReasonKeyUnknown)
		b.refused(Refuse("acme", callback.ReasonKeyUnknown, callback.Unproven, nil), callback.ReasonKeyUnknown)
		b.eventually("nor hold up the counts of others", func() bool {
			return b.count(`SELECT sum(1 + repeats) FROM callbacks WHERE reason = 'key_unknown'`) == 2
		})
	})
	t.Run("probes", func(t *testing.T) {
		t.Parallel()
		var mu sync.Mutex
		now := time.Now()
		b := start(t, e, func(o *store.Options) {
			o.Now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
		})
		n := Payment("1", 100)
		b.refused(Refuse("acme", callback.ReasonProbe, callback.Probe, nil), callback.ReasonProbe)
		b.refused(Refuse("acme", callback.ReasonProbe, callback.Probe, &n), callback.ReasonProbe)
		if list := b.outstanding(); len(list) != 0 {
			t.Errorf("a fresh probe is outstanding: %+v", list)
		}
		mu.Lock()
		now = now.Add(61 * time.Minute)
		mu.Unlock()
		if list := b.outstanding(); len(list) != 1 || list[0].Reason != callback.ReasonProbe {
			t.Errorf("an hour later: %+v", list)
		}
		if r := b.accept(n); r.Duplicate() || len(b.outstanding()) != 0 {
			t.Errorf("the re-send: %+v", r)
		}
		b.refused(Refuse("acme", callback.ReasonProbe, callback.Probe, &n), callback.ReasonProbe)
		if len(b.outstanding()) != 0 {
			t.Error("a probe reopened an accepted notification")
		}
	})
}

// frozen keeps the clock inside one minute.
func frozen(o *store.Options) {
	at := time.Now()
	o.Now = func() time.Time { return at }
}

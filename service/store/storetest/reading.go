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
	"wxnotify/service/store"
)

// reading: what the gauges, the commands and the search read.
func reading(t *testing.T, e Engine) {
	t.Run("snapshot", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		if s, err := b.Snapshot(t.Context()); err != nil || s.Rows != 0 || len(s.Failures)+len(s.Outstanding)+len(s.LastCallback) != 0 {
			t.Errorf("of an empty store: %+v, %v", s, err)
		}
		b.accept(Payment("1", 100))
		b.register("2", 100)
		b.quarantined(Payment("2", 70), callback.ReasonAmountMismatch)
		b.register("3", 500)
		b.accept(Payment("3", 500))
		b.quarantined(Refund("3", "R3", 400, 30), callback.ReasonAmountMismatch)
		old := Refuse("acme", callback.ReasonDecryptFailed, callback.Proven, nil)
		old.Envelope.Received = time.Now().Add(-6 * time.Minute)
		b.refused(old, callback.ReasonDecryptFailed)
		last := Refuse("bell", callback.ReasonMalformed, callback.Proven, nil)
		b.refused(last, callback.ReasonMalformed)
		s, err := b.Snapshot(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		failures := make(map[string]int64)
		for _, f := range s.Failures {
			failures[fmt.Sprintf("%s/%s/%s", f.Merchant, f.Class, f.Reason)] = f.Count
		}
		if fmt.Sprint(failures) != "map[acme/proven/amount_mismatch:2 bell/proven/malformed:1]" {
			t.Errorf("failures %v", failures)
		}
		if o := s.Outstanding; len(o) != 1 || o[0].Merchant != "acme" || o[0].Reason != callback.ReasonAmountMismatch || o[0].Count != 2 || o[0].Amount != 100 || time.Since(o[0].Oldest) > time.Minute {
			t.Errorf("outstanding %+v", o)
		}
		if at := s.LastCallback["bell"]; !at.Equal(last.Envelope.Received.Truncate(time.Microsecond)) || len(s.LastCallback) != 2 || s.Rows != 6 {
			t.Errorf("last %v, rows %d", s.LastCallback, s.Rows)
		}
	})
	t.Run("the window after a restart", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		failed := Refuse("acme", callback.ReasonMalformed, callback.Proven, nil)
		failed.Envelope.Received = time.Now().Add(-time.Hour)
		b.refused(failed, callback.ReasonMalformed)
		s, err := b.Snapshot(t.Context())
		if err != nil || len(s.Failures) != 0 {
			t.Errorf("an hour later: %+v, %v", s.Failures, err)
		}
		if s, err := b.crash().Snapshot(t.Context()); err != nil || len(s.Failures) != 1 {
			t.Errorf("after a crash: %+v, %v", s.Failures, err)
		}
	})
	t.Run("find", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		first, second := Arrive(Payment("1", 100)), Arrive(Payment("1", 100))
		second.Envelope.Received = first.Envelope.Received.Add(time.Second)
		for _, entry := range []callback.Entry{second, first, Arrive(Refund("1", "R1", 100, 100)), Arrive(Payment("2", 100)), Arrive(Payment("1", 90))} {
			if _, err := b.record(entry); err != nil {
				t.Fatal(err)
			}
		}
		for key, want := range map[string]int{"EV-1": 3, "1": 4, "4200-1": 4, "EV-R1": 1, "nothing": 0, "": 0} {
			found, err := b.Find(t.Context(), key)
			if err != nil || len(found) != want {
				t.Errorf("%q: %d found, want %d: %v", key, len(found), want, err)
			}
			if key == "EV-1" && found[0].Envelope.ID != second.Envelope.ID {
				t.Error("not the newest first")
			}
		}
		if _, err := b.Callback(t.Context(), "nothing"); !errors.Is(err, callback.ErrNotFound) {
			t.Errorf("no such row: %v", err)
		}
	})
	t.Run("outstanding", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		n := Payment("1", 100)
		first := Refuse("acme", callback.ReasonKeyUnknown, callback.Proven, &n)
		first.Envelope.Received = time.Now().Add(-time.Minute)
		b.refused(first, callback.ReasonKeyUnknown)
		b.refused(Refuse("acme", callback.ReasonTimestampStale, callback.Proven, &n), callback.ReasonTimestampStale)
		n2 := Payment("2", 200)
		b.refused(Refuse("acme", callback.ReasonMerchantMismatch, callback.Proven, &n2), callback.ReasonMerchantMismatch)
		list := b.outstanding()
		if len(list) != 2 || list[0].OutTradeNo != "1" || list[0].Arrivals != 2 || list[0].Reason != callback.ReasonTimestampStale ||
			list[0].Amount != Fen(100) || !list[0].First.Before(list[0].Last) {
			t.Errorf("outstanding %+v", list)
		}
		if list, err := b.Outstanding(t.Context(), 1); err != nil || len(list) != 1 {
			t.Errorf("limited: %+v, %v", list, err)
		}
		b.accept(n)
		b.refused(Refuse("acme", callback.ReasonSignatureInvalid, callback.Proven, &n), callback.ReasonSignatureInvalid)
		if list := b.outstanding(); len(list) != 1 {
			t.Errorf("a refused copy reopened an accepted notification: %+v", list)
		}
	})
	t.Run("purge", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, func(o *store.Options) { o.Destinations = nil })
		old := func(entry callback.Entry) callback.Entry {
			entry.Envelope.Received = time.Now().Add(-300 * 24 * time.Hour)
			return entry
		}
		missing := Payment("missing", 100)
		b.refused(old(Refuse("acme", callback.ReasonKeyUnknown, callback.Proven, &missing)), callback.ReasonKeyUnknown)
		for i := range 700 {
			if _, err := b.record(old(Arrive(Payment(fmt.Sprint(i), 100)))); err != nil {
				t.Fatal(err)
			}
		}
		b.accept(Payment("young", 100))
		deleted, err := b.Purge(t.Context(), time.Now().Add(-200*24*time.Hour))
		if err != nil || deleted != 700 || b.count(`SELECT count(*) FROM callbacks`) != 2 {
			t.Errorf("%d deleted, %d left: %v", deleted, b.count(`SELECT count(*) FROM callbacks`), err)
		}
		if r := b.accept(Payment("1", 100)); !r.Duplicate() {
			t.Error("purging made an old copy a new payment")
		}
	})
	t.Run("health while everybody reads", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		reached, gate := make(chan struct{}, 64), make(chan struct{})
		b.faults.OnExec(func(query string, _ []driver.NamedValue) error {
			if strings.Contains(query, "ORDER BY first_at") {
				reached <- struct{}{}
				<-gate
			}
			return nil
		})
		var all sync.WaitGroup
		defer all.Wait()
		defer close(gate)
		for range 8 {
			all.Go(func() { _, _ = b.Outstanding(t.Context(), 1) })
		}
		<-reached
		b.eventually("nobody can read", func() bool {
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			h := b.Health(ctx)
			return errors.Is(h.Database, context.DeadlineExceeded) && ctx.Err() == nil
		})
	})
	t.Run("local", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		if l := b.Local(); l.SpoolSize != 256<<10 || l.SpoolUsed != 0 || l.Pending != 0 || l.DiskFree <= 0 {
			t.Errorf("local %+v", l)
		}
		if h := b.Health(t.Context()); !h.Recordable || h.Database != nil {
			t.Errorf("health %+v", h)
		}
	})
}

package storetest

import (
	"context"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// outage: the audit log has no gap while the database is away, and the process
// recovers by itself (P3).
func outage(t *testing.T, e Engine) {
	t.Run("down, spooled, back", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.Break()
		const callbacks = 20
		for i := range callbacks {
			refusal := b.refused(Arrive(Payment(fmt.Sprint(i), 100)), callback.ReasonStoreUnavailable)
			if !refusal.Trail.Spooled || refusal.Trail.Row == "" || refusal.Status() != 503 {
				t.Fatalf("not in the spool: %+v", refusal.Trail)
			}
			s, err := b.Callback(t.Context(), refusal.Trail.Row)
			if err != nil || s.Reason != callback.ReasonStoreUnavailable || s.Notification.OutTradeNo != fmt.Sprint(i) {
				t.Fatalf("read back by id: %+v, %v", s, err)
			}
		}
		opened := Payment("0", 100)
		kept := b.refused(Refuse("acme", callback.ReasonSignatureInvalid, callback.Proven, &opened), callback.ReasonSignatureInvalid)
		if h := b.Health(t.Context()); !kept.Trail.Spooled || h.Database == nil || !h.Recordable || h.SpoolEntries != callbacks+1 {
			t.Errorf("health %+v", h)
		}
		b.faults.Heal()
		b.eventually("all are imported", func() bool { return b.Local().SpoolUsed == 0 })
		if n := b.count(`SELECT count(*) FROM callbacks WHERE outcome = 'failed' AND status = 503`); n != callbacks {
			t.Errorf("%d rows imported", n)
		}
		if got := len(b.outstanding()); got != callbacks {
			t.Errorf("%d outstanding", got)
		}
		if r := b.accept(Payment("0", 100)); r.Duplicate() || r.Trail().Arrival != 3 {
			t.Errorf("the re-send: %+v", r)
		}
		if got := len(b.outstanding()); got != callbacks-1 {
			t.Errorf("%d outstanding after one was accepted", got)
		}
		if h := b.Health(t.Context()); h.Database != nil || h.Lost != 0 {
			t.Errorf("health %+v", h)
		}
	})
	t.Run("killed while down", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.accept(Payment("before", 100))
		b.faults.Break()
		refusal := b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
		after := b.crash()
		if n := after.count(`SELECT count(*) FROM callbacks WHERE id = ?`, refusal.Trail.Row); n != 1 {
			t.Errorf("%d rows after the restart", n)
		}
		s, err := after.Snapshot(t.Context())
		if err != nil || len(s.Failures) != 1 || s.Failures[0].Count != 1 || s.Failures[0].Reason != callback.ReasonStoreUnavailable {
			t.Errorf("the failure gauge after the restart: %+v, %v", s.Failures, err)
		}
	})
	t.Run("killed while down, and still down", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		var late atomic.Int64
		broken := func() error { return ErrBroken }
		b.faults.BeforeCommit(broken)
		b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
		o := b.engine.Crash(t, b.opts)
		o.Now = func() time.Time { return time.Now().Add(time.Duration(late.Load())) }
		after := openWith(t, e, o, func(f *Faults) { f.BeforeCommit(broken) })
		failures := func() (n int64) {
			s, err := after.Snapshot(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range s.Failures {
				n += f.Count
			}
			return n
		}
		if n := failures(); n != 1 {
			t.Errorf("%d failures while it waits in the spool", n)
		}
		late.Store(int64(20 * time.Minute))
		if n := failures(); n != 1 {
			t.Errorf("%d failures when it has waited for long", n)
		}
		after.heal()
		if n := failures(); n != 1 {
			t.Errorf("%d failures when it has been imported", n)
		}
		late.Add(int64(6 * time.Minute))
		if n := failures(); n != 0 {
			t.Errorf("%d failures six minutes later", n)
		}
	})
	t.Run("the same entry twice", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.Break()
		b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
		copied := b.engine.Crash(t, b.opts) // the spool as it is before the import
		b.faults.Heal()
		b.eventually("imported", func() bool { return b.Local().SpoolUsed == 0 })
		o := b.opts
		o.SpoolPath = copied.SpoolPath
		again := open(t, e, o)
		if n := again.count(`SELECT count(*) FROM callbacks`); n != 1 {
			t.Errorf("%d rows of one arrival", n)
		}
		if list := again.outstanding(); len(list) != 1 || list[0].Arrivals != 1 {
			t.Errorf("outstanding %+v", list)
		}
	})
	t.Run("a bad row in the spool stops nothing", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.Break()
		bad := Payment("bad", 100)
		bad.OutTradeNo = strings.Repeat("x", 200)
		b.refused(Arrive(bad), callback.ReasonStoreUnavailable)
		b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
		b.faults.Heal()
		b.eventually("imported", func() bool { return b.Local().SpoolUsed == 0 })
		if n := b.count(`SELECT count(*) FROM callbacks`); n != 2 {
			t.Errorf("%d rows", n)
		}
	})
	t.Run("a row that panics in the spool stops nothing", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.Break()
		bad := b.refused(Arrive(Payment("bad", 100)), callback.ReasonStoreUnavailable)
		b.faults.Heal()
		b.faults.OnExec(func(query string, args []driver.NamedValue) error {
			if strings.HasPrefix(query, "INSERT INTO callbacks") && !holds(args, "the database refused the row") && holds(args, bad.Trail.Row) {
				panic("driver")
			}
			return nil
		})
		sent := 0
		b.eventually("imported beside the traffic", func() bool {
			sent++
			_, _ = b.record(Arrive(Payment(fmt.Sprint(sent), 100)))
			return b.Local().SpoolUsed == 0
		})
		if n := b.count(`SELECT count(*) FROM callbacks WHERE id = ? AND reason = 'internal'`, bad.Trail.Row); n != 1 {
			t.Error("no row for it")
		}
	})
	t.Run("a full spool only counts", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, func(o *store.Options) { o.SpoolSize = 4 << 10 })
		b.faults.Break()
		spooled, lost := 0, int64(0)
		for i := range 20 {
			refusal := b.refused(Arrive(Payment(fmt.Sprint(i), 100)), callback.ReasonStoreUnavailable)
			if refusal.Trail.Spooled {
				spooled++
			} else if lost++; refusal.Trail.Row != "" || refusal.Status() != 503 {
				t.Errorf("kept nowhere, but %+v", refusal)
			}
		}
		if h := b.Health(t.Context()); spooled == 0 || lost == 0 || h.Lost != lost || h.Recordable {
			t.Errorf("%d spooled, %d lost, health %+v", spooled, lost, h)
		}
		b.faults.Heal()
		b.eventually("imported", func() bool { return b.Local().SpoolUsed == 0 })
		if n := b.count(`SELECT count(*) FROM callbacks`); n != int64(spooled) {
			t.Errorf("%d rows of %d", n, spooled)
		}
	})
	t.Run("without a spool", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, func(o *store.Options) { o.SpoolPath = "" })
		b.faults.Break()
		if r := b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable); r.Trail.Row != "" {
			t.Errorf("kept where? %+v", r.Trail)
		}
	})
	t.Run("requests say that it is away", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.Break()
		if _, err := b.RegisterOrder(t.Context(), callback.Order{Merchant: "acme", OutTradeNo: "1", Amount: Fen(1)}); err == nil {
			t.Error("registered in a broken database")
		}
		b.heal() // without a callback
	})
}

// deadline: an answer in time, whatever the database does.
func deadline(t *testing.T, e Engine) {
	const limit = time.Second // of which a tenth is for the spool
	late := func(t *testing.T, b *bench, n callback.Notification) *callback.Refusal {
		t.Helper()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		r, err := b.Record(ctx, Arrive(n))
		if err == nil || ctx.Err() != nil {
			t.Fatalf("receipt %+v, error %v, context %v", r, err, ctx.Err())
		}
		return callback.AsRefusal(err)
	}
	t.Run("the commit is late", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		reached, release := b.faults.hold()
		refusal := late(t, b, Payment("1", 100))
		if refusal.Reason != callback.ReasonDeadline || !refusal.Trail.Spooled {
			t.Errorf("refusal %v, trail %+v", refusal, refusal.Trail)
		}
		<-reached
		release()
		b.eventually("the committed row is marked", func() bool {
			return b.count(`SELECT count(*) FROM callbacks WHERE id = ? AND outcome = 'failed' AND reason = 'deadline' AND status = 503`, refusal.Trail.Row) == 1
		})
		if r := b.accept(Payment("1", 100)); !r.Duplicate() || r.Trail().Arrival != 2 {
			t.Errorf("the re-send: %+v", r)
		}
		if n := b.count(`SELECT count(*) FROM callbacks`); n != 2 {
			t.Errorf("%d rows of two arrivals", n)
		}
	})
	t.Run("the queue is late", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		reached, release := b.faults.hold()
		first := make(chan error, 1)
		go func() {
			_, err := b.record(Arrive(Payment("1", 100)))
			first <- err
		}()
		<-reached
		refusal := late(t, b, Payment("2", 100))
		if refusal.Reason != callback.ReasonDeadline || !refusal.Trail.Spooled {
			t.Errorf("refusal %v, trail %+v", refusal, refusal.Trail)
		}
		release()
		if err := <-first; err != nil {
			t.Errorf("the first one: %v", err)
		}
		b.eventually("imported as outstanding", func() bool { return len(b.outstanding()) == 1 })
		if r := b.accept(Payment("2", 100)); r.Duplicate() || r.Trail().Arrival != 2 {
			t.Errorf("the re-send: %+v", r)
		}
	})
	t.Run("the time is over before it begins", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		_, release := b.faults.hold()
		defer release()
		ctx, cancel := context.WithDeadline(context.Background(), time.Now().Add(-time.Second))
		defer cancel()
		_, err := b.Record(ctx, Arrive(Payment("1", 100)))
		if refusal := callback.AsRefusal(err); refusal == nil || refusal.Reason != callback.ReasonDeadline || !refusal.Trail.Spooled {
			t.Errorf("not kept: %v", err)
		}
	})
	t.Run("the caller gives up", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		reached, release := b.faults.hold()
		defer release()
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		go func() {
			_, err := b.Record(ctx, Arrive(Payment("1", 100)))
			done <- err
		}()
		<-reached
		cancel()
		if err := <-done; reasonOf(err) != callback.ReasonDeadline {
			t.Errorf("error %v", err)
		}
		release()
		b.eventually("its batch was committed all the same", func() bool {
			return b.count(`SELECT count(*) FROM orders WHERE state = 'paid'`) == 1
		})
	})
	t.Run("the queue is full", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, func(o *store.Options) { o.Queue = 1 })
		reached, release := b.faults.hold()
		results := make(chan error, 2)
		for i := range 2 {
			go func() {
				_, err := b.record(Arrive(Payment(fmt.Sprint(i), 100)))
				results <- err
			}()
			if i == 0 {
				<-reached
			}
		}
		b.eventually("one waits", func() bool { return b.Local().Pending == 1 })
		refusal := b.refused(Arrive(Payment("shed", 100)), callback.ReasonOverloaded)
		if !refusal.Trail.Spooled {
			t.Errorf("trail %+v", refusal.Trail)
		}
		release()
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		b.eventually("the shed one is outstanding", func() bool { return len(b.outstanding()) == 1 })
	})
}

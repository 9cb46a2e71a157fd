package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// durable: no receipt without a commit (P1).
func durable(t *testing.T, e Engine) {
	t.Run("a commit that fails gives no receipt", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.BeforeCommit(func() error { return ErrBroken })
		refusal := b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
		if refusal.Status() != 503 || !errors.Is(refusal, ErrBroken) {
			t.Errorf("status %d, cause %v", refusal.Status(), refusal.Unwrap())
		}
		if n := b.count(`SELECT count(*) FROM notifications WHERE standing = 'accepted'`); n != 0 {
			t.Errorf("%d notifications accepted without a commit", n)
		}
	})
	t.Run("a receipt waits for the commit", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		reached, release := b.faults.hold()
		defer release()
		answered := make(chan callback.Receipt, 1)
		go func() {
			r, _ := b.record(Arrive(Payment("1", 100)))
			answered <- r
		}()
		<-reached
		select {
		case r := <-answered:
			t.Fatalf("receipt %+v before the commit", r)
		default:
		}
		release()
		if r := <-answered; !r.Proof() {
			t.Errorf("no proof after the commit: %+v", r)
		}
	})
	t.Run("what has a receipt survives a crash", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		receipt := b.accept(Payment("1", 100))
		after := b.crash()
		if s, err := after.Callback(t.Context(), receipt.Trail().Row); err != nil || s.Outcome != callback.Accepted {
			t.Errorf("after the crash: %+v, %v", s, err)
		}
		if r := after.accept(Payment("1", 100)); !r.Duplicate() || r.Trail().Arrival != 2 {
			t.Errorf("the re-send after the crash: %+v", r)
		}
	})
	t.Run("an unknown outcome is a failure, the re-send a duplicate", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.AfterCommit(func() error { return ErrBroken })
		refusal := b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
		b.heal()
		if r := b.accept(Payment("1", 100)); !r.Duplicate() {
			t.Errorf("the re-send: %+v", r)
		}
		b.eventually("the row says how it was answered", func() bool {
			return b.count(`SELECT count(*) FROM callbacks WHERE id = ? AND outcome = 'failed' AND reason = 'store_unavailable' AND status = 503`, refusal.Trail.Row) == 1
		})
		if n := b.count(`SELECT count(*) FROM outbox`); n != 1 || b.order("1").State != callback.OrderPaid {
			t.Errorf("%d events, order %s", n, b.order("1").State)
		}
		if len(b.outstanding()) != 0 {
			t.Error("an accepted notification is outstanding")
		}
	})
	t.Run("a connection in place of one that has ended is checked too", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		var checked atomic.Int64
		unsafe := func(err error) {
			b.faults.OnExec(func(query string, _ []driver.NamedValue) error {
				if strings.HasPrefix(query, "PRAGMA synchronous") || strings.HasPrefix(query, "SHOW fsync") || strings.HasSuffix(query, "flush_log_at_trx_commit") {
					checked.Add(1)
					return err
				}
				return nil
			})
		}
		unsafe(nil)
		b.accept(Payment("1", 100))
		b.faults.Drop()
		if r := b.accept(Payment("2", 100)); r.Duplicate() || checked.Load() != 1 {
			t.Errorf("receipt %+v, checked %d times", r, checked.Load())
		}
		unsafe(store.ErrUnsafe)
		b.faults.Drop()
		if r := b.refused(Arrive(Payment("3", 100)), callback.ReasonStoreUnavailable); !errors.Is(r, store.ErrUnsafe) || !r.Trail.Spooled {
			t.Errorf("refusal %v, trail %+v", r.Unwrap(), r.Trail)
		}
		b.heal()
	})
	t.Run("hooks cannot hurt", func(t *testing.T) {
		t.Parallel()
		for name, hook := range map[string]func() func(error){
			"panic before": func() func(error) { panic("hook") },
			"panic after":  func() func(error) { return func(error) { panic("hook") } },
			"nothing":      func() func(error) { return nil },
		} {
			b := start(t, e, withHook(hook))
			if r := b.accept(Payment("1", 100)); r.Outcome() != callback.Accepted {
				t.Errorf("%s: %+v", name, r)
			}
		}
	})
	t.Run("the commit is told", func(t *testing.T) {
		t.Parallel()
		ended := make(chan error, 1)
		b := start(t, e, withHook(func() func(error) { return func(err error) { ended <- err } }))
		if r := b.accept(Payment("1", 100)); r.Trail().Commit != "trace-of-1" {
			t.Errorf("trail %+v", r.Trail())
		}
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	})
	t.Run("closing commits what waits", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		reached, release := b.faults.hold()
		results := make(chan error, 2)
		send := func(no string) {
			_, err := b.record(Arrive(Payment(no, 100)))
			results <- err
		}
		go send("1")
		<-reached
		go send("2")
		b.eventually("the second one waits", func() bool { return b.Local().Pending == 1 })
		closed := make(chan error, 1)
		go func() { closed <- b.Close(context.Background()) }()
		release()
		if err := errors.Join(<-results, <-results, <-closed); err != nil {
			t.Errorf("closing lost a callback: %v", err)
		}
		b.refused(Arrive(Payment("3", 100)), callback.ReasonStoreUnavailable)
	})
}

func withHook(hook func() func(error)) func(*store.Options) {
	return func(o *store.Options) {
		o.Commit = func(ctx context.Context, size int, _ time.Duration) (context.Context, string, func(error)) {
			return ctx, fmt.Sprintf("trace-of-%d", size), hook()
		}
	}
}

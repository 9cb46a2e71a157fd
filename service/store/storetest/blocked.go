package storetest

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// answer is what a caller got, and after how long.
type answer struct {
	receipt callback.Receipt
	err     error
	took    time.Duration
}

// turnstile holds up the next batch, before its transaction begins.
type turnstile struct {
	armed         atomic.Bool
	reached, open chan struct{}
}

func newTurnstile() *turnstile {
	return &turnstile{reached: make(chan struct{}), open: make(chan struct{})}
}

func (g *turnstile) commit(ctx context.Context, _ int, _ time.Duration) (context.Context, string, func(error)) {
	if g.armed.CompareAndSwap(true, false) {
		close(g.reached)
		<-g.open
	}
	return ctx, "", nil
}

// payments are payments 1 to n.
func payments(n int) (all []callback.Notification) {
	for i := range n {
		all = append(all, Payment(fmt.Sprint(i+1), 100))
	}
	return all
}

// together has the store write messages in one batch. The answers are in their
// order.
func (b *bench) together(g *turnstile, limit time.Duration, messages ...callback.Notification) []answer {
	b.t.Helper()
	g.armed.Store(true)
	var all sync.WaitGroup
	all.Go(func() {
		if _, err := b.record(Arrive(Payment("ahead", 1))); err != nil {
			b.t.Error(err)
		}
	})
	<-g.reached
	answers := make([]answer, len(messages))
	for i, n := range messages {
		all.Go(func() { answers[i] = b.answer(n, limit) })
		b.eventually("it waits", func() bool { return b.Local().Pending == i+1 })
	}
	close(g.open)
	all.Wait()
	return answers
}

// answer records a payment as the door does, which waits no longer than limit.
func (b *bench) answer(n callback.Notification, limit time.Duration) (a answer) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	began := time.Now()
	a.receipt, a.err = b.Record(ctx, Arrive(n))
	a.took = time.Since(began)
	return a
}

// blocked: what another client holds and does not let go costs its own callbacks
// an answer, and no others.
func blocked(t *testing.T, s Server) {
	const (
		door   = 4 * time.Second
		order1 = `SELECT state FROM orders WHERE merchant = 'acme' AND out_trade_no = '1' FOR UPDATE`
		row2   = `SELECT id FROM notifications WHERE merchant = 'acme' AND business_key = 'payment/4200-2' FOR UPDATE`
		batch  = 16
	)
	for name, c := range map[string]struct {
		hold []string
		of   int // payments that they hold up
	}{
		"the order":         {[]string{order1}, 1},
		"the notification":  {[]string{row}, 1},
		"both, and a third": {[]string{order1, row, row2}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate := newTurnstile()
			b := start(t, s.Engine, func(o *store.Options) { o.Commit = gate.commit })
			b.register("1", 100)
			for _, no := range []string{"1", "2"} {
				opened := Payment(no, 100)
				b.refused(Refuse("acme", callback.ReasonHeadersMissing, callback.Proven, &opened), callback.ReasonHeadersMissing)
			}
			other, opened := s.rival(b, c.hold...), b.faults.opened.Load()
			for i, a := range b.together(gate, door, payments(batch)...) {
				switch refusal := callback.AsRefusal(a.err); {
				case i >= c.of && (a.err != nil || !a.receipt.Proof()):
					t.Errorf("payment %d, which nobody holds: %v after %s", i+1, a.err, a.took)
				case i < c.of && (refusal == nil || refusal.Reason != callback.ReasonStoreUnavailable || !refusal.Trail.Spooled):
					t.Errorf("payment %d, which is held: %+v, %v after %s", i+1, a.receipt, a.err, a.took)
				}
			}
			// What is held waits in the spool, and is tried again and again meanwhile.
			const meanwhile = 3 * time.Second
			began, sent, slow := time.Now(), 0, time.Duration(0)
			for ; time.Since(began) < meanwhile; sent++ {
				a := b.answer(Payment(fmt.Sprint("later", sent), 100), door)
				if a.err != nil {
					t.Errorf("meanwhile: %v after %s", a.err, a.took)
				}
				if a.took > 200*time.Millisecond {
					slow += a.took
				}
			}
			if slow > meanwhile*2/3 {
				t.Errorf("of %s, the %d others waited %s", meanwhile, sent, slow)
			}
			if h, again := b.Health(t.Context()), b.faults.opened.Load()-opened; h.Database != nil || h.Lost != 0 || again != 0 {
				t.Errorf("health %+v; opened %d times again: a row is not the database", h, again)
			}
			t.Logf("%d callbacks meanwhile; %s of waiting", sent, slow)
			other.end((*sql.Tx).Rollback)
			b.heal()
			waitsAgain(b, s)
			if r := b.accept(Payment("1", 100)); r.Duplicate() || r.Trail().Arrival != 3 {
				t.Errorf("the re-send: %+v", r)
			}
			if n := b.count(`SELECT count(*) FROM outbox`); n != int64(1+batch-c.of+1+sent) {
				t.Errorf("%d events", n)
			}
		})
	}
}

// waitsAgain: nobody is in a hurry any more, and who lets go soon costs nobody an
// answer. A busy machine may take longer to look than the store waits.
func waitsAgain(b *bench, s Server) {
	b.t.Helper()
	for range 10 {
		other := s.rival(b, `SELECT id FROM notifications WHERE merchant = 'acme' AND business_key = 'payment/4200-ahead' FOR UPDATE`)
		done := make(chan error, 1)
		go func() {
			_, err := b.record(Arrive(Payment("ahead", 1)))
			done <- err
		}()
		b.eventually("it waits, or is through", func() bool { return len(done) > 0 || s.Waiting(b.t, b.opts) > 0 })
		other.end((*sql.Tx).Rollback)
		if <-done == nil {
			return
		}
	}
	b.t.Error("a row that is held for a moment is not waited for")
}

package storetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// Server is an engine whose rows other clients can hold.
type Server struct {
	Engine
	// Rival opens the same database as a client that is not ours: nobody ends its
	// transactions, and in a deadlock it is not the one that gives way.
	Rival func(t testing.TB, o store.Options) *sql.DB
	// Waiting is how many of the database's clients wait for another's lock.
	Waiting func(t testing.TB, o store.Options) int
	// Raise are statements after which the server answers the first insertions
	// into callbacks with an error of its own, by the error's code.
	Raise map[string]func(times int) []string
}

// RunRivals is what holds for a server beside [Run].
func RunRivals(t *testing.T, s Server) {
	for name, test := range map[string]func(*testing.T, Server){
		"Changed":  changed,
		"Unknown":  unknown,
		"Deadlock": deadlock,
		"GivesWay": givesWay,
		"Blocked":  blocked,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, s)
		})
	}
}

// rival is another client's transaction.
type rival struct {
	t  testing.TB
	tx *sql.Tx
}

// rival begins with the statements that take hold of something.
func (s Server) rival(b *bench, statements ...string) *rival {
	b.t.Helper()
	client := s.Rival(b.t, b.opts)
	// Much to undo: of two transactions, InnoDB has the one give way that did less.
	ballast := []string{`INSERT INTO ballast VALUES (0)` + strings.Repeat(`, (0)`, 999)}
	if _, err := client.ExecContext(b.t.Context(), `CREATE TABLE IF NOT EXISTS ballast (n INT)`); err != nil {
		b.t.Fatal(err)
	}
	// No more than the rows themselves: MariaDB would lock the gaps between them.
	tx, err := client.BeginTx(context.Background(), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = tx.Rollback() })
	r := &rival{b.t, tx}
	r.exec(append(ballast, statements...)...)
	return r
}

func (r *rival) exec(statements ...string) {
	r.t.Helper()
	for _, statement := range statements {
		if _, err := r.tx.ExecContext(context.Background(), statement); err != nil {
			r.t.Errorf("%s: %v", statement, err)
		}
	}
}

func (r *rival) end(how func(*sql.Tx) error) {
	r.t.Helper()
	if err := how(r.tx); err != nil {
		r.t.Error(err)
	}
}

// patient opens a store that waits longer for another client than a busy machine
// takes to look.
func (s Server) patient(t testing.TB, change ...func(*store.Options)) *bench {
	t.Helper()
	return s.patiently(t, options(t, s.Engine, change))
}

func (s Server) patiently(t testing.TB, o store.Options) *bench {
	t.Helper()
	o.CommitTimeout = time.Minute
	longer := strings.NewReplacer("lock_timeout=1s", "lock_timeout=50s", "lock_wait_timeout=1", "lock_wait_timeout=50")
	return openWith(t, s.Engine, o, func(f *Faults) { f.dsn = longer.Replace })
}

// waits returns when one of the database's clients waits for another.
func (s Server) waits(b *bench) {
	b.t.Helper()
	b.eventually("one waits for the other", func() bool { return s.Waiting(b.t, b.opts) == 1 })
}

const (
	row     = `SELECT id FROM notifications WHERE merchant = 'acme' AND business_key = 'payment/4200-1' FOR UPDATE`
	theirs  = `UPDATE notifications SET facts = '', business_key = 'payment/4200-1', notification_id = 'EV-1' WHERE merchant = 'acme' AND business_key = 'payment/4200-2'`
	discard = `UPDATE notifications SET business_key = 'gone', notification_id = 'gone' WHERE merchant = 'acme' AND business_key = 'payment/4200-1'`
)

// changed: a row that is in the way of an insertion, and another a moment later,
// is no contradiction.
func changed(t *testing.T, s Server) {
	for name, c := range map[string]struct {
		known      bool // the payment is
		hold, then []string
		end        func(*sql.Tx) error
		arrival    int
	}{
		"its row is deleted":             {true, []string{row}, []string{`DELETE FROM notifications WHERE merchant = 'acme' AND business_key = 'payment/4200-1'`}, (*sql.Tx).Commit, 1},
		"its row is another":             {true, []string{row}, []string{discard, theirs}, (*sql.Tx).Commit, 2},
		"its row stays":                  {true, []string{row}, []string{discard, theirs}, (*sql.Tx).Rollback, 2},
		"it is being written":            {false, []string{theirs}, nil, (*sql.Tx).Commit, 2},
		"it is being written, in vain":   {false, []string{theirs}, nil, (*sql.Tx).Rollback, 1},
		"written, and gone before it is": {false, []string{theirs}, []string{discard}, (*sql.Tx).Commit, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := s.patient(t)
			b.accept(Payment("2", 100))
			if c.known {
				b.accept(Payment("1", 100))
			}
			other := s.rival(b, c.hold...)
			done := make(chan struct{})
			go func() {
				defer close(done)
				r, err := b.record(Arrive(Payment("1", 100)))
				if err != nil || r.Reason() != "" || r.Trail().Arrival != c.arrival || r.Duplicate() != (c.arrival > 1) {
					t.Errorf("receipt %+v, error %v, want arrival %d", r, err, c.arrival)
				}
			}()
			s.waits(b)
			other.exec(c.then...)
			other.end(c.end)
			<-done
			if n := b.count(`SELECT count(*) FROM notifications WHERE standing <> 'accepted'`); n != 0 {
				t.Errorf("%d are quarantined or outstanding", n)
			}
			if c.arrival == 1 && b.order("1").State != callback.OrderPaid {
				t.Errorf("order %+v", b.order("1"))
			}
		})
	}
}

// unknown: a commit that was given up comes to its end while its arrival is being
// read back from the spool. The row says how it was answered.
func unknown(t *testing.T, s Server) {
	b := s.patient(t)
	b.accept(Payment("2", 100))
	b.faults.Break()
	refusal := b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
	o := b.engine.Crash(t, b.opts)
	const columns = `merchant, path_merchant, api, received_at, read_at, counted_at, outcome, class, reason, detail, status, arrival, repeats,
	notification_id, kind, event_type, mchid, appid, business_key, out_trade_no, transaction_id, out_refund_no, refund_id, state, result_code,
	amount, currency, refund, refund_currency, created_at, succeeded_at, peer, content_type, length, digest, body_form, body_key, body,
	serial, signed_at, nonce, signature_type, signature, trace`
	ended := s.rival(b, `INSERT INTO callbacks (id, `+columns+`) SELECT '`+refusal.Trail.Row+`', `+columns+` FROM callbacks`)
	var other sync.WaitGroup
	other.Go(func() {
		s.waits(b)
		ended.end((*sql.Tx).Commit)
	})
	after := s.patiently(t, o)
	other.Wait()
	if after.count(`SELECT count(*) FROM callbacks WHERE id = ? AND outcome = 'failed' AND reason = 'store_unavailable' AND status = 503`, refusal.Trail.Row) != 1 {
		t.Error("the row says something else")
	}
}

// deadlock: the server has the store give way to another client, which wants the
// locks in the other order. The same is written when that one is through.
func deadlock(t *testing.T, s Server) {
	const (
		first  = `UPDATE notifications SET last_at = last_at + 1 WHERE merchant = 'acme' AND business_key = 'payment/4200-1'`
		second = `UPDATE notifications SET last_at = last_at + 1 WHERE merchant = 'acme' AND business_key = 'payment/4200-2'`
		order  = `UPDATE orders SET updated_at = updated_at + 1 WHERE merchant = 'acme' AND out_trade_no = '1'`
	)
	for name, c := range map[string]struct {
		from  string // the statement ahead of which the rival takes hold of something
		hold  string
		about func(query string, args []driver.NamedValue) bool // the store's that wants that
		more  []callback.Notification
	}{
		"together": {"BEGIN", order, func(query string, args []driver.NamedValue) bool {
			return strings.Contains(query, "orders") && holds(args, "1")
		}, nil},
		"apart": {"SAVEPOINT apart", second, func(query string, args []driver.NamedValue) bool {
			return holds(args, "payment/4200-2")
		}, []callback.Notification{refusedByAll()}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			gate := newTurnstile()
			b := s.patient(t, func(o *store.Options) { o.Commit = gate.commit })
			b.register("1", 100)
			for _, no := range []string{"1", "2"} {
				opened := Payment(no, 100)
				b.refused(Refuse("acme", callback.ReasonHeadersMissing, callback.Proven, &opened), callback.ReasonHeadersMissing)
			}
			other := s.rival(b)
			var wants sync.WaitGroup
			var take, meet sync.Once
			var begun atomic.Int64
			before, taken := int64(0), false
			b.faults.OnExec(func(query string, args []driver.NamedValue) error {
				if query == "BEGIN" {
					begun.Add(1)
				}
				if query == c.from {
					take.Do(func() {
						other.exec(c.hold)
						taken = true
					})
				}
				if began := begun.Load(); taken && c.about(query, args) {
					meet.Do(func() {
						before = began
						wants.Go(func() {
							other.exec(first)
							other.end((*sql.Tx).Commit)
						})
						s.waits(b)
					})
				}
				return nil
			})
			answers := b.together(gate, 20*time.Second, append(payments(3), c.more...)...)
			wants.Wait()
			b.faults.OnExec(nil)
			for i, a := range answers[:3] {
				if a.err != nil || a.receipt.Duplicate() || a.receipt.Reason() != "" {
					t.Errorf("payment %d: %+v, %v", i+1, a.receipt, a.err)
				}
			}
			if now := begun.Load(); before == 0 || now <= before {
				t.Errorf("begun %d times, %d of them ahead: nobody gave way", now, before)
			}
			if n := b.count(`SELECT count(*) FROM outbox`); n != 4 {
				t.Errorf("%d events of 4 payments", n)
			}
		})
	}
}

// refusedByAll is a payment that no engine takes: the others of its batch are
// written apart.
func refusedByAll() callback.Notification {
	n := Payment("long", 100)
	n.OutTradeNo = strings.Repeat("x", 200)
	return n
}

// givesWay: what the server answers when writers met is tried again, and not for
// ever.
func givesWay(t *testing.T, s Server) {
	for code, raise := range s.Raise {
		for times, want := range map[int]callback.Reason{1: "", 4: "", 5: callback.ReasonStoreUnavailable} {
			t.Run(fmt.Sprintf("%s, %d times", code, times), func(t *testing.T) {
				t.Parallel()
				b := start(t, s.Engine)
				client := s.Rival(t, b.opts)
				for _, statement := range raise(times) {
					if _, err := client.ExecContext(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
				if r, err := b.record(Arrive(Payment("1", 100))); reasonOf(err) != want || r.Proof() != (want == "") {
					t.Errorf("receipt %+v, error %v, want %q", r, err, want)
				}
				b.accept(Payment("2", 100))
			})
		}
	}
}

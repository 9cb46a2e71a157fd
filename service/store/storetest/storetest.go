// Package storetest is what every engine behind the store must do, as one test
// suite. An engine adds itself with an [Engine] value and no further test:
//
//	func TestConformance(t *testing.T) { storetest.Run(t, engine) }
//
// The suite uses what the store exports, plus counting queries on the tables.
// It breaks the database on purpose by a driver of its own, see [Faults].
package storetest

import (
	"context"
	"crypto/rand"
	"fmt"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// Engine is one database engine under test.
type Engine struct {
	// Options point at a fresh database and a fresh spool.
	Options func(t testing.TB) store.Options
	// Raw opens the same database beside the store, to look at it.
	Raw func(t testing.TB, o store.Options) *sqlx.DB
	// Crash is the state a killed process would leave: it gives options for a
	// copy, taken now, of what the store has made durable under o. What a server
	// has is there beside us: then only the spool is a copy.
	Crash func(t testing.TB, o store.Options) store.Options
}

// Run runs the whole suite.
func Run(t *testing.T, e Engine) {
	for name, test := range map[string]func(*testing.T, Engine){
		"Durable":   durable,
		"Once":      once,
		"Audit":     audit,
		"Outage":    outage,
		"Deadline":  deadline,
		"Orders":    orders,
		"Conflict":  conflict,
		"Copies":    copies,
		"Resolve":   resolve,
		"Strays":    strays,
		"Reading":   reading,
		"Incidents": incidents,
		"Claims":    claims,
		"Model":     model,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}

// bench is one store under test with what surrounds it.
type bench struct {
	*store.DB
	t      testing.TB
	engine Engine
	opts   store.Options
	faults *Faults
	raw    *sqlx.DB
}

// start opens a store on a fresh database, with faults ready and one destination.
func start(t testing.TB, e Engine, change ...func(*store.Options)) *bench {
	t.Helper()
	return open(t, e, options(t, e, change))
}

func options(t testing.TB, e Engine, change []func(*store.Options)) store.Options {
	t.Helper()
	o := e.Options(t)
	o.SpoolSize = 256 << 10
	o.Destinations = []string{"shop"}
	for _, c := range change {
		c(&o)
	}
	return o
}

func open(t testing.TB, e Engine, o store.Options) *bench {
	t.Helper()
	return openWith(t, e, o, func(*Faults) {})
}

// openWith opens a store on a database that may be broken already.
func openWith(t testing.TB, e Engine, o store.Options, breaking func(*Faults)) *bench {
	t.Helper()
	b := &bench{t: t, engine: e, faults: new(Faults)}
	breaking(b.faults)
	o.Open = b.faults.Open
	b.opts = o
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	b.DB, b.raw = db, e.Raw(t, o)
	t.Cleanup(func() {
		b.faults.Heal()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := db.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return b
}

// crash opens what the store would find after a kill -9.
func (b *bench) crash() *bench {
	b.t.Helper()
	return open(b.t, b.engine, b.engine.Crash(b.t, b.opts))
}

// count asks one number of the database.
func (b *bench) count(query string, args ...any) (n int64) {
	b.t.Helper()
	if err := b.raw.QueryRowContext(b.t.Context(), b.raw.Rebind(query), args...).Scan(&n); err != nil {
		b.t.Fatalf("%s: %v", query, err)
	}
	return n
}

// record records with a generous deadline.
func (b *bench) record(e callback.Entry) (callback.Receipt, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return b.Record(ctx, e)
}

// accept records a notification that must be accepted or a duplicate.
func (b *bench) accept(n callback.Notification) callback.Receipt {
	b.t.Helper()
	r, err := b.record(Arrive(n))
	if err != nil || !r.Proof() || r.Reason() != "" {
		b.t.Fatalf("%s: receipt %+v, error %v", n.Key, r, err)
	}
	return r
}

// refused records an entry that must be refused for a reason.
func (b *bench) refused(e callback.Entry, reason callback.Reason) *callback.Refusal {
	b.t.Helper()
	r, err := b.record(e)
	if err == nil || r.Proof() {
		b.t.Fatalf("receipt %+v, want a refusal for %s", r, reason)
	}
	refusal := callback.AsRefusal(err)
	if refusal.Reason != reason {
		b.t.Fatalf("refused for %s (%v), want %s", refusal.Reason, refusal.Unwrap(), reason)
	}
	return refusal
}

// quarantined records a notification that must be kept but not believed.
func (b *bench) quarantined(n callback.Notification, reason callback.Reason) callback.Receipt {
	b.t.Helper()
	r, err := b.record(Arrive(n))
	if err != nil || r.Reason() != reason || r.Event() != "" || r.Outcome() != callback.Failed {
		b.t.Fatalf("receipt %+v, error %v, want quarantine for %s", r, err, reason)
	}
	return r
}

// eventually waits for what the store does in the background.
func (b *bench) eventually(what string, ok func() bool) {
	b.t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(15 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			b.t.Fatalf("not in time: %s", what)
		}
	}
}

// reasonOf is the reason of a refusal, or "" if there was none.
func reasonOf(err error) callback.Reason {
	if r := callback.AsRefusal(err); r != nil {
		return r.Reason
	}
	return ""
}

// heal ends the faults and waits until the store has noticed.
func (b *bench) heal() {
	b.t.Helper()
	b.faults.Heal()
	b.eventually("the database is back and the spool empty", func() bool {
		h := b.Health(b.t.Context())
		return h.Database == nil && h.SpoolUsed == 0
	})
}

// order reads an order that must be there.
func (b *bench) order(no string) callback.Order {
	b.t.Helper()
	o, err := b.Order(b.t.Context(), "acme", no)
	if err != nil {
		b.t.Fatalf("order %s: %v", no, err)
	}
	return o
}

// outstanding reads the missing money.
func (b *bench) outstanding() []callback.Outstanding {
	b.t.Helper()
	list, err := b.Outstanding(b.t.Context(), 100)
	if err != nil {
		b.t.Fatalf("outstanding: %v", err)
	}
	return list
}

// Fen is an amount in CNY.
func Fen(n int64) callback.Money { return callback.Money{Minor: n, Currency: "CNY"} }

// Payment is a verified payment of an order of merchant acme.
func Payment(no string, fen int64) callback.Notification {
	return callback.Notification{
		ID: "EV-" + no, API: callback.V3, Kind: callback.Payment, EventType: "TRANSACTION.SUCCESS",
		Merchant: "acme", MchID: "1900000109", AppID: "wx1", Key: "payment/4200-" + no,
		OutTradeNo: no, TransactionID: "4200-" + no, State: "SUCCESS", ResultCode: "SUCCESS",
		Amount: Fen(fen), Created: time.Now(), Succeeded: time.Now(),
	}
}

// Refund is a verified refund of part of that payment.
func Refund(no, id string, total, part int64) callback.Notification {
	return callback.Notification{
		ID: "EV-" + id, API: callback.V3, Kind: callback.Refund, EventType: "REFUND.SUCCESS",
		Merchant: "acme", MchID: "1900000109", Key: "refund/" + id + "/SUCCESS",
		OutTradeNo: no, TransactionID: "4200-" + no, OutRefundNo: "R-" + id, RefundID: id,
		State: "SUCCESS", ResultCode: "SUCCESS", Amount: Fen(total), Refunded: Fen(part),
		Created: time.Now(), Succeeded: time.Now(),
	}
}

// Arrive is one arrival of a verified notification.
func Arrive(n callback.Notification) callback.Entry {
	e := envelope(n.Merchant)
	return callback.Entry{Envelope: e, Body: sealed(e), Notification: &n}
}

// Refuse is one arrival that was refused; with a notification, it was opened.
func Refuse(merchant string, reason callback.Reason, class callback.Class, n *callback.Notification) callback.Entry {
	e := envelope(merchant)
	r := callback.Refuse(reason, "a test").InClass(class)
	r.Notification = n
	return callback.Entry{Envelope: e, Body: sealed(e), Refusal: r}
}

func envelope(merchant string) callback.Envelope {
	id := rand.Text()
	return callback.Envelope{
		ID: id, Merchant: merchant, Received: time.Now(), Read: time.Now(), ContentType: "application/json",
		Signature: callback.Signature{Serial: "SERIAL", Timestamp: "1", Nonce: "NONCE", Value: "VALUE"},
		Body:      []byte(`{"id":"` + id + `"}`), Length: 34,
		Trace: fmt.Sprintf("00-%s-%s-01", id, id[:16]),
	}
}

func sealed(e callback.Envelope) callback.Sealed {
	return callback.Sealed{Form: callback.SealWeChat, Key: "k1", Bytes: e.Body}
}

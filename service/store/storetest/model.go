package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// model: random histories of deliveries, copies, refusals, registrations and
// crashes, against a ledger that fits on a page (P2).
func model(t *testing.T, e Engine) {
	rapid.Check(t, func(rt *rapid.T) {
		required := rapid.Bool().Draw(rt, "orders required")
		h := &history{T: rt, b: start(t, e, func(o *store.Options) { o.OrdersRequired = map[string]bool{"acme": required} })}
		h.ledger = ledger{required: required, notices: map[string]*noticed{}, orders: map[string]*ordered{}}
		rt.Repeat(map[string]func(*rapid.T){
			"deliver":  h.deliver,
			"copies":   h.copies,
			"refuse":   h.refuse,
			"register": h.register,
			"crash":    h.crash,
		})
		h.check()
		if err := h.b.Close(context.Background()); err != nil {
			rt.Fatal(err)
		}
	})
}

type history struct {
	*rapid.T
	b      *bench
	ledger ledger
}

// drawn is one of few messages, so that they meet often.
func drawn(t *rapid.T) callback.Notification {
	no := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "order")
	total := rapid.SampledFrom([]int64{100, 200}).Draw(t, "total")
	if rapid.Bool().Draw(t, "refund") {
		id := rapid.SampledFrom([]string{"a", "b", "c"}).Draw(t, "refund id")
		return Refund(no, no+id, total, rapid.SampledFrom([]int64{30, 60, 250}).Draw(t, "part"))
	}
	n := Payment(no, total)
	if rapid.IntRange(0, 5).Draw(t, "transaction") == 0 {
		n.TransactionID += "-b"
		n.Key, n.ID = "payment/"+n.TransactionID, n.ID+"-b"
	}
	return n
}

func (h *history) deliver(t *rapid.T) {
	n := drawn(t)
	want := h.ledger.arrive(n)
	if got := h.send(n); got != want {
		t.Fatalf("%s: %s, want %s", n.Facts(), got, want)
	}
}

func (h *history) copies(t *rapid.T) {
	n := drawn(t)
	const copies = 5
	got, want := make(map[string]int), make(map[string]int)
	var all sync.WaitGroup
	var mu sync.Mutex
	for range copies {
		want[h.ledger.arrive(n)]++
		all.Go(func() {
			outcome := h.send(n)
			mu.Lock()
			defer mu.Unlock()
			got[outcome]++
		})
	}
	all.Wait()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Fatalf("%s: %v, want %v", n.Facts(), got, want)
	}
}

func (h *history) refuse(t *rapid.T) {
	n := drawn(t)
	h.ledger.refuse(n)
	_, err := h.b.record(Refuse("acme", callback.ReasonKeyUnknown, callback.Proven, &n))
	if reasonOf(err) != callback.ReasonKeyUnknown || callback.AsRefusal(err).Trail.Row == "" {
		t.Fatalf("the refusal: %v", err)
	}
}

func (h *history) register(t *rapid.T) {
	no := rapid.SampledFrom([]string{"1", "2"}).Draw(t, "order")
	fen := rapid.SampledFrom([]int64{100, 200}).Draw(t, "total")
	want := h.ledger.register(no, fen)
	_, err := h.b.RegisterOrder(context.Background(), callback.Order{Merchant: "acme", OutTradeNo: no, Amount: Fen(fen)})
	if (err == nil) != want {
		t.Fatalf("registering %s with %d: %v, want success %v", no, fen, err, want)
	}
}

func (h *history) crash(t *rapid.T) {
	if rapid.IntRange(0, 4).Draw(t, "spared") > 0 {
		return // a restart costs as much as twenty deliveries
	}
	old := h.b
	h.b = old.crash()
	if err := old.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	h.check()
}

func (h *history) send(n callback.Notification) string {
	r, err := h.b.record(Arrive(n))
	switch {
	case err != nil:
		return string(reasonOf(err))
	case r.Reason() != "":
		return string(r.Reason())
	}
	return string(r.Outcome())
}

// check compares everything that the store remembers with the ledger.
func (h *history) check() {
	for no, want := range h.ledger.orders {
		got, err := h.b.Order(context.Background(), "acme", no)
		if err != nil || got.State != want.state() || got.Refunded != want.refunded || got.Amount.Minor != want.total {
			h.Fatalf("order %s: %+v (%v), want %+v", no, got, err, *want)
		}
	}
	if n := h.b.count(`SELECT count(*) FROM orders`); n != int64(len(h.ledger.orders)) {
		h.Fatalf("%d orders, want %d", n, len(h.ledger.orders))
	}
	accepted, open := int64(0), 0
	for _, n := range h.ledger.notices {
		switch n.outcome {
		case "accepted":
			accepted++
		default:
			open++
		}
	}
	if n := h.b.count(`SELECT count(*) FROM outbox`); n != accepted {
		h.Fatalf("%d events, want %d", n, accepted)
	}
	if n := h.b.count(`SELECT count(*) FROM callbacks WHERE outcome = 'accepted'`); n != accepted {
		h.Fatalf("%d transitions, want %d", n, accepted)
	}
	if n := len(h.b.outstanding()); n != open {
		h.Fatalf("%d outstanding, want %d", n, open)
	}
}

// ledger is the model: what the store must remember, without a store.
type ledger struct {
	required bool
	notices  map[string]*noticed
	orders   map[string]*ordered
}

type noticed struct{ facts, outcome string }

type ordered struct {
	total, refunded int64
	paid            bool
	transaction     string
}

func (o *ordered) state() callback.OrderState {
	switch {
	case o.refunded >= o.total:
		return callback.OrderRefunded
	case o.refunded > 0:
		return callback.OrderPartlyRefunded
	case o.paid:
		return callback.OrderPaid
	}
	return callback.OrderExpected
}

func (l *ledger) arrive(n callback.Notification) string {
	known := l.notices[n.Key]
	if known != nil && known.facts != "" && known.facts != n.Facts() {
		l.notices[n.Key+n.Facts()] = &noticed{n.Facts(), "conflict"}
		return "conflict"
	}
	if known != nil && known.outcome != "" && known.outcome != "order_unknown" {
		if known.outcome == "accepted" {
			return "duplicate"
		}
		return known.outcome
	}
	outcome := l.move(n)
	l.notices[n.Key] = &noticed{n.Facts(), outcome}
	return outcome
}

func (l *ledger) refuse(n callback.Notification) {
	if l.notices[n.Key] == nil {
		l.notices[n.Key] = &noticed{}
	}
}

func (l *ledger) move(n callback.Notification) string {
	o := l.orders[n.OutTradeNo]
	refund := n.Kind == callback.Refund
	switch {
	case refund && n.Refunded.Minor > n.Amount.Minor:
		return "conflict"
	case o == nil && l.required:
		return "order_unknown"
	case o == nil:
		o = &ordered{total: n.Amount.Minor}
		l.orders[n.OutTradeNo] = o
	case o.total != n.Amount.Minor:
		return "amount_mismatch"
	case o.transaction != "" && o.transaction != n.TransactionID,
		refund && o.refunded+n.Refunded.Minor > o.total:
		return "conflict"
	}
	o.transaction = n.TransactionID
	if refund {
		o.refunded += n.Refunded.Minor
	} else {
		o.paid = true
	}
	return "accepted"
}

func (l *ledger) register(no string, fen int64) bool {
	o := l.orders[no]
	if o == nil {
		l.orders[no] = &ordered{total: fen}
		return true
	}
	return o.total == fen
}

package storetest

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"strings"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// orders: states only move forward, and contradictions are kept, not credited.
func orders(t *testing.T, e Engine) {
	closed := Refund("1", "R1", 100, 40)
	closed.State, closed.EventType, closed.Key = "CLOSED", "REFUND.CLOSED", "refund/R1/CLOSED"
	other := Payment("1", 100)
	other.TransactionID, other.Key, other.ID = "4200-other", "payment/4200-other", "EV-other"
	dollars := Payment("1", 100)
	dollars.Amount.Currency = "USD"
	bare := Refund("1", "R1", 100, 40)
	bare.Amount.Currency, bare.Refunded.Currency = "", "" // refund notices may name no currency
	odd := Payment("1", 100)
	odd.Kind, odd.Key = callback.Unclassified, "notification/EV-1"
	combined := Payment("1", 100)
	combined.Kind, combined.Key = callback.CombinedPayment, "notification/EV-1"

	type step struct {
		n      callback.Notification
		reason callback.Reason // of a quarantine
	}
	for name, c := range map[string]struct {
		registered int64 // fen; 0: not
		steps      []step
		state      callback.OrderState // "": no order
		refunded   int64
	}{
		"a payment makes its order":           {0, []step{{Payment("1", 100), ""}}, callback.OrderPaid, 0},
		"a payment of a known order":          {100, []step{{Payment("1", 100), ""}}, callback.OrderPaid, 0},
		"too little":                          {100, []step{{Payment("1", 99), callback.ReasonAmountMismatch}}, callback.OrderExpected, 0},
		"another currency":                    {100, []step{{dollars, callback.ReasonAmountMismatch}}, callback.OrderExpected, 0},
		"paid by another transaction":         {0, []step{{Payment("1", 100), ""}, {other, callback.ReasonConflict}}, callback.OrderPaid, 0},
		"part of it back":                     {0, []step{{Payment("1", 100), ""}, {Refund("1", "R1", 100, 40), ""}}, callback.OrderPartlyRefunded, 40},
		"all of it back, in two":              {0, []step{{Payment("1", 100), ""}, {Refund("1", "R1", 100, 40), ""}, {Refund("1", "R2", 100, 60), ""}}, callback.OrderRefunded, 100},
		"a refund counts once":                {0, []step{{Payment("1", 100), ""}, {Refund("1", "R1", 100, 40), ""}, {Refund("1", "R1", 100, 40), ""}}, callback.OrderPartlyRefunded, 40},
		"more back than paid":                 {0, []step{{Payment("1", 100), ""}, {Refund("1", "R1", 100, 60), ""}, {Refund("1", "R2", 100, 60), callback.ReasonConflict}}, callback.OrderPartlyRefunded, 60},
		"more back than the order, at once":   {0, []step{{Refund("1", "R1", 100, 101), callback.ReasonConflict}}, "", 0},
		"a refund of another total":           {0, []step{{Payment("1", 100), ""}, {Refund("1", "R1", 90, 40), callback.ReasonAmountMismatch}}, callback.OrderPaid, 0},
		"the refund comes first":              {0, []step{{Refund("1", "R1", 100, 40), ""}, {Payment("1", 100), ""}}, callback.OrderPartlyRefunded, 40},
		"the full refund comes first":         {0, []step{{Refund("1", "R1", 100, 100), ""}, {Payment("1", 100), ""}}, callback.OrderRefunded, 100},
		"the refund of a known order first":   {100, []step{{Refund("1", "R1", 100, 40), ""}, {Payment("1", 100), ""}}, callback.OrderPartlyRefunded, 40},
		"a refund without currency":           {0, []step{{Payment("1", 100), ""}, {bare, ""}}, callback.OrderPartlyRefunded, 40},
		"a refund without currency, first":    {0, []step{{bare, ""}, {Payment("1", 100), ""}}, callback.OrderPartlyRefunded, 40},
		"a refund that is closed moves none":  {0, []step{{Payment("1", 100), ""}, {closed, ""}}, callback.OrderPaid, 0},
		"a closed refund makes no order":      {0, []step{{closed, ""}}, "", 0},
		"no known shape, no credit":           {100, []step{{odd, callback.ReasonUnclassified}}, callback.OrderExpected, 0},
		"kinds that are not parsed move none": {100, []step{{combined, ""}}, callback.OrderExpected, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, e)
			if c.registered > 0 {
				b.register("1", c.registered)
			}
			events := int64(0)
			for _, s := range c.steps {
				if s.reason != "" {
					b.quarantined(s.n, s.reason)
					b.quarantined(s.n, s.reason) // so do further copies
					continue
				}
				if r := b.accept(s.n); !r.Duplicate() {
					events++
				}
			}
			o, err := b.Order(t.Context(), "acme", "1")
			if c.state == "" {
				if !errors.Is(err, callback.ErrNotFound) {
					t.Errorf("order %+v, %v", o, err)
				}
			} else if o.State != c.state || o.Refunded != c.refunded || o.Amount != Fen(100) {
				t.Errorf("order %+v, %v", o, err)
			}
			if n := b.count(`SELECT count(*) FROM outbox`); n != events {
				t.Errorf("%d events, want %d", n, events)
			}
		})
	}
	t.Run("orders required", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, func(o *store.Options) { o.OrdersRequired = map[string]bool{"acme": true} })
		for range 2 {
			if r := b.refused(Arrive(Payment("1", 100)), callback.ReasonOrderUnknown); r.Status() != 500 || r.Trail.Row == "" {
				t.Errorf("status %d, trail %+v", r.Status(), r.Trail)
			}
		}
		if list := b.outstanding(); len(list) != 1 || list[0].Reason != callback.ReasonOrderUnknown || list[0].Arrivals != 2 {
			t.Errorf("outstanding %+v", list)
		}
		b.register("1", 100)
		if r := b.accept(Payment("1", 100)); r.Duplicate() || r.Trail().Arrival != 3 {
			t.Errorf("after the registration: %+v", r)
		}
		if o := b.order("1"); o.State != callback.OrderPaid || !o.Registered || len(b.outstanding()) != 0 {
			t.Errorf("order %+v, outstanding %v", o, b.outstanding())
		}
	})
	t.Run("registered again", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		order := callback.Order{Merchant: "acme", OutTradeNo: "1", Amount: Fen(100)}
		for i := range 2 {
			if created, err := b.RegisterOrder(t.Context(), order); err != nil || created != (i == 0) {
				t.Errorf("registration %d: %v, %v", i, created, err)
			}
		}
		order.Amount = Fen(200)
		for range 2 {
			if _, err := b.RegisterOrder(t.Context(), order); !errors.Is(err, callback.ErrOrderConflict) {
				t.Errorf("another amount: %v", err)
			}
		}
		if n := b.count(`SELECT count(*) FROM incidents WHERE rule = 'order_conflict' AND merchant = 'acme' AND count = 1`); n != 1 {
			t.Errorf("%d incidents", n)
		}
		if o := b.order("1"); o.Amount != Fen(100) {
			t.Errorf("order %+v", o)
		}
	})
	t.Run("registered by callers who give up", func(t *testing.T) { // for the race detector
		t.Parallel()
		b := start(t, e)
		const orders = 50
		for i := range orders {
			ctx, cancel := context.WithCancel(t.Context())
			b.faults.OnExec(func(query string, _ []driver.NamedValue) error {
				if strings.HasPrefix(query, "INSERT INTO orders") {
					cancel() // and the transaction goes on
				}
				return nil
			})
			created, err := b.RegisterOrder(ctx, callback.Order{Merchant: "acme", OutTradeNo: fmt.Sprint(i), Amount: Fen(100)})
			if created != (err == nil) || err != nil && !errors.Is(err, context.Canceled) {
				t.Errorf("created %v, %v", created, err)
			}
		}
		b.eventually("they are registered all the same", func() bool { return b.count(`SELECT count(*) FROM orders`) == orders })
	})
	t.Run("registered after the callback", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.accept(Payment("1", 100))
		if created, err := b.RegisterOrder(t.Context(), callback.Order{Merchant: "acme", OutTradeNo: "1", Amount: Fen(100)}); created || err != nil {
			t.Errorf("created %v, %v", created, err)
		}
		if o := b.order("1"); o.State != callback.OrderPaid || !o.Registered {
			t.Errorf("order %+v", o)
		}
	})
	t.Run("merchants do not share orders", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.accept(Payment("1", 100))
		theirs := Payment("1", 500)
		theirs.Merchant = "bell"
		if r := b.accept(theirs); r.Duplicate() {
			t.Errorf("%+v", r)
		}
	})
}

func (b *bench) register(no string, fen int64) {
	b.t.Helper()
	if _, err := b.RegisterOrder(b.t.Context(), callback.Order{Merchant: "acme", OutTradeNo: no, Amount: Fen(fen)}); err != nil {
		b.t.Fatal(err)
	}
}

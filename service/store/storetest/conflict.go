package storetest

import (
	"errors"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// conflict: a second message with the same id or key and other facts.
func conflict(t *testing.T, e Engine) {
	sameKey := Payment("1", 999)
	sameKey.ID = "EV-changed"
	sameID := Payment("2", 100)
	sameID.ID = "EV-1"
	for name, second := range map[string]callback.Notification{
		"the same key": sameKey, "the same id": sameID, "the same both": Payment("1", 999),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, e)
			b.accept(Payment("1", 100))
			b.quarantined(second, callback.ReasonConflict)
			if r := b.quarantined(second, callback.ReasonConflict); r.Trail().Arrival != 2 {
				t.Errorf("arrival %d of the contradiction", r.Trail().Arrival)
			}
			if r := b.accept(Payment("1", 100)); !r.Duplicate() || r.Trail().Arrival != 2 {
				t.Errorf("the first message does not stand: %+v", r)
			}
			list := b.outstanding()
			if len(list) != 1 || list[0].Reason != callback.ReasonConflict {
				t.Fatalf("outstanding %+v", list)
			}
			if n := b.count(`SELECT count(*) FROM callbacks WHERE length(body) > 0`); n != 4 {
				t.Errorf("%d bodies kept of 4", n)
			}
			found, err := b.Find(t.Context(), "EV-1")
			if want := map[string]int{"EV-1": 4, "EV-changed": 2}[second.ID]; err != nil || len(found) != want {
				t.Errorf("found %d by id, want %d: %v", len(found), want, err)
			}
			if err := b.Resolve(t.Context(), list[0].ID, false, "a test", "me"); err != nil || len(b.outstanding()) != 0 {
				t.Errorf("resolve: %v, outstanding %v", err, b.outstanding())
			}
			if r := b.accept(second); !r.Duplicate() {
				t.Errorf("after it was rejected: %+v", r)
			}
			if n := b.count(`SELECT count(*) FROM outbox`); n != 1 {
				t.Errorf("%d events", n)
			}
		})
	}
	t.Run("what was only opened does not bind", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		guess := Payment("1", 100)
		guess.Kind, guess.Key = callback.Other, "notification/EV-1"
		b.refused(Refuse("acme", callback.ReasonHeadersMissing, callback.Proven, &guess), callback.ReasonHeadersMissing)
		if r := b.accept(Payment("1", 100)); r.Duplicate() || r.Trail().Arrival != 2 || r.Event() != Payment("1", 100).Event() {
			t.Errorf("the verified copy: %+v", r)
		}
		if len(b.outstanding()) != 0 || b.order("1").State != callback.OrderPaid {
			t.Errorf("outstanding %v, order %+v", b.outstanding(), b.order("1"))
		}
	})
}

// copies: one payment under several notification ids, some of them only opened.
func copies(t *testing.T, e Engine) {
	opened := func(b *bench, id string) {
		b.t.Helper()
		n := callback.Notification{
			ID: id, API: callback.V3, Kind: callback.Other, Merchant: "acme", Key: "notification/" + id, EventType: "TRANSACTION.SUCCESS",
		}
		b.refused(Refuse("acme", callback.ReasonDecryptFailed, callback.Proven, &n), callback.ReasonDecryptFailed)
	}
	under := func(id string) callback.Notification {
		n := Payment("1", 100)
		n.ID = id
		return n
	}
	for name, before := range map[string]func(b *bench){
		"whole under another id, opened under this one": func(b *bench) {
			first := under("EV-other")
			b.refused(Refuse("acme", callback.ReasonTimestampStale, callback.Proven, &first), callback.ReasonTimestampStale)
			opened(b, "EV-1")
		},
		"opened, and accepted under another id": func(b *bench) {
			opened(b, "EV-1")
			b.accept(under("EV-other"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := start(t, e)
			before(b)
			for range 2 {
				b.accept(under("EV-1"))
			}
			if list := b.outstanding(); len(list) != 0 || b.order("1").State != callback.OrderPaid {
				t.Errorf("outstanding %+v, order %+v", list, b.order("1"))
			}
			if n := b.count(`SELECT count(*) FROM outbox`); n != 1 {
				t.Errorf("%d events", n)
			}
			another := Payment("2", 100)
			another.ID = "EV-1"
			b.quarantined(another, callback.ReasonConflict)
		})
	}
}

// resolve: a person ends what cannot end by itself.
func resolve(t *testing.T, e Engine) {
	t.Run("accept books it", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.register("1", 100)
		b.quarantined(Payment("1", 90), callback.ReasonAmountMismatch)
		if err := b.Resolve(t.Context(), "EV-1", true, "the customer had a coupon", "ling"); err != nil {
			t.Fatal(err)
		}
		if o := b.order("1"); o.State != callback.OrderPaid || o.Amount != Fen(90) || o.TransactionID != "4200-1" {
			t.Errorf("order %+v", o)
		}
		if n := b.count(`SELECT count(*) FROM outbox WHERE event_id = ?`, Payment("1", 90).Event()); n != 1 {
			t.Errorf("%d events", n)
		}
		if n := b.count(`SELECT count(*) FROM notifications WHERE standing = 'accepted' AND resolved_by = 'ling' AND resolved_reason <> '' AND closed_at > 0`); n != 1 {
			t.Error("no trace of who decided")
		}
		if r := b.accept(Payment("1", 90)); !r.Duplicate() {
			t.Errorf("a later copy: %+v", r)
		}
		if err := b.Resolve(t.Context(), "EV-1", true, "again", "ling"); !errors.Is(err, store.ErrResolved) {
			t.Errorf("twice: %v", err)
		}
		if n := b.count(`SELECT count(*) FROM outbox`); n != 1 {
			t.Errorf("%d events after a second resolve", n)
		}
	})
	t.Run("reject ends it", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		opened := Payment("1", 100)
		b.refused(Refuse("acme", callback.ReasonKeyUnknown, callback.Proven, &opened), callback.ReasonKeyUnknown)
		if err := b.Resolve(t.Context(), "EV-1", false, "a test order", "ling"); err != nil {
			t.Fatal(err)
		}
		if _, err := b.Order(t.Context(), "acme", "1"); len(b.outstanding()) != 0 || !errors.Is(err, callback.ErrNotFound) {
			t.Errorf("outstanding %v, order %v", b.outstanding(), err)
		}
	})
	t.Run("a reject binds what was verified", func(t *testing.T) {
		t.Parallel()
		for name, c := range map[string]struct {
			seen   func(b *bench)
			booked bool
		}{
			"only opened": {func(b *bench) {
				n := Payment("1", 100)
				b.refused(Refuse("acme", callback.ReasonSignatureInvalid, callback.Proven, &n), callback.ReasonSignatureInvalid)
			}, true},
			"verified": {func(b *bench) {
				b.refused(Arrive(Payment("1", 100)), callback.ReasonOrderUnknown)
			}, false},
			"opened, then verified": {func(b *bench) {
				n := Payment("1", 100)
				b.refused(Refuse("acme", callback.ReasonSignatureInvalid, callback.Proven, &n), callback.ReasonSignatureInvalid)
				b.faults.Break()
				b.refused(Arrive(n), callback.ReasonStoreUnavailable)
				b.heal()
			}, false},
		} {
			b := start(t, e, func(o *store.Options) { o.OrdersRequired = map[string]bool{"acme": true} })
			c.seen(b)
			if err := b.Resolve(t.Context(), "EV-1", false, "forged", "ling"); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			b.register("1", 100)
			receipts := []callback.Receipt{b.accept(Payment("1", 100)), b.accept(Payment("1", 100))}
			if receipts[0].Duplicate() == c.booked || !receipts[1].Duplicate() || len(b.outstanding()) != 0 {
				t.Errorf("%s: %+v, outstanding %+v", name, receipts, b.outstanding())
			}
			want := map[bool]callback.OrderState{true: callback.OrderPaid, false: callback.OrderExpected}[c.booked]
			events := b.count(`SELECT count(*) FROM outbox`)
			if state := b.order("1").State; state != want || (events == 1) != c.booked {
				t.Errorf("%s: order %s, %d events", name, state, events)
			}
		}
	})
	t.Run("a verified failure after a reject is outstanding", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		n := Payment("1", 100)
		b.refused(Refuse("acme", callback.ReasonSignatureInvalid, callback.Proven, &n), callback.ReasonSignatureInvalid)
		if err := b.Resolve(t.Context(), "EV-1", false, "forged", "ling"); err != nil {
			t.Fatal(err)
		}
		b.faults.Break()
		b.refused(Arrive(n), callback.ReasonStoreUnavailable)
		b.heal()
		if list := b.outstanding(); len(list) != 1 || list[0].Reason != callback.ReasonStoreUnavailable {
			t.Errorf("outstanding %+v", list)
		}
	})
	t.Run("accept a refused payment", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		opened := Payment("1", 100)
		b.refused(Refuse("acme", callback.ReasonKeyUnknown, callback.Proven, &opened), callback.ReasonKeyUnknown)
		if err := b.Resolve(t.Context(), "EV-1", true, "asked WeChat Pay", "ling"); err != nil || b.order("1").State != callback.OrderPaid {
			t.Errorf("resolve: %v, order %+v", err, b.order("1"))
		}
	})
	t.Run("an accept books what could be read", func(t *testing.T) {
		t.Parallel()
		for name, fails := range map[string]bool{"it comes again": false, "it comes again and fails, then again": true} {
			b := start(t, e)
			unread := callback.Notification{ID: "EV-1", API: callback.V3, Kind: callback.Other, Merchant: "acme", Key: "notification/EV-1", EventType: "TRANSACTION.SUCCESS"}
			b.refused(Refuse("acme", callback.ReasonDecryptFailed, callback.Proven, &unread), callback.ReasonDecryptFailed)
			if err := b.Resolve(t.Context(), "EV-1", true, "asked WeChat Pay", "ling"); err != nil {
				t.Fatal(err)
			}
			if fails {
				b.faults.Break()
				b.refused(Arrive(Payment("1", 100)), callback.ReasonStoreUnavailable)
				b.heal()
				if list := b.outstanding(); len(list) != 1 {
					t.Errorf("%s: outstanding %+v", name, list)
				}
			}
			first, second := b.accept(Payment("1", 100)), b.accept(Payment("1", 100))
			if first.Duplicate() || !second.Duplicate() || len(b.outstanding()) != 0 {
				t.Errorf("%s: %+v, %+v, outstanding %v", name, first, second, b.outstanding())
			}
			if o, err := b.Order(t.Context(), "acme", "1"); err != nil || o.State != callback.OrderPaid {
				t.Errorf("%s: order %+v, %v", name, o, err)
			}
			if all, its := b.count(`SELECT count(*) FROM outbox`), b.count(`SELECT count(*) FROM outbox WHERE event_id = ?`, first.Event()); all != 1 || its != 1 {
				t.Errorf("%s: %d events, %d of them its own", name, all, its)
			}
		}
	})
	t.Run("a refund is not counted twice", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.accept(Refund("1", "R1", 100, 40))
		b.quarantined(Refund("1", "R1", 100, 50), callback.ReasonConflict)
		if err := b.Resolve(t.Context(), b.outstanding()[0].ID, true, "a test", "ling"); err != nil || b.order("1").Refunded != 40 {
			t.Errorf("resolve: %v, order %+v", err, b.order("1"))
		}
	})
	t.Run("names", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		for _, merchant := range []string{"acme", "bell"} {
			n := Payment("1", 100)
			n.Merchant, n.ID = merchant, "payment/4200-1"
			b.refused(Refuse(merchant, callback.ReasonKeyUnknown, callback.Proven, &n), callback.ReasonKeyUnknown)
		}
		for id, want := range map[string]error{
			"nothing": callback.ErrNotFound, "acme/nothing": callback.ErrNotFound, "payment/4200-1": store.ErrAmbiguous,
		} {
			if err := b.Resolve(t.Context(), id, false, "", ""); !errors.Is(err, want) {
				t.Errorf("%s: %v, want %v", id, err, want)
			}
		}
		if err := b.Resolve(t.Context(), "bell/payment/4200-1", false, "", ""); err != nil {
			t.Error(err)
		}
		if list := b.outstanding(); len(list) != 1 || list[0].Merchant != "acme" {
			t.Errorf("outstanding %+v", list)
		}
	})
}

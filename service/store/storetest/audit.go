package storetest

import (
	"database/sql/driver"
	"strings"
	"sync"
	"testing"

	"wxnotify/service/callback"
)

// audit: every proven arrival has its row before its answer (P3).
func audit(t *testing.T, e Engine) {
	t.Run("every reason has its row before its answer", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		for _, reason := range callback.Reasons() {
			if reason.Quarantined() {
				continue // these are receipts
			}
			for _, class := range reason.Classes() {
				entry := Refuse("acme", reason, class, nil)
				refusal := b.refused(entry, reason)
				if refusal.Trail.Row != entry.Envelope.ID || refusal.Trail.Spooled || refusal.Class != class {
					t.Errorf("%s/%s: %+v", reason, class, refusal)
				}
				if n := b.count(`SELECT count(*) FROM callbacks WHERE id = ? AND outcome = 'failed' AND reason = ? AND class = ? AND status = ?`,
					entry.Envelope.ID, string(reason), string(class), refusal.Status()); n != 1 {
					t.Errorf("%s/%s: no row", reason, class)
				}
			}
		}
	})
	t.Run("the row keeps the arrival", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		entry := Arrive(Refund("1", "R1", 100, 40))
		if _, err := b.record(entry); err != nil {
			t.Fatal(err)
		}
		s, err := b.Callback(t.Context(), entry.Envelope.ID)
		if err != nil {
			t.Fatal(err)
		}
		digest := entry.Envelope.Digest()
		if string(s.Digest) != string(digest[:]) || string(s.Body.Bytes) != string(entry.Body.Bytes) ||
			s.Body.Form != entry.Body.Form || s.Envelope.Signature != entry.Envelope.Signature ||
			s.Envelope.Trace != entry.Envelope.Trace || s.Outcome != callback.Accepted || s.Status != 204 || s.Arrival != 1 ||
			!s.Envelope.Received.Equal(entry.Envelope.Received.Truncate(1000)) {
			t.Errorf("stored %+v", s)
		}
		if s.Notification == nil || s.Notification.Facts() != entry.Notification.Facts() || s.Notification.ID != entry.Notification.ID {
			t.Errorf("notification %+v", s.Notification)
		}
	})
	t.Run("one bad row fails nobody else", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		reached, release := b.faults.hold()
		var all sync.WaitGroup
		send := func(n callback.Notification, reason callback.Reason) {
			r, err := b.record(Arrive(n))
			switch {
			case reason == "" && (err != nil || r.Outcome() != callback.Accepted):
				t.Errorf("%s: a neighbour failed: %+v %v", n.OutTradeNo, r, err)
			case reason != "" && reasonOf(err) != reason:
				t.Errorf("the bad row: %+v %v", r, err)
			}
		}
		all.Go(func() { send(Payment("holds the commit", 1), "") })
		<-reached
		bad := Payment("bad", 100)
		bad.OutTradeNo = strings.Repeat("x", 200)
		all.Go(func() { send(bad, callback.ReasonInternal) })
		for _, no := range []string{"1", "2", "3"} {
			all.Go(func() { send(Payment(no, 100), "") })
		}
		b.eventually("all four share a batch", func() bool { return b.Local().Pending == 4 })
		release()
		all.Wait()
		if n := b.count(`SELECT count(*) FROM callbacks WHERE reason = 'internal' AND class = 'proven'`); n != 1 {
			t.Errorf("%d rows for the bad one", n)
		}
		if list := b.outstanding(); len(list) != 1 || list[0].ID != bad.ID || list[0].Key != bad.Key || list[0].Kind != bad.Kind || list[0].Amount != Fen(100) {
			t.Errorf("its money is not missed: %+v", list)
		}
		bad.OutTradeNo = "bad"
		if r := b.accept(bad); r.Duplicate() || len(b.outstanding()) != 0 {
			t.Errorf("the copy that fits: %+v", r)
		}
	})
	t.Run("a message without room for its key", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		bad := Payment("bad", 100)
		bad.Key = strings.Repeat("x", 200)
		refusal := b.refused(Arrive(bad), callback.ReasonInternal)
		if n := b.count(`SELECT count(*) FROM callbacks WHERE id = ?`, refusal.Trail.Row); n != 1 {
			t.Error("no row for it")
		}
	})
	t.Run("states as long as WeChat Pay may make them", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		n := Payment("1", 100)
		n.Kind, n.State, n.ResultCode = callback.Other, strings.Repeat("S", 64), strings.Repeat("R", 64)
		b.accept(n)
	})
	t.Run("a panic below costs one callback, not the process", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.faults.OnExec(func(query string, args []driver.NamedValue) error {
			if holds(args, "4200-poison") && strings.Contains(query, "notifications") {
				panic("driver")
			}
			return nil
		})
		refusal := b.refused(Arrive(Payment("poison", 100)), callback.ReasonInternal)
		if n := b.count(`SELECT count(*) FROM callbacks WHERE id = ? AND reason = 'internal'`, refusal.Trail.Row); n != 1 {
			t.Error("no row for the callback that panicked")
		}
		b.accept(Payment("2", 100))
	})
	t.Run("answers are noted afterwards", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		row := b.accept(Payment("1", 100)).Trail().Row
		if n := b.count(`SELECT count(*) FROM callbacks WHERE answered_status IS NULL AND answered_at IS NULL AND duration IS NULL`); n != 1 {
			t.Error("answered before it was")
		}
		b.Answered(row, 204, Payment("1", 1).Created, 1234567)
		b.eventually("the answer is in the row", func() bool {
			return b.count(`SELECT count(*) FROM callbacks WHERE id = ? AND answered_status = 204 AND answered_at > 0 AND duration = 1234`, row) == 1
		})
	})
	t.Run("an entry with nothing in it", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.refused(callback.Entry{Envelope: envelope("acme")}, callback.ReasonInternal)
	})
}

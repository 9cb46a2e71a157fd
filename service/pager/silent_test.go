package pager_test

import (
	"testing"
	"time"

	"wxnotify/service/callback"
)

// TestSilentEnd: what ends without a last page ends with nothing untold: an order
// that joins the others after their page is told before they are forgotten.
func TestSilentEnd(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		for _, key := range []callback.IncidentKey{
			{Rule: callback.RuleOrderConflict, Merchant: "shop"}, {Rule: callback.RuleHistory, Class: "warning"},
		} {
			h.ledger.mu.Lock()
			h.ledger.add(callback.Incident{IncidentKey: key, Opened: time.Now(), Latest: time.Now(), Count: 3})
			h.ledger.mu.Unlock()
			time.Sleep(10 * time.Minute)
			h.ledger.mu.Lock()
			i := h.ledger.find(key)
			i.Count, i.Latest = 4, time.Now()
			h.ledger.mu.Unlock()
			time.Sleep(time.Hour)
			h.ledger.mu.Lock()
			if i := h.ledger.find(key); i != nil {
				t.Errorf("%s has not ended: %+v", key.Rule, i)
			}
			h.ledger.mu.Unlock()
		}
		h.want(h.mailbox, "opened order_conflict 3; again order_conflict 4; opened history 3; again history 4")
	})
}

package pager_test

import (
	"testing"
	"time"

	"wxnotify/service/callback"
)

func missing(count int64, oldest time.Time) callback.OutstandingCount {
	return callback.OutstandingCount{Merchant: "shop", Reason: callback.ReasonMalformed, Count: count, Amount: 100 * count, Oldest: oldest}
}

// TestMissingAnew: money that began to be missing before an incident of the kind
// ended is told when it has been missing for long.
func TestMissingAnew(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		h.ledger.owe(missing(1, time.Now()))
		time.Sleep(30 * time.Minute) // told after 20
		h.ledger.owe()
		time.Sleep(time.Minute)
		h.ledger.owe(missing(3, time.Now()))
		time.Sleep(21 * time.Minute)
		h.want(h.robot, "opened outstanding 1; over outstanding 1; opened outstanding 3")
	})
}

// TestMissingWhileOverIsOwed: nobody is told that nothing is missing while
// something is.
func TestMissingWhileOverIsOwed(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		h.ledger.owe(missing(1, time.Now()))
		time.Sleep(30 * time.Minute)
		h.ledger.owe()
		h.robot.set(refusing)
		h.mailbox.set(refusing)
		time.Sleep(16 * time.Minute) // no channel takes that it is over
		h.ledger.owe(missing(500, time.Now().Add(-21*time.Minute)))
		time.Sleep(time.Minute)
		h.robot.set(sound)
		h.mailbox.set(sound)
		time.Sleep(2 * time.Minute)
		h.want(h.robot, "opened outstanding 1; opened outstanding 500")
	})
}

// TestMissingMore: a repetition says how many are missing by then, and the book
// is not written to while nothing changes.
func TestMissingMore(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		since := time.Now()
		h.ledger.owe(missing(2, since))
		time.Sleep(time.Hour)
		h.ledger.owe(missing(7, since))
		time.Sleep(time.Minute)
		before := h.ledger.opening()
		time.Sleep(4 * time.Hour)
		h.want(h.mailbox, "opened outstanding 2; again outstanding 7")
		if n := h.ledger.opening() - before; n > 0 {
			t.Errorf("noted %d times that nothing has changed", n)
		}
	})
}

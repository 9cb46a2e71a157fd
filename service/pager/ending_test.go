package pager_test

import (
	"context"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

// alarmed reports whether the phone was told, within so long after a moment, of
// at least so many failures of the shop, by a page that says they fail. That
// something is over tells nobody that it fails.
func alarmed(p *phone, reason callback.Reason, count int64, since time.Time, within time.Duration) bool {
	for _, m := range p.messages() {
		for _, page := range m.Pages {
			if page.Reason == reason && page.Occasion != pager.Over && page.Count >= count && !m.Written.Before(since) && m.Written.Sub(since) <= within {
				return true
			}
		}
	}
	return false
}

// TestFailsWhileOverIsOwed: a page that says "over" is withdrawn when it is not.
func TestFailsWhileOverIsOwed(t *testing.T) {
	t.Parallel()
	for _, reason := range []callback.Reason{callback.ReasonDecryptFailed, callback.ReasonSignatureInvalid} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			live(t, func(h *house) {
				_, end := h.run("a")
				defer end()
				h.fail(reason)
				time.Sleep(2 * time.Second)
				h.robot.set(refusing)
				h.mailbox.set(refusing)
				time.Sleep(15*time.Minute + 5*time.Second) // no channel takes that it is over
				h.fail(reason)
				time.Sleep(time.Minute)
				h.robot.set(sound)
				h.mailbox.set(sound)
				sound := time.Now()
				time.Sleep(24 * time.Hour)
				if !alarmed(h.mailbox, reason, 2, sound, time.Minute) {
					t.Errorf("the second failure was told as no failure: %q", said(h.mailbox))
				}
				h.want(h.robot, "opened "+string(reason)+" 1; opened "+string(reason)+" 2; over "+string(reason)+" 2")
			})
		})
	}
}

// TestFailsWhileOverIsOnItsWay: whoever has just read that it is over is told at
// once that it is not.
func TestFailsWhileOverIsOnItsWay(t *testing.T) {
	t.Parallel()
	for _, reason := range []callback.Reason{callback.ReasonDecryptFailed, callback.ReasonSignatureInvalid} {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			live(t, func(h *house) {
				var failed time.Time
				h.opts.Routes = []pager.Route{{Name: "mail", Channel: pager.ChannelFunc(func(ctx context.Context, m pager.Message) error {
					time.Sleep(2 * time.Second) // a real relay takes a while
					if failed.IsZero() && m.Pages[0].Occasion == pager.Over {
						h.fail(reason)
						failed = time.Now()
					}
					time.Sleep(2 * time.Second)
					return h.mailbox.Send(ctx, m)
				})}}
				_, end := h.run("a")
				defer end()
				h.fail(reason)
				time.Sleep(6 * time.Hour)
				if !alarmed(h.mailbox, reason, 2, failed, 10*time.Second) {
					t.Errorf("it failed at %s; told: %q", failed.Format(time.TimeOnly), said(h.mailbox))
				}
			})
		})
	}
}

// TestClockPutBack: what was noted by a clock that ran ahead mutes nothing.
func TestClockPutBack(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		h.fail(callback.ReasonTimestampStale)
		time.Sleep(2 * time.Second)
		end()
		h.ledger.mu.Lock()
		i := &h.ledger.incidents[0]
		i.Told, i.Latest = i.Told.AddDate(0, 0, 30), i.Latest.AddDate(0, 0, 30)
		h.ledger.mu.Unlock()
		_, end = h.run("b")
		defer end()
		for n := range 24 {
			before := len(h.robot.messages())
			h.fail(callback.ReasonTimestampStale)
			if time.Sleep(time.Hour); len(h.robot.messages()) == before {
				t.Fatalf("failure %d was not told within an hour: %q", n+2, said(h.robot))
			}
		}
	})
}

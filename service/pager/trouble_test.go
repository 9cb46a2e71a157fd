package pager_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

// blind is a book whose incidents cannot be read, though its database is up.
type blind struct{ *process }

func (blind) Incidents(context.Context) ([]callback.Incident, error) {
	return nil, errors.New("store: opening incidents: context deadline exceeded")
}

// TestBlind: a pager that cannot see what failed does not count as working.
func TestBlind(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		p, end := h.runWith("a", func(of *process) pager.Book { return blind{of} })
		defer end()
		h.fail(callback.ReasonDecryptFailed) // of a replica that was killed
		time.Sleep(9 * time.Second)
		if p.Working() != nil || len(h.trouble()) > 0 {
			t.Errorf("after a moment: %v, %q", p.Working(), h.trouble())
		}
		time.Sleep(time.Minute)
		if err := p.Working(); err == nil || !strings.Contains(err.Error(), "opening incidents") {
			t.Errorf("blind for a minute: %v", err)
		}
		if len(h.trouble()) != 1 || !strings.Contains(h.trouble()[0], "opening incidents") {
			t.Errorf("it said %q", h.trouble())
		}
	})
}

// TestDatabaseAwayIsNotBlind: what the spool holds is seen.
func TestDatabaseAwayIsNotBlind(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		p, end := h.run("a")
		defer end()
		h.ledger.set(true)
		time.Sleep(time.Hour)
		if p.Working() != nil || len(h.trouble()) > 0 {
			t.Errorf("%v, %q", p.Working(), h.trouble())
		}
	})
}

// slow is a book that has no facts in time.
type slow struct{ *process }

func (slow) IncidentFacts(ctx context.Context, _ callback.Incident) (callback.IncidentFacts, error) {
	<-ctx.Done()
	return callback.IncidentFacts{}, ctx.Err()
}

// TestSlowFacts: a page does not wait for what it could say besides.
func TestSlowFacts(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		for n := range 20 {
			h.ledger.fail(fmt.Sprint("shop-", n), callback.Proven, callback.ReasonDecryptFailed)
		}
		_, end := h.runWith("a", func(of *process) pager.Book { return slow{of} })
		defer end()
		time.Sleep(4 * time.Second)
		for _, p := range []*phone{h.robot, h.mailbox} {
			if got := p.messages(); len(got) != 1 || len(got[0].Pages) != 20 {
				t.Errorf("after 4 s a channel was told %q", said(p))
			}
		}
	})
}

// TestNewFirst: what nobody knows of stands before what lasts, and the latest of
// it before the rest: of a long message, only the beginning is read.
func TestNewFirst(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		for n := range 12 {
			h.ledger.fail(fmt.Sprint("old-", n), callback.Proven, callback.ReasonDecryptFailed)
		}
		time.Sleep(199 * 24 * time.Hour)
		h.ledger.fail("today", callback.Proven, callback.ReasonDecryptFailed)
		_, end := h.run("a")
		defer end()
		time.Sleep(3 * time.Second)
		if first := h.mailbox.messages()[0].Pages[0]; first.Merchant != "today" {
			t.Errorf("the first page is about %s", first.Merchant)
		}
	})
}

// TestCrashLoop: processes that die young share what a robot bears.
func TestCrashLoop(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		h.opts.Limits = t.TempDir() + "/sent"
		h.ledger.set(true)
		h.fail(callback.ReasonStoreUnavailable)
		for range 60 {
			_, end := h.run("a")
			time.Sleep(2 * time.Second)
			end()
		}
		if h.robot.muted > 0 {
			t.Errorf("of %d messages in 2 minutes, %d came while it was mute", len(h.robot.messages()), h.robot.muted)
		}
		if n := len(h.robot.messages()); n < 15 {
			t.Errorf("%d messages: this shows nothing", n)
		}
	})
}

// TestOffDuty: what a replica owed when it lost its duty is another's to tell.
func TestOffDuty(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		h.robot.set(refusing)
		h.mailbox.set(refusing)
		h.fail(callback.ReasonMalformed)
		time.Sleep(3 * time.Second)
		h.ledger.mu.Lock()
		h.ledger.holder, h.ledger.until = "b", time.Now().Add(time.Hour)
		h.ledger.mu.Unlock()
		time.Sleep(2 * time.Second)
		h.robot.set(sound)
		h.mailbox.set(sound)
		time.Sleep(10 * time.Minute)
		h.want(h.robot, "")
		h.want(h.mailbox, "")
	})
}

// TestPostedIsNotForgotten: what was posted is told, also by the next process,
// and when it has ended by then.
func TestPostedIsNotForgotten(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		h.opts.Evaluate = false
		_, end := h.run("a")
		h.robot.set(refusing)
		h.mailbox.set(refusing)
		h.fail(callback.ReasonDecryptFailed)
		h.post("firing", failedLabels)
		time.Sleep(21 * time.Minute)
		h.post("resolved", failedLabels)
		time.Sleep(5 * time.Second)
		if len(h.trouble()) != 1 {
			t.Errorf("while no channel works it said %q", h.trouble())
		}
		end()
		_, end = h.run("b")
		defer end()
		h.robot.set(sound)
		h.mailbox.set(sound)
		time.Sleep(time.Minute)
		h.want(h.mailbox, "opened decrypt_failed 1")
	})
}

// TestPostedMoney: with the evaluator off each reason's alert ends by itself.
func TestPostedMoney(t *testing.T) {
	t.Parallel()
	const labels = `"alertname":"WechatPayNotificationOutstanding","merchant":"shop","error_type":`
	live(t, func(h *house) {
		h.opts.Evaluate = false
		_, end := h.run("a")
		defer end()
		h.post("firing", labels+`"malformed"`)
		h.post("firing", labels+`"conflict"`)
		time.Sleep(time.Minute)
		h.post("resolved", labels+`"malformed"`)
		time.Sleep(16 * time.Minute)
		for _, page := range h.mailbox.pages(callback.IncidentKey{Rule: callback.RuleOutstanding, Merchant: "shop", Reason: callback.ReasonConflict}) {
			if page.Occasion == pager.Over {
				t.Errorf("over, and it still fires: %q", said(h.mailbox))
			}
		}
		h.want(h.robot, "opened conflict 1, opened malformed 1; over malformed 1")
	})
}

package pager_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

// house is one pager with a robot and a mailbox, on a virtual clock.
type house struct {
	t       *testing.T
	ledger  *ledger
	robot   *phone
	mailbox *phone
	opts    pager.Options

	mu       sync.Mutex
	troubles []string
}

// trouble is what whoever runs the service was told.
func (h *house) trouble() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.troubles)
}

// live runs a test on a virtual clock, and ends the pagers that it started.
func live(t *testing.T, test func(h *house)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		h := &house{t: t, ledger: newLedger(), robot: &phone{limit: 20}, mailbox: &phone{}}
		h.opts = pager.Options{
			Evaluate: true,
			Routes: []pager.Route{
				{Name: "robot", Channel: h.robot, PerMinute: pager.DingTalkPerMinute, Reserved: pager.DingTalkReserved},
				{Name: "mail", Channel: h.mailbox},
			},
			Troubled: func(err error) {
				h.mu.Lock()
				defer h.mu.Unlock()
				h.troubles = append(h.troubles, fmt.Sprint(err))
			},
		}
		test(h)
	})
}

// run starts a process; end kills it.
func (h *house) run(holder string) (p *pager.Pager, end func()) {
	return h.runWith(holder, func(of *process) pager.Book { return of })
}

// runWith starts a process whose book is not quite the ledger.
func (h *house) runWith(holder string, book func(*process) pager.Book) (p *pager.Pager, end func()) {
	of := &process{ledger: h.ledger}
	o := h.opts
	o.Book, o.Failures, o.Duty, o.Holder, o.Database = book(of), of, of, holder, h.ledger.reachable
	p = pager.New(o)
	ctx, cancel := context.WithCancel(h.t.Context())
	go p.Run(ctx)
	return p, func() { of.kill(); cancel(); synctest.Wait() }
}

func (h *house) fail(reason callback.Reason) {
	h.ledger.fail("shop", reason.Class(), reason)
}

// said is what a phone took, in short: occasion, rule or reason, count.
func said(p *phone) string {
	var all []string
	for _, m := range p.messages() {
		var pages []string
		for _, page := range m.Pages {
			what := string(page.Reason)
			if what == "" {
				what = page.Rule
			}
			pages = append(pages, fmt.Sprintf("%s %s %d", page.Occasion, what, page.Count))
		}
		all = append(all, strings.Join(pages, ", "))
	}
	return strings.Join(all, "; ")
}

func (h *house) want(p *phone, want string) {
	h.t.Helper()
	if got := said(p); got != want {
		h.t.Errorf("at %s it was told %q, want %q", time.Now().Format("15:04:05"), got, want)
	}
}

// TestCourse is one incident from its first failure to its end.
func TestCourse(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		p, end := h.run("a")
		defer end()
		h.fail(callback.ReasonDecryptFailed)
		time.Sleep(2 * time.Second)
		h.want(h.robot, "opened decrypt_failed 1")
		h.want(h.mailbox, "opened decrypt_failed 1")
		if told, untold := p.Incidents(); told != 1 || untold != 0 || p.Working() != nil {
			t.Errorf("%d told, %d untold, %v", told, untold, p.Working())
		}
		for range 4 { // it goes on: repeated after 30 minutes, with all that failed
			time.Sleep(8 * time.Minute)
			h.fail(callback.ReasonDecryptFailed)
		}
		h.want(h.mailbox, "opened decrypt_failed 1; again decrypt_failed 4")
		time.Sleep(16 * time.Minute)
		h.want(h.mailbox, "opened decrypt_failed 1; again decrypt_failed 4; over decrypt_failed 5")
		time.Sleep(24 * time.Hour)
		h.want(h.robot, "opened decrypt_failed 1; again decrypt_failed 4; over decrypt_failed 5")
		h.fail(callback.ReasonDecryptFailed)
		time.Sleep(2 * time.Second)
		h.want(h.robot, "opened decrypt_failed 1; again decrypt_failed 4; over decrypt_failed 5; opened decrypt_failed 1")
	})
}

// TestHiddenInAFlood: strangers make one incident, and what is proven among them
// is told at once.
func TestHiddenInAFlood(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		for n := range 600 {
			h.fail(callback.ReasonSignatureInvalid)
			if n == 300 {
				h.fail(callback.ReasonMalformed)
			}
			time.Sleep(time.Second)
		}
		h.want(h.robot, "opened signature_invalid 1; opened malformed 1")
		time.Sleep(16 * time.Minute)
		h.want(h.robot, "opened signature_invalid 1; opened malformed 1; over malformed 1; over signature_invalid 600")
	})
}

// TestOneChannelFails: the other tells at once, and the failing one when it can.
func TestOneChannelFails(t *testing.T) {
	t.Parallel()
	for _, f := range []fault{refusing, hanging} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			live(t, func(h *house) {
				p, end := h.run("a")
				defer end()
				h.robot.set(f)
				h.fail(callback.ReasonMalformed)
				time.Sleep(2 * time.Second)
				h.want(h.mailbox, "opened malformed 1")
				h.fail(callback.ReasonConflict) // while the robot may hang
				time.Sleep(2 * time.Second)
				h.want(h.mailbox, "opened malformed 1; opened conflict 1")
				h.robot.set(sound)
				time.Sleep(30 * time.Second)
				h.want(h.robot, "opened conflict 1, opened malformed 1") // at once, in one message
				if len(h.trouble()) > 0 || p.Working() != nil {
					t.Errorf("troubled by %q, %v, although the mailbox works", h.trouble(), p.Working())
				}
			})
		})
	}
}

// TestNoChannelWorks: it is tried for ever, and said where somebody may look.
func TestNoChannelWorks(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		p, end := h.run("a")
		defer end()
		h.robot.set(refusing)
		h.mailbox.set(refusing)
		h.fail(callback.ReasonMalformed)
		time.Sleep(12 * time.Second)
		if len(h.trouble()) != 1 || !strings.Contains(h.trouble()[0], "refused") || p.Working() == nil {
			t.Errorf("troubled by %q, %v", h.trouble(), p.Working())
		}
		time.Sleep(24 * time.Hour)
		h.fail(callback.ReasonMalformed)
		h.mailbox.set(sound)
		time.Sleep(time.Minute + 2*time.Second)
		h.want(h.mailbox, "opened malformed 2")
		if len(h.trouble()) != 2 || h.trouble()[1] != "<nil>" || p.Working() != nil {
			t.Errorf("troubled by %q, %v", h.trouble(), p.Working())
		}
	})
}

// TestMissingMoney is promise P8: what is paid and not booked is told when
// WeChat Pay's quick repetitions have not healed it, and until it is booked.
func TestMissingMoney(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		h.ledger.owe(callback.OutstandingCount{Merchant: "shop", Reason: callback.ReasonProbe, Count: 2, Oldest: time.Now()})
		time.Sleep(19 * time.Minute)
		h.want(h.mailbox, "")
		time.Sleep(2 * time.Minute)
		h.want(h.mailbox, "opened outstanding 2")
		time.Sleep(5 * time.Hour)
		h.want(h.mailbox, "opened outstanding 2; again outstanding 2")
		h.ledger.owe()
		time.Sleep(16 * time.Minute)
		h.want(h.mailbox, "opened outstanding 2; again outstanding 2; over outstanding 2")
	})
}

// TestTwoReplicas: one tells, and when it is gone the other does.
func TestTwoReplicas(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, kill := h.run("a")
		time.Sleep(100 * time.Millisecond)
		_, end := h.run("b")
		defer end()
		h.fail(callback.ReasonMalformed)
		time.Sleep(time.Minute)
		h.want(h.mailbox, "opened malformed 1")
		kill()
		h.fail(callback.ReasonConflict)
		time.Sleep(8 * time.Second)
		h.want(h.mailbox, "opened malformed 1; opened conflict 1")
	})
}

// TestDatabaseAway: what waits in the spool is told, once, and not again when it
// comes into the database.
func TestDatabaseAway(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		h.ledger.set(true)
		h.fail(callback.ReasonStoreUnavailable)
		time.Sleep(2 * time.Second)
		h.want(h.robot, "opened store_unavailable 1")
		h.fail(callback.ReasonStoreUnavailable)
		time.Sleep(time.Minute)
		h.ledger.set(false)
		time.Sleep(10 * time.Minute)
		h.want(h.robot, "opened store_unavailable 1")
		time.Sleep(6 * time.Minute)
		h.want(h.robot, "opened store_unavailable 1; over store_unavailable 2")
	})
}

// TestAlertsOnly: with the evaluator off, only what is posted is told.
func TestAlertsOnly(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		h.opts.Evaluate = false
		_, end := h.run("a")
		defer end()
		h.fail(callback.ReasonMalformed)
		time.Sleep(time.Minute)
		h.want(h.robot, "")
		book := &process{ledger: h.ledger}
		key := callback.FailureIncident("shop", callback.Proven, callback.ReasonMalformed)
		if err := book.OpenIncident(t.Context(), callback.Incident{IncidentKey: key, Opened: time.Now(), Latest: time.Now(), Lasting: true, Count: 1}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		h.want(h.robot, "opened malformed 1")
		if err := book.EaseIncident(t.Context(), key, time.Now()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(16 * time.Minute)
		h.want(h.robot, "opened malformed 1; over malformed 1")
	})
}

// TestDrill: once a day, and only then.
func TestDrill(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		h.opts.Drill = func(now time.Time) time.Time { return now.Truncate(24 * time.Hour).Add(33 * time.Hour) }
		_, end := h.run("a")
		defer end()
		time.Sleep(72 * time.Hour)
		h.want(h.robot, "drill drill 0; drill drill 0")
	})
}

// TestHealthyDay: probes and noise are nobody's business.
func TestHealthyDay(t *testing.T) {
	t.Parallel()
	live(t, func(h *house) {
		_, end := h.run("a")
		defer end()
		for n := range 24 * 60 {
			h.ledger.fail("shop", callback.Probe, callback.ReasonProbe)
			h.ledger.fail("shop", callback.Noise, callback.ReasonUnsigned)
			h.ledger.set(n%60 == 0)
			time.Sleep(time.Minute)
		}
		h.want(h.robot, "")
		h.want(h.mailbox, "")
	})
}

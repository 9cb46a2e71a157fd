package pager

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"wxnotify/service/callback"
)

const (
	sendWithin = 10 * time.Second
	// firstRetry and lastRetry bound the pause after a channel has failed.
	firstRetry = 5 * time.Second
	lastRetry  = time.Minute
)

// Route is a channel and what it bears.
type Route struct {
	Name    string
	Channel Channel
	// PerMinute is how many messages it may get in any minute; 0: any number.
	PerMinute int
	// Reserved is how many of these are for critical messages only.
	Reserved int
}

// courier brings to one channel what it is owed: everything at once, never more
// often than the channel bears, and again after a failure. What waits is not a
// queue of messages but the incidents themselves, so waiting loses no count.
type courier struct {
	Route
	owed     map[callback.IncidentKey]Page
	sent     []time.Time // within the last minute
	busy     bool
	resume   time.Time // not before
	failures int       // in a row
	trouble  error     // of the last attempt
	drilled  bool      // some attempt has been taken since the start
}

func newCourier(r Route) *courier {
	return &courier{Route: r, owed: map[callback.IncidentKey]Page{}}
}

// pending is what the channel is owed, the most urgent first.
func (c *courier) pending() []Page {
	pages := make([]Page, 0, len(c.owed))
	for _, p := range c.owed {
		pages = append(pages, p)
	}
	slices.SortFunc(pages, func(a, b Page) int {
		return cmp.Or(
			cmp.Compare(rank(a), rank(b)),
			b.Latest.Compare(a.Latest),
			cmp.Compare(a.Rule, b.Rule), cmp.Compare(a.Merchant, b.Merchant), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Subject, b.Subject),
		)
	})
	return pages
}

// rank puts what is wrong before what is over, the critical before the rest, what
// nobody knows of before what lasts, and a drill last: its title must not stand
// over a failure.
func rank(p Page) int {
	n := 0
	switch {
	case p.Occasion == Drill:
		return 5
	case p.Occasion == Over:
		return 4
	case !p.Critical():
		n = 2
	}
	if p.Occasion == Again {
		n++
	}
	return n
}

// idle reports whether there is something to bring and nothing against trying.
func (c *courier) idle(now time.Time) bool {
	return len(c.owed) > 0 && !c.busy && !now.Before(c.resume)
}

// allowed reports whether the channel bears another message now.
func (c *courier) allowed(now time.Time, critical bool) bool {
	if c.PerMinute == 0 {
		return true
	}
	c.sent = slices.DeleteFunc(c.sent, func(at time.Time) bool { return past(at, now) })
	bears := c.PerMinute
	if !critical {
		bears -= c.Reserved
	}
	return len(c.sent) < bears
}

// send is one attempt. It is bounded, whatever the channel does.
func (c *courier) send(ctx context.Context, m Message) (err error) {
	ctx, cancel := context.WithTimeout(ctx, sendWithin)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			err = errors.New("the channel panicked")
		}
	}()
	return c.Channel.Send(ctx, m)
}

// ended takes in the result of an attempt.
func (c *courier) ended(m Message, err error, now time.Time) {
	c.busy = false
	c.trouble = err
	if err == nil {
		c.failures, c.resume, c.drilled = 0, time.Time{}, true
		for _, p := range m.Pages {
			if c.owed[p.IncidentKey].Occasion == p.Occasion {
				delete(c.owed, p.IncidentKey)
			}
		}
		return
	}
	pause := min(firstRetry<<min(c.failures, 10), lastRetry)
	if muted, ok := errors.AsType[*Muted](err); ok {
		pause = max(pause, muted.For)
	}
	c.failures++
	c.resume = now.Add(pause)
}

// plight says which channel it is, and what its last attempt met.
func (c *courier) plight() string {
	kind := strings.TrimRight(c.Name, "-0123456789") // the error names it already
	return c.Name + ": " + strings.TrimPrefix(c.trouble.Error(), kind+": ")
}

package pager

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"wxnotify/service/callback"
)

const (
	roundEvery  = time.Second
	askWithin   = 2 * time.Second
	leaseFor    = 5 * time.Second // a crash delays the others this long
	renewEvery  = time.Second
	lookEvery   = 5 * time.Second // for money that is missing
	leaseName   = "pager"
	describedAt = 20 // pages of one message that are described, not only counted
)

// Options configure a [Pager].
type Options struct {
	Book     Book
	Failures Failures
	Duty     Duty
	// Holder names this process among the replicas.
	Holder string
	Routes []Route
	// Evaluate is whether the pager looks for failures itself; without it, it
	// tells only what is posted to it.
	Evaluate bool
	// Database is nil while the book's database can be reached: who cannot read the
	// book then is blind. Nil: it always can.
	Database func(ctx context.Context) error
	// Limits is a small file that remembers what was sent in the last minute, so
	// that a restart does not forget what a channel bears. Empty: nothing does.
	Limits string
	// Drill is when a day's drill goes out; nil: none.
	Drill func(now time.Time) (next time.Time)
	// Troubled is told of what keeps people from being told; nil when that is over.
	Troubled func(err error)
}

// Pager turns failures into incidents, and incidents into messages.
type Pager struct {
	opts     Options
	couriers []*courier
	results  chan result
	heard    heard
	limits   limits

	open     map[callback.IncidentKey]*entry
	holding  bool      // this replica tells
	renewed  time.Time // when it last said so
	looked   time.Time // for money that is missing
	away     bool      // the book cannot be read
	seen     time.Time // when there was last nothing that could not be read
	unread   error     // what could not since
	blind    error     // nil, or unread for too long
	untold   time.Time // since when some page waits that no channel took
	drill    time.Time // the next one
	sounding bool      // Troubled was told so

	told, unheard atomic.Int64 // open incidents that people were told of, and not
	works         atomic.Pointer[state]
}

// entry is an open incident, with what the book does not know of it yet.
type entry struct {
	callback.Incident
	known     int64 // failures that the book counted, before those in the spool
	announced Occasion
	unsaved   bool // told, or owed anew, and the book does not know it
	closing   bool // its last page was taken, and the book does not know it
}

type result struct {
	courier *courier
	message Message
	err     error
}

// New makes a pager. Nothing happens before Run.
func New(o Options) *Pager {
	p := &Pager{
		opts: o, open: map[callback.IncidentKey]*entry{},
		results: make(chan result, len(o.Routes)), heard: newHeard(),
	}
	for _, r := range o.Routes {
		p.couriers = append(p.couriers, newCourier(r))
	}
	return p
}

// Run tells people until ctx ends. What is on its way then is waited for.
func (p *Pager) Run(ctx context.Context) {
	p.limits = openLimits(p.opts.Limits)
	defer p.limits.close()
	p.limits.restore(p.couriers, time.Now())
	p.seen = time.Now()
	if p.opts.Drill != nil {
		p.drill = p.opts.Drill(time.Now())
	}
	tick := time.NewTicker(roundEvery)
	defer tick.Stop()
	for {
		p.round(ctx)
		select {
		case <-tick.C:
		case <-p.heard.poke:
		case r := <-p.results:
			p.ended(ctx, r)
		case <-ctx.Done():
			p.finish(context.WithoutCancel(ctx))
			return
		}
	}
}

// finish notes what is on its way, so that a stop costs no second copy.
func (p *Pager) finish(ctx context.Context) {
	for _, c := range p.couriers {
		if c.busy {
			p.ended(ctx, <-p.results)
		}
	}
	_ = p.save(ctx) // what cannot be noted now is told once more
}

// round looks once, and sends what is owed.
func (p *Pager) round(ctx context.Context) {
	p.listen(ctx)
	now := time.Now()
	if p.onDuty(ctx, now) {
		for _, e := range p.open {
			p.announce(ctx, e, now)
		}
		p.practise(now)
		p.dispatch(ctx, now)
	} else {
		p.standDown()
	}
	p.lookAround(ctx, now)
	p.siren(now)
	p.show()
}

// onDuty reports whether this replica tells. While the book is away nobody can
// know, and each tells: twice is better than not at all.
func (p *Pager) onDuty(ctx context.Context, now time.Time) bool {
	if p.away || p.opts.Duty == nil {
		return true
	}
	if now.Sub(p.renewed) >= renewEvery {
		asking, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		held, err := p.opts.Duty.Lease(asking, leaseName, p.opts.Holder, leaseFor)
		if err != nil {
			return true
		}
		p.holding, p.renewed = held, now
	}
	return p.holding
}

// standDown leaves to another replica what this one owed when it lost its duty.
func (p *Pager) standDown() {
	for _, c := range p.couriers {
		if c.busy {
			return // what becomes of it must be noted
		}
	}
	for _, c := range p.couriers {
		clear(c.owed)
	}
	for _, e := range p.open {
		e.announced = ""
	}
}

// announce owes every channel what people must be told of an incident.
func (p *Pager) announce(ctx context.Context, e *entry, now time.Time) {
	occasion, yes := due(e.Incident, now, p.away)
	if e.announced == Over && !over(e.Incident, now) || e.closing && e.Count > e.ToldCount {
		// It is not over after all, and people were told that it is, or perhaps
		// were: a channel that failed may have taken it. So nobody knows.
		e.announced, e.closing, e.Told, e.unsaved = "", false, time.Time{}, true
		occasion, yes = Opened, true
	}
	if !yes || e.announced == occasion || e.closing {
		return
	}
	switch {
	case occasion == Over && e.Lasting: // an alert that nobody has posted for a day
		_ = p.opts.Book.EaseIncident(ctx, e.IncidentKey, time.Time{})
		return
	case occasion == Over && silent(e.Incident):
		_ = p.opts.Book.CloseIncident(ctx, e.ID, e.Count, now)
		return
	}
	e.announced = occasion
	for _, c := range p.couriers {
		c.owed[e.IncidentKey] = Page{Incident: e.Incident, Occasion: occasion}
	}
}

// dispatch sends what is owed on every channel that can take it now.
func (p *Pager) dispatch(ctx context.Context, now time.Time) {
	asking, cancel := context.WithTimeout(ctx, askWithin) // for all that is said besides
	defer cancel()
	known := map[int64]callback.IncidentFacts{}
	for _, c := range p.couriers {
		if !c.idle(now) {
			continue
		}
		m := Message{Pages: c.pending(), Written: now}
		if !c.allowed(now, m.Critical()) {
			continue
		}
		for n := range m.Pages {
			p.describe(asking, &m.Pages[n], n < describedAt, known)
		}
		c.busy = true
		c.sent = append(c.sent, now)
		if c.PerMinute > 0 {
			p.limits.keep(p.couriers)
		}
		go func() { p.results <- result{c, m, c.send(context.WithoutCancel(ctx), m)} }()
	}
}

// describe brings a page up to date: it may have waited. What one channel's page
// was read for stands on the others' too.
func (p *Pager) describe(ctx context.Context, page *Page, fully bool, known map[int64]callback.IncidentFacts) {
	if e := p.open[page.IncidentKey]; e != nil && e.same(page.ID) {
		page.Incident = e.Incident
	}
	if !fully || p.away || page.ID == 0 {
		return
	}
	facts, read := known[page.ID]
	if !read && ctx.Err() == nil {
		var err error
		if facts, err = p.opts.Book.IncidentFacts(ctx, page.Incident); err != nil {
			facts = page.IncidentFacts
		}
		known[page.ID] = facts
	}
	page.IncidentFacts = facts
}

// same reports whether a page with that id is about this incident: one that the
// book did not know yet had none.
func (e *entry) same(id int64) bool { return id == 0 || e.ID == 0 || id == e.ID }

// ended takes in what became of a message. One channel that took it is enough:
// the others go on trying by themselves.
func (p *Pager) ended(ctx context.Context, r result) {
	now := time.Now()
	r.courier.ended(r.message, r.err, now)
	if r.err != nil {
		return
	}
	for _, page := range r.message.Pages {
		e := p.open[page.IncidentKey]
		switch {
		case e == nil || e.closing || !e.same(page.ID):
			continue
		case e.announced != page.Occasion && (page.Occasion != Over || e.Told.After(r.message.Written)):
			continue // another channel was first
		}
		// Who is told that it is over believes it, also when the page was withdrawn
		// on its way: the book refuses to close what has gone on.
		e.announced = ""
		e.Told, e.ToldCount, e.unsaved = r.message.Written, page.Count, true
		e.closing = page.Occasion == Over
	}
	_ = p.save(ctx) // or the next round does
}

// save notes in the book what people were told.
func (p *Pager) save(ctx context.Context) error {
	for key, e := range p.open {
		if !e.unsaved || e.ID == 0 && e.Told.IsZero() {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, askWithin)
		var err error
		switch {
		case e.ID == 0:
			err = p.opts.Book.OpenIncident(asking, e.Incident)
		case e.closing:
			err = p.opts.Book.CloseIncident(asking, e.ID, e.ToldCount, e.Told)
		default:
			err = p.opts.Book.IncidentTold(asking, e.ID, e.ToldCount, e.Told)
		}
		cancel()
		if err != nil {
			return fmt.Errorf("pager: noting what was told: %w", err)
		}
		e.unsaved = false
		if e.closing {
			delete(p.open, key)
		}
	}
	return nil
}

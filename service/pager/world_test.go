package pager_test

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

// failure is one failed callback, as the world knows it.
type failure struct {
	merchant string
	class    callback.Class
	reason   callback.Reason
	at       time.Time
	incident int64 // 0: in the spool, or not looked at
	spooled  bool
}

func (f failure) key() callback.IncidentKey {
	return callback.FailureIncident(f.merchant, f.class, f.reason)
}

// ledger is a book in memory that behaves as the store does. It outlives the
// processes that use it.
type ledger struct {
	mu          sync.Mutex
	failures    []failure
	fresh       []int // failures that belong to no incident yet
	incidents   []callback.Incident
	closed      map[int64]time.Time
	joined      map[int64]int64 // failures by incident
	down        bool
	outstanding []callback.OutstandingCount
	opened      int // how often an incident was opened or joined from outside
	holder      string
	until       time.Time
}

func newLedger() *ledger { return &ledger{closed: map[int64]time.Time{}, joined: map[int64]int64{}} }

// fail lets a callback fail now: into the database, or into the spool.
func (l *ledger) fail(merchant string, class callback.Class, reason callback.Reason) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = append(l.failures, failure{merchant: merchant, class: class, reason: reason, at: time.Now(), spooled: l.down})
	if class.Pages() {
		l.fresh = append(l.fresh, len(l.failures)-1)
	}
}

// recover brings the database back, and the spool into it.
func (l *ledger) set(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
	for _, n := range l.fresh {
		l.failures[n].spooled = l.failures[n].spooled && down
	}
}

// opening is how often an incident was opened or joined from outside.
func (l *ledger) opening() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.opened
}

// reachable is nil while the database can be reached.
func (l *ledger) reachable(context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.down {
		return errDown
	}
	return nil
}

// owe sets what is outstanding.
func (l *ledger) owe(list ...callback.OutstandingCount) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.outstanding = list
}

var errDown = errors.New("the database is away")

// process is the ledger as one process sees it: a killed one sees nothing more.
type process struct {
	*ledger
	mu   sync.Mutex
	dead bool
}

func (p *process) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dead = true
}

func (p *process) gone() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.dead
}

// reach locks the ledger if it can be reached.
func (p *process) reach() (unlock func(), err error) {
	if p.gone() {
		return func() {}, errDown
	}
	p.ledger.mu.Lock()
	if p.down {
		p.ledger.mu.Unlock()
		return func() {}, errDown
	}
	return p.ledger.mu.Unlock, nil
}

func (p *process) Incidents(context.Context) ([]callback.Incident, error) {
	unlock, err := p.reach()
	defer unlock()
	if err != nil {
		return nil, err
	}
	for _, n := range p.fresh {
		f := &p.failures[n]
		i := p.find(f.key())
		if i == nil {
			i = p.add(callback.Incident{IncidentKey: f.key(), Opened: f.at, Latest: f.at})
		}
		f.incident = i.ID
		p.joined[i.ID]++
		i.Count = p.joined[i.ID]
		if f.at.After(i.Latest) {
			i.Latest = f.at
		}
	}
	p.fresh = nil
	var open []callback.Incident
	for _, i := range p.incidents {
		if p.closed[i.ID].IsZero() {
			open = append(open, i)
		}
	}
	return open, nil
}

func (l *ledger) find(key callback.IncidentKey) *callback.Incident {
	for n := range l.incidents {
		if l.incidents[n].IncidentKey == key && l.closed[l.incidents[n].ID].IsZero() {
			return &l.incidents[n]
		}
	}
	return nil
}

func (l *ledger) add(i callback.Incident) *callback.Incident {
	i.ID = int64(len(l.incidents) + 1)
	l.incidents = append(l.incidents, i)
	return &l.incidents[len(l.incidents)-1]
}

func (p *process) IncidentFacts(context.Context, callback.Incident) (callback.IncidentFacts, error) {
	unlock, err := p.reach()
	defer unlock()
	return callback.IncidentFacts{}, err
}

func (p *process) OpenIncident(_ context.Context, i callback.Incident) error {
	unlock, err := p.reach()
	defer unlock()
	if err != nil {
		return err
	}
	p.opened++
	known := p.find(i.IncidentKey)
	if known == nil {
		for _, old := range p.incidents {
			if closed := p.closed[old.ID]; old.IncidentKey == i.IncidentKey && !closed.IsZero() && !closed.Before(i.Latest) && !closed.After(time.Now()) {
				return nil
			}
		}
		p.add(i)
		return nil
	}
	known.Lasting, known.Detail = known.Lasting || i.Lasting, cmp.Or(i.Detail, known.Detail)
	if i.Rule != callback.RuleFailed {
		known.Count = i.Count
	}
	if i.Latest.After(known.Latest) {
		known.Latest = i.Latest
	}
	if i.Told.After(known.Told) {
		known.Told, known.ToldCount = i.Told, i.ToldCount
	}
	return nil
}

func (p *process) EaseIncident(_ context.Context, key callback.IncidentKey, at time.Time) error {
	unlock, err := p.reach()
	defer unlock()
	if i := p.find(key); err == nil && i != nil {
		i.Lasting = false
		if at.After(i.Latest) {
			i.Latest = at
		}
	}
	return err
}

func (p *process) IncidentTold(_ context.Context, id, count int64, at time.Time) error {
	unlock, err := p.reach()
	defer unlock()
	if err == nil {
		p.incidents[id-1].Told, p.incidents[id-1].ToldCount = at, count
	}
	return err
}

func (p *process) CloseIncident(_ context.Context, id, count int64, at time.Time) error {
	unlock, err := p.reach()
	defer unlock()
	switch i := int(id - 1); {
	case err != nil:
	case p.incidents[i].Count <= count && !p.incidents[i].Lasting:
		p.incidents[i].Told, p.incidents[i].ToldCount = at, count
		p.closed[id] = at
	default: // it has gone on, and nobody knows
		p.incidents[i].Told = time.Time{}
	}
	return err
}

func (p *process) Waiting() (list []callback.FailureCount) {
	if p.gone() {
		return nil
	}
	p.ledger.mu.Lock()
	defer p.ledger.mu.Unlock()
	for _, n := range p.fresh {
		if f := p.failures[n]; f.spooled {
			list = append(list, callback.FailureCount{Merchant: f.merchant, Class: f.class, Reason: f.reason, Count: 1})
		}
	}
	return list
}

func (p *process) Snapshot(context.Context) (callback.Snapshot, error) {
	unlock, err := p.reach()
	defer unlock()
	return callback.Snapshot{Outstanding: slices.Clone(p.outstanding)}, err
}

func (p *process) Lease(_ context.Context, _, holder string, ttl time.Duration) (bool, error) {
	unlock, err := p.reach()
	defer unlock()
	if err != nil {
		return false, err
	}
	if p.holder != holder && time.Now().Before(p.until) {
		return false, nil
	}
	p.holder, p.until = holder, time.Now().Add(ttl)
	return true, nil
}

// phone is a channel's other end: it keeps what it took, misbehaves on command,
// and goes mute when it gets too much, as DingTalk does.
type phone struct {
	mu    sync.Mutex
	took  []pager.Message
	fault fault
	hits  int // messages that met a fault
	limit int // messages a minute; 0: any number
	muted int // how often the limit was passed
}

type fault string

const (
	sound    fault = ""
	refusing fault = "refusing" // not taken, and said so
	hanging  fault = "hanging"  // not taken, and nothing said
	lying    fault = "lying"    // taken, and said otherwise
)

var errRefused = errors.New("refused")

func (p *phone) Send(ctx context.Context, m pager.Message) error {
	p.mu.Lock()
	f := p.fault
	if f != sound {
		p.hits++
	}
	p.mu.Unlock()
	switch f {
	case refusing:
		return errRefused
	case hanging:
		<-ctx.Done()
		return ctx.Err()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.took = append(p.took, m)
	recent := 0
	for _, other := range p.took {
		if m.Written.Sub(other.Written) < time.Minute {
			recent++
		}
	}
	if p.limit > 0 && recent > p.limit {
		p.muted++
	}
	if f == lying {
		return errRefused
	}
	return nil
}

func (p *phone) set(f fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// messages is what the phone took so far.
func (p *phone) messages() []pager.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.took)
}

// pages is all pages about one incident's key.
func (p *phone) pages(key callback.IncidentKey) (list []pager.Page) {
	for _, m := range p.messages() {
		for _, page := range m.Pages {
			if page.IncidentKey == key {
				list = append(list, page)
			}
		}
	}
	return list
}

// when is when a page was written.
func (p *phone) when(of pager.Page) time.Time {
	for _, m := range p.messages() {
		for _, page := range m.Pages {
			if page.ID == of.ID && page.Occasion == of.Occasion && page.Count == of.Count {
				return m.Written
			}
		}
	}
	return time.Time{}
}

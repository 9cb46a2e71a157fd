package pager

import (
	"context"
	"errors"
	"fmt"
	"time"

	"wxnotify/service/callback"
)

// listen learns what there is to tell. What was told already is noted first, or
// rows that come back from the spool would open an incident anew.
func (p *Pager) listen(ctx context.Context) {
	err := p.save(ctx)
	var list []callback.Incident
	if err == nil {
		asking, cancel := context.WithTimeout(ctx, askWithin)
		committed := p.heard.counts()
		if list, err = p.opts.Book.Incidents(asking); err == nil {
			p.heard.forget(committed)
		}
		cancel()
	}
	p.away = err != nil
	if err == nil {
		p.refresh(list, time.Now())
		err = p.lookForMoney(ctx)
	}
	if p.unread = err; err == nil {
		p.seen = time.Now()
	}
	if p.opts.Evaluate {
		p.countWaiting(time.Now())
	}
}

// lookAround finds out whether the pager sees what it should. A database that is
// away is no blindness: the spool is seen.
func (p *Pager) lookAround(ctx context.Context, now time.Time) {
	p.blind = nil
	if p.unread == nil || now.Sub(p.seen) < blindAfter {
		return
	}
	if p.opts.Database != nil {
		asking, cancel := context.WithTimeout(ctx, askWithin)
		defer cancel()
		if p.opts.Database(asking) != nil {
			return
		}
	}
	p.blind = fmt.Errorf("failures cannot be looked for: %w", p.unread)
}

// refresh takes over what the book says.
func (p *Pager) refresh(list []callback.Incident, now time.Time) {
	seen := make(map[callback.IncidentKey]bool, len(list))
	for _, i := range list {
		if i.Rule == callback.RuleFailed && !p.opts.Evaluate && i.Told.IsZero() && !i.Lasting && i.Detail == "" {
			continue // nobody has posted it yet
		}
		seen[i.IncidentKey] = true
		e := p.open[i.IncidentKey]
		if e == nil {
			e = &entry{}
			p.open[i.IncidentKey] = e
		}
		if i.Told.IsZero() != e.Told.IsZero() || !i.Told.Equal(e.Told) {
			e.announced = "" // another replica told it
		}
		if i.Told.After(now.Add(aheadAtMost)) {
			i.Told, e.unsaved = now, true // noted by a clock that ran ahead: it would mute us until then
		}
		e.Incident, e.known = i, i.Count
	}
	for key, e := range p.open {
		if !seen[key] && !e.unsaved {
			delete(p.open, key)
		}
	}
}

// countWaiting takes in what waits in the spool, and what this process heard of
// since it last saw the book: while the database is away, nothing else tells of
// it. What was heard may wait in the spool as well, so the larger counts.
func (p *Pager) countWaiting(now time.Time) {
	counts := map[callback.IncidentKey]int64{}
	for _, f := range p.opts.Failures.Waiting() {
		if f.Class.Pages() {
			counts[callback.FailureIncident(f.Merchant, f.Class, f.Reason)] += f.Count
		}
	}
	if p.away {
		for key, n := range p.heard.counts() {
			counts[key] = max(counts[key], n)
		}
	}
	for key, n := range counts {
		e := p.open[key]
		if e == nil {
			e = &entry{Incident: callback.Incident{IncidentKey: key, Opened: now}, unsaved: true}
			p.open[key] = e
		}
		if e.known+n > e.Count {
			e.Count, e.Latest = e.known+n, now
		}
	}
}

// lookForMoney opens an incident for each merchant that misses money for long,
// and lets it end when the money has come.
func (p *Pager) lookForMoney(ctx context.Context) error {
	now := time.Now()
	if !p.opts.Evaluate || now.Sub(p.looked) < lookEvery {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, askWithin)
	defer cancel()
	s, err := p.opts.Failures.Snapshot(asking)
	if err != nil {
		return err
	}
	missing := map[callback.IncidentKey]callback.Incident{}
	for _, o := range s.Outstanding {
		if now.Sub(o.Oldest) < grace || o.Count == 0 {
			continue
		}
		key := callback.IncidentKey{Rule: callback.RuleOutstanding, Merchant: o.Merchant}
		i, found := missing[key]
		if !found || o.Oldest.Before(i.Opened) {
			i.Opened = o.Oldest
		}
		i.IncidentKey, i.Latest, i.Lasting = key, now, true
		i.Count += o.Count
		missing[key] = i
	}
	for key, i := range missing {
		if e := p.open[key]; e == nil || !e.Lasting || e.Count != i.Count {
			err = errors.Join(err, p.opts.Book.OpenIncident(asking, i))
		}
	}
	for key, e := range p.open {
		if _, still := missing[key]; key.Rule == callback.RuleOutstanding && e.Lasting && !still {
			err = errors.Join(err, p.opts.Book.EaseIncident(asking, key, now))
		}
	}
	if err == nil {
		p.looked = now
	}
	return err
}

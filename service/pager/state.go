package pager

import (
	"errors"
	"time"
)

// stuckAfter is longer than a round that waits for everything it may wait for.
const stuckAfter = 30 * time.Second

// state is what the pager knows of itself, at the end of a round.
type state struct {
	at  time.Time
	err error
}

// show leaves what others may ask.
func (p *Pager) show() {
	var told, untold int64
	for _, e := range p.open {
		if e.Told.IsZero() {
			untold++
		} else {
			told++
		}
	}
	p.told.Store(told)
	p.unheard.Store(untold)
	working := errors.New("no channel takes messages")
	for _, c := range p.couriers {
		if c.trouble == nil {
			working = nil
		}
	}
	p.works.Store(&state{time.Now(), working})
}

// Incidents counts the open incidents, those that people were told of and those
// that nobody was told of yet.
func (p *Pager) Incidents() (told, untold int64) { return p.told.Load(), p.unheard.Load() }

// Working is nil while the pager looks for failures and a channel takes its
// messages, as far as it knows.
func (p *Pager) Working() error {
	switch s := p.works.Load(); {
	case s == nil:
		return errors.New("the pager has not started")
	case time.Since(s.at) > stuckAfter:
		return errors.New("the pager is stuck")
	default:
		return s.err
	}
}

// siren says so when people cannot be told.
func (p *Pager) siren(now time.Time) {
	waiting := false
	for _, e := range p.open {
		waiting = waiting || e.announced != "" && e.announced != Over
	}
	if !waiting {
		p.untold = time.Time{}
		if p.sounding && p.opts.Troubled != nil {
			p.opts.Troubled(nil)
		}
		p.sounding = false
		return
	}
	if p.untold.IsZero() {
		p.untold = now
	}
	if p.sounding || now.Sub(p.untold) < sendWithin || p.opts.Troubled == nil {
		return
	}
	p.sounding = true
	causes := []error{errors.New("nobody could be told of a failure")}
	for _, c := range p.couriers {
		if c.trouble != nil {
			causes = append(causes, c.trouble) // it says which kind of channel it is
		}
	}
	p.opts.Troubled(errors.Join(causes...))
}

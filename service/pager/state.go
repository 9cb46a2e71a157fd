package pager

import (
	"errors"
	"fmt"
	"strings"
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
	p.works.Store(&state{time.Now(), errors.Join(p.blind, p.mute())})
}

// mute is why no channel takes messages; nil while one does, as far as is known.
func (p *Pager) mute() error {
	var causes []string
	for _, c := range p.couriers {
		if c.trouble == nil {
			return nil
		}
		causes = append(causes, c.plight())
	}
	return fmt.Errorf("no channel takes messages: %s", strings.Join(causes, "; "))
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

// siren says so when people cannot be told, once, and when they can again.
func (p *Pager) siren(now time.Time) {
	waiting := false
	for _, e := range p.open {
		waiting = waiting || e.announced != "" && e.announced != Over
	}
	switch {
	case !waiting:
		p.untold = time.Time{}
	case p.untold.IsZero():
		p.untold = now
	}
	mute := p.mute()
	var trouble error
	switch {
	case p.blind != nil:
		trouble = p.blind
	case waiting && now.Sub(p.untold) >= sendWithin:
		if trouble = mute; mute == nil { // no attempt has ended yet, or the limit is reached
			trouble = errors.New("a page waits that no channel has taken")
		}
	case p.sounding:
		trouble = mute // an incident that ends unheard heals no channel
	}
	if sound := trouble != nil; sound != p.sounding {
		p.sounding = sound
		if p.opts.Troubled != nil {
			p.opts.Troubled(trouble)
		}
	}
}

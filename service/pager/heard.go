package pager

import (
	"maps"
	"sync"

	"wxnotify/service/callback"
)

// heard counts the failures of this process that the book has not shown yet. It
// wakes the pager, and it bridges the moment in which a failure is committed and
// the database goes away before anybody has looked.
type heard struct {
	mu    *sync.Mutex
	since map[callback.IncidentKey]int64
	poke  chan struct{}
}

func newHeard() heard {
	return heard{new(sync.Mutex), map[callback.IncidentKey]int64{}, make(chan struct{}, 1)}
}

// Hear tells the pager of a callback that failed in this process, of the merchant
// that the book will name. It never waits.
func (p *Pager) Hear(merchant string, class callback.Class, reason callback.Reason) {
	if !class.Pages() {
		return
	}
	p.heard.mu.Lock()
	p.heard.since[callback.FailureIncident(merchant, class, reason)]++
	p.heard.mu.Unlock()
	select {
	case p.heard.poke <- struct{}{}:
	default: // it is awake already
	}
}

func (h heard) counts() map[callback.IncidentKey]int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.since) == 0 {
		return nil
	}
	return maps.Clone(h.since)
}

// forget takes off what the book has shown.
func (h heard) forget(shown map[callback.IncidentKey]int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, n := range shown {
		if h.since[key] -= n; h.since[key] <= 0 {
			delete(h.since, key)
		}
	}
}

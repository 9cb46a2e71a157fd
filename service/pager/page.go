package pager

import (
	"context"
	"time"

	"wxnotify/service/callback"
)

// Channel is a way to reach people.
type Channel interface {
	// Send returns nil only when the other side has said that it took the
	// message. Its error names no secret and quotes no answer. A [Muted] error
	// says how long the channel must be left alone.
	Send(ctx context.Context, m Message) error
}

// ChannelFunc is a channel made of a function.
type ChannelFunc func(ctx context.Context, m Message) error

// Send calls f.
func (f ChannelFunc) Send(ctx context.Context, m Message) error { return f(ctx, m) }

// Message is what goes out at once on one channel: the most urgent page first.
type Message struct {
	Pages   []Page
	Written time.Time
}

// Critical reports whether somebody must get up for it.
func (m Message) Critical() bool {
	for _, p := range m.Pages {
		if p.Critical() && p.Occasion != Over && p.Occasion != Drill {
			return true
		}
	}
	return false
}

// Page is what a message says about one incident.
type Page struct {
	callback.Incident
	callback.IncidentFacts
	Occasion Occasion
}

// Occasion is why people are told now.
type Occasion string

// The occasions of a page.
const (
	Opened Occasion = "opened" // nobody knows of it yet
	Again  Occasion = "again"  // it lasts
	Over   Occasion = "over"   // it has ended, and this is what is left
	Drill  Occasion = "drill"  // nothing happened: does the channel still work?
)

// Muted is a channel that refuses everything for a while.
type Muted struct {
	For   time.Duration
	Cause error
}

func (m *Muted) Error() string { return m.Cause.Error() }
func (m *Muted) Unwrap() error { return m.Cause }

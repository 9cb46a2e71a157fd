package telemetry

import (
	"context"
	"time"
)

const (
	// urgentEvery is the least time between two exports made for a failure.
	urgentEvery = time.Second
	// urgentWithin bounds one of them; it is below the export interval.
	urgentWithin = 4 * time.Second
)

// urgent exports metrics at once after a failure, off the request: a process
// that is killed before its next regular export takes the count with it.
type urgent struct{ wanted chan struct{} }

func newUrgent() *urgent { return &urgent{wanted: make(chan struct{}, 1)} }

// want asks for an export and never waits. A nil urgent has nobody to ask.
func (u *urgent) want() {
	if u == nil {
		return
	}
	select {
	case u.wanted <- struct{}{}:
	default: // one is already asked for, and it will carry this count too
	}
}

// run exports when wanted, at most once a second, until ctx ends.
func (u *urgent) run(ctx context.Context, export func(context.Context)) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-u.wanted:
		}
		exporting, cancel := context.WithTimeout(ctx, urgentWithin)
		export(exporting)
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-time.After(urgentEvery):
		}
	}
}

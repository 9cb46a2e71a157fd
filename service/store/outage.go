package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// outage is the time the database is away. Only the committer touches it.
type outage struct {
	cause error
	pause time.Duration
	retry time.Time
}

// The first retry is free: a single failure costs one batch. After it the pauses
// double, and none is longer than a second.
const (
	retryFirst = 50 * time.Millisecond
	retryLast  = time.Second
)

// failed begins or prolongs the outage. The connection is not used again: what
// it still holds is unknown.
func (d *DB) failed(err error) {
	if errors.Is(err, errMoved) {
		d.letGo()
	} else {
		d.writer.close()
	}
	d.writer = nil
	if d.outage.cause != nil {
		d.outage.pause = min(max(2*d.outage.pause, retryFirst), retryLast)
	}
	d.outage.cause = err
	d.outage.retry = time.Now().Add(d.outage.pause)
	d.trouble.Store(&err)
}

func (d *DB) recovered() {
	if d.outage.cause != nil {
		d.outage = outage{}
		d.trouble.Store(nil)
	}
}

// reconnect makes sure that there is a connection. Between two tries it fails at
// once, so that nobody waits for a database that is known to be away.
func (d *DB) reconnect(ctx context.Context) error {
	if d.writer != nil {
		return nil
	}
	if time.Now().Before(d.outage.retry) {
		return fmt.Errorf("store: waiting to try again after: %w", d.outage.cause)
	}
	// Opening would make a new, empty database: a merchant's whole past, gone.
	if path := d.opts.Path; path != "" {
		if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
			d.failed(fmt.Errorf("%w: %s is gone", errMoved, filepath.Base(path)))
			return d.outage.cause
		}
	}
	w, err := d.connect(ctx)
	if err != nil {
		d.failed(err)
		return err
	}
	d.writer = w
	return nil
}

package store

import (
	"context"
	"fmt"
	"time"
)

// Callbacks that arrive meanwhile wait for a purging transaction. So it works for
// purgeTime, not counting its commit, which takes as long for few rows as for many.
// Then purging rests for purgeRest times as long as both took: one callback in a
// hundred may meet it, which leaves the 99th percentile alone. That is some hundred
// rows a second; when they are not enough, and it is more than a day behind, one in
// ten may meet it.
const (
	purgeTime   = 5 * time.Millisecond
	purgeRest   = 99
	purgeHaste  = 9
	purgeBehind = 24 * time.Hour
	restMost    = time.Second // where commits are slow

	chunkFirst, chunkLeast, chunkMost = 100, 20, 2000

	// A row of a time when the clock was wrong is not where the old ones end.
	chunksBeyond = 10
)

const (
	sqlPurgeNext = `SELECT coalesce(min(seq), 0) FROM callbacks WHERE seq > ?`

	// Rows that prove missing money, or from which an event is still to be
	// rendered, are kept however old they are. The state is not
	// compared in the WHERE: PostgreSQL would choose the index of what is pending,
	// and read all of that for every row while a destination is away.
	sqlPurge = `DELETE FROM callbacks
WHERE seq >= ? AND seq < ? AND received_at < ?
	AND coalesce((SELECT n.standing FROM notifications n WHERE n.id = callbacks.notification), '')
		NOT IN ('outstanding', 'watched', 'quarantined')
	AND coalesce((SELECT max(CASE WHEN o.state = 'pending' THEN 1 ELSE 0 END) FROM outbox o
		WHERE o.notification = callbacks.notification), 0) = 0`

	sqlPurgeLatest = `SELECT coalesce(max(received_at), 0) FROM callbacks WHERE seq >= ? AND seq < ?`
)

// Purge deletes the callbacks that arrived before a time, in small steps beside
// the ingest, and tells how many rows it deleted. Notifications and orders stay:
// without them an old copy would be a new payment.
func (d *DB) Purge(ctx context.Context, before time.Time) (deleted int64, err error) {
	chunk := int64(chunkFirst)
	for at, beyond := int64(0), 0; ; {
		var done purged
		if err := d.request(ctx, func(w *writing) (err error) {
			done, err = w.purge(at, chunk, micros(before))
			return err
		}); err != nil {
			return deleted, fmt.Errorf("store: purging: %w", err)
		}
		deleted += done.rows
		if beyond++; done.old {
			beyond = 0
		}
		if done.next == 0 || beyond == chunksBeyond {
			return deleted, nil
		}
		at = done.next + chunk - 1
		chunk = chunkFor(chunk, done.worked)
		select {
		case <-time.After(restFor(time.Since(done.began), before.Sub(moment(done.latest)))):
		case <-ctx.Done():
		}
	}
}

// purged is what one purging transaction has done.
type purged struct {
	began  time.Time // not when it was asked for: callbacks came first
	worked time.Duration
	next   int64 // the first number that is in use
	rows   int64
	latest int64 // arrival of those that were looked at
	old    bool  // they arrived before the time
}

func (w *writing) purge(at, chunk, before int64) (p purged, err error) {
	p.began = time.Now()
	if err := w.get(&p.next, sqlPurgeNext, at); err != nil || p.next == 0 {
		return p, err
	}
	if err := w.get(&p.latest, sqlPurgeLatest, p.next, p.next+chunk); err != nil {
		return p, err
	}
	p.rows, err = w.run(sqlPurge, p.next, p.next+chunk, before)
	p.worked = time.Since(p.began)
	p.old = p.latest < before // rows are in the order of their arrival, almost
	return p, err
}

// chunkFor is how many rows would have been purgeTime's work, at most twice as many as
// the last time.
func chunkFor(last int64, worked time.Duration) int64 {
	return min(max(last*int64(purgeTime)/int64(max(worked, purgeTime/2)), chunkLeast), chunkMost)
}

// restFor is how long purging rests after a transaction, by how far behind it is.
func restFor(took, behind time.Duration) time.Duration {
	if behind > purgeBehind {
		return min(took*purgeHaste, restMost)
	}
	return min(took*purgeRest, restMost)
}

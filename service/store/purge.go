package store

import (
	"context"
	"fmt"
	"time"
)

// purgeChunk is how many rows one purging transaction looks at: callbacks that
// arrive meanwhile wait for milliseconds.
const purgeChunk = 500

const (
	sqlPurgeNext = `SELECT coalesce(min(seq), 0) FROM callbacks WHERE seq > ?`

	// Rows that prove missing money, or from which an event is still to be
	// rendered, are kept however old they are.
	sqlPurge = `DELETE FROM callbacks
WHERE seq >= ? AND seq < ? AND received_at < ?
	AND NOT EXISTS (SELECT 1 FROM notifications n WHERE n.id = callbacks.notification
		AND n.standing IN ('outstanding', 'watched', 'quarantined'))
	AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.notification = callbacks.notification AND o.state = 'pending')`

	sqlPurgeYoung = `SELECT count(*) FROM callbacks WHERE seq >= ? AND seq < ? AND received_at >= ?`
)

// Purge deletes the callbacks that arrived before a time, in small steps beside
// the ingest, and tells how many rows it deleted. Notifications and orders stay:
// without them an old copy would be a new payment.
func (d *DB) Purge(ctx context.Context, before time.Time) (deleted int64, err error) {
	for at := int64(0); ; {
		var rows, next int64
		var young int
		err := d.request(ctx, func(w *writing) (err error) {
			if err := w.get(&next, sqlPurgeNext, at); err != nil || next == 0 {
				return err
			}
			if rows, err = w.run(sqlPurge, next, next+purgeChunk, micros(before)); err != nil {
				return err
			}
			return w.get(&young, sqlPurgeYoung, next, next+purgeChunk, micros(before))
		})
		if err != nil {
			return deleted, fmt.Errorf("store: purging: %w", err)
		}
		deleted += rows
		if next == 0 || young > 0 { // rows are in the order of their arrival, almost
			return deleted, nil
		}
		at = next + purgeChunk - 1
	}
}

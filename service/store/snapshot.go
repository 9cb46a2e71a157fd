package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"wxnotify/service/callback"
)

// failureWindow is the page rule's: one or more failures in five minutes.
const failureWindow = 5 * time.Minute

const (
	sqlFailures = `SELECT merchant, class, reason, sum(1 + repeats) AS count
FROM callbacks WHERE outcome = 'failed' AND counted_at >= ?
GROUP BY merchant, class, reason`

	// Open is what is neither accepted nor ended; a watched probe has an hour.
	// The first comparison is the one that the partial index is made for.
	sqlOpen = ` FROM notifications
WHERE standing <> 'accepted' AND standing <> 'rejected' AND (standing <> 'watched' OR first_at <= ?)`

	sqlOutstanding = `SELECT merchant, reason, count(*) AS count, min(first_at) AS oldest,
	sum(CASE WHEN kind IN ('refund', 'partner_refund') THEN refund ELSE amount END) AS amount` + sqlOpen + `
GROUP BY merchant, reason`

	// Walks from merchant to merchant along the index instead of reading every row.
	sqlLatestByWalking = `WITH RECURSIVE names (name) AS (
	SELECT min(merchant) FROM callbacks
	UNION ALL
	SELECT (SELECT min(merchant) FROM callbacks WHERE merchant > names.name) FROM names WHERE names.name IS NOT NULL)
SELECT name AS merchant, (SELECT max(received_at) FROM callbacks WHERE merchant = names.name) AS at
FROM names WHERE name IS NOT NULL`

	// Rows are deleted from the old end, so the numbers tell how many are left.
	sqlRows = `SELECT coalesce((SELECT max(seq) FROM callbacks) - (SELECT min(seq) FROM callbacks) + 1, 0)`
)

// Snapshot reads the state of failures: four indexed queries in one read.
func (d *DB) Snapshot(ctx context.Context) (s callback.Snapshot, err error) {
	now := d.opts.Now()
	waiting := d.spool.failures() // before the database: an import meanwhile counts twice rather than never
	tx, err := d.reader.BeginTxx(ctx, &sql.TxOptions{Isolation: d.dialect.snapshot, ReadOnly: true})
	if err != nil {
		return s, fmt.Errorf("store: snapshot: %w", err)
	}
	defer tx.Rollback() //nolint:errcheck // nothing was written
	s = callback.Snapshot{Taken: now, LastCallback: make(map[string]time.Time)}
	if err := tx.SelectContext(ctx, &s.Failures, tx.Rebind(sqlFailures), micros(d.windowStart(now))); err != nil {
		return s, fmt.Errorf("store: counting failures: %w", err)
	}
	for i, f := range s.Failures {
		series := callback.FailureCount{Merchant: f.Merchant, Class: f.Class, Reason: f.Reason}
		s.Failures[i].Count += waiting[series]
		delete(waiting, series)
	}
	for f, n := range waiting {
		f.Count = n
		s.Failures = append(s.Failures, f)
	}
	var open []struct {
		Merchant              string
		Reason                callback.Reason
		Count, Oldest, Amount int64
	}
	if err := tx.SelectContext(ctx, &open, tx.Rebind(sqlOutstanding), micros(now.Add(-watchTime))); err != nil {
		return s, fmt.Errorf("store: summing up what is outstanding: %w", err)
	}
	for _, o := range open {
		s.Outstanding = append(s.Outstanding, callback.OutstandingCount{
			Merchant: o.Merchant, Reason: o.Reason,
			Count: o.Count, Amount: o.Amount, Oldest: moment(o.Oldest),
		})
	}
	var last []struct {
		Merchant string
		At       int64
	}
	if err := tx.SelectContext(ctx, &last, d.dialect.latest); err != nil {
		return s, fmt.Errorf("store: reading the last callbacks: %w", err)
	}
	for _, l := range last {
		s.LastCallback[l.Merchant] = moment(l.At)
	}
	if err := tx.GetContext(ctx, &s.Rows, sqlRows); err != nil {
		return s, fmt.Errorf("store: counting rows: %w", err)
	}
	return s, nil
}

// windowStart is five minutes ago. In the first five minutes of a process it
// begins five minutes before the last row of the one before: a failure followed
// by a crash is still seen.
func (d *DB) windowStart(now time.Time) time.Time {
	start := now.Add(-failureWindow)
	if now.Sub(d.started) < failureWindow && !d.previous.IsZero() {
		if before := d.previous.Add(-failureWindow); before.Before(start) {
			return before
		}
	}
	return start
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/callback"
)

const (
	// claimRows is how many failures one transaction claims. Callbacks wait for
	// it, and go in between two of them.
	claimRows = 250
	// claimFor is how long failures of one sort are claimed before the others
	// have their turn, and people hear of what is there.
	claimFor = 200 * time.Millisecond
	// claimPause lets the callbacks that have come meanwhile go first.
	claimPause = 2 * time.Millisecond
	// historyAfter is how long a failure can have waited for somebody to tell
	// before it is history: nobody was told of failures then.
	historyAfter = 24 * time.Hour
)

const (
	// The words of the partial index, so that it is used.
	sqlUntold = `SELECT seq, merchant, class, reason, counted_at FROM callbacks
WHERE incident = 0 AND outcome = 'failed' AND class IN ('proven', 'unproven')
	AND class = ? AND counted_at >= ? AND counted_at < ?
ORDER BY counted_at DESC LIMIT ?`

	sqlClaim = `UPDATE callbacks SET incident = ? WHERE incident = 0 AND seq IN (?)`

	sqlClaimed = `SELECT coalesce(sum(1 + repeats), 0) AS count,
	coalesce(min(received_at), 0) AS opened, coalesce(max(counted_at), 0) AS latest
FROM callbacks WHERE incident = ? AND seq IN (?)`

	sqlGrow = `UPDATE incidents SET count = count + ?,
	opened_at = CASE WHEN opened_at > ? THEN ? ELSE opened_at END,
	latest_at = CASE WHEN latest_at < ? THEN ? ELSE latest_at END
WHERE id = ?`

	// Locks the row, if it is what it was when it was found.
	sqlHold = `UPDATE incidents SET latest_at = latest_at WHERE id = ? AND closed_at = 0`

	sqlIncidents = `SELECT id, rule, merchant, class, reason, subject, detail,
	opened_at, latest_at, count, told_at, told_count, lasting
FROM incidents WHERE closed_at = 0 ORDER BY id`
)

// Incidents puts every failure that people must know of into the open incident
// of its kind, opening one where there is none, and lists all that are open.
// Each failure joins one incident, once, whatever number of replicas asks. Of
// many, the newest come first and the others with the next call. Those from a
// time when nobody was told become one incident, which is listed when it is
// complete.
func (d *DB) Incidents(ctx context.Context) ([]callback.Incident, error) {
	border := micros(d.opts.Now().Add(-historyAfter))
	gathered := true
	for _, s := range []claim{
		{class: callback.Proven, from: border, to: math.MaxInt64},
		{class: callback.Unproven, from: border, to: math.MaxInt64},
		{class: callback.Proven, to: border, history: true},
		{class: callback.Unproven, to: border, history: true},
	} {
		all, err := d.claim(ctx, s)
		if err != nil {
			return nil, fmt.Errorf("store: opening incidents: %w", err)
		}
		gathered = gathered && (all || !s.history)
	}
	var rows []incident
	if err := d.reader.SelectContext(ctx, &rows, sqlIncidents); err != nil {
		return nil, fmt.Errorf("store: listing incidents: %w", err)
	}
	list := make([]callback.Incident, 0, len(rows))
	for _, r := range rows {
		if gathered || r.Rule != callback.RuleHistory {
			list = append(list, r.incident())
		}
	}
	return list, nil
}

// claim is one sort of failures that belong to no incident yet.
type claim struct {
	class    callback.Class
	from, to int64 // when they were counted
	history  bool
}

// untold is a failure that nobody is told of.
type untold struct {
	Seq      int64
	Merchant string
	Class    callback.Class
	Reason   callback.Reason
	Counted  int64 `db:"counted_at"`
}

func (c claim) args(limit int) []any {
	return []any{string(c.class), c.from, c.to, limit}
}

// incident is the one that a failure belongs to.
func (c claim) incident(f untold) callback.IncidentKey {
	if c.history {
		return callback.IncidentKey{Rule: callback.RuleHistory, Class: "warning"}
	}
	return callback.FailureIncident(f.Merchant, f.Class, f.Reason)
}

// claim has failures of one sort claimed, and reports whether that was all.
func (d *DB) claim(ctx context.Context, c claim) (all bool, err error) {
	var some []untold
	if err := d.reader.SelectContext(ctx, &some, d.reader.Rebind(sqlUntold), c.args(1)...); err != nil || len(some) == 0 {
		return err == nil, err
	}
	for end := time.Now().Add(claimFor); time.Now().Before(end); {
		var claimed int // read only when the request has ended, which a caller may not wait for
		if err := d.request(ctx, func(w *writing) (err error) {
			claimed, err = w.claim(c)
			return err
		}); err != nil || claimed < claimRows {
			return err == nil, err
		}
		select {
		case <-time.After(claimPause):
		case <-ctx.Done():
			return false, context.Cause(ctx)
		}
	}
	return false, nil
}

// claim puts the newest failures of a sort into their incidents.
func (w *writing) claim(c claim) (int, error) {
	// Of two replicas, the second sees what the first has left.
	if err := w.lock("claims"); err != nil {
		return 0, err
	}
	var all []untold
	if err := w.tx.SelectContext(w.ctx, &all, w.tx.Rebind(sqlUntold), c.args(claimRows)...); err != nil {
		return 0, err
	}
	kinds := map[callback.IncidentKey][]untold{}
	for _, f := range all {
		key := c.incident(f)
		kinds[key] = append(kinds[key], f)
	}
	for key, failures := range kinds {
		latest := moment(failures[0].Counted)
		id, err := w.hold(incidentRow(callback.Incident{IncidentKey: key, Opened: latest, Latest: latest}))
		if err != nil {
			return 0, err
		}
		if err := w.join(id, failures); err != nil {
			return 0, err
		}
	}
	return len(all), nil
}

// join counts failures in an incident. What they count is read when nobody can
// change it any more.
func (w *writing) join(id int64, failures []untold) error {
	rows := make([]int64, len(failures))
	for i, f := range failures {
		rows[i] = f.Seq
	}
	query, args, err := sqlx.In(sqlClaim, id, rows)
	if err != nil {
		return err
	}
	if _, err := w.run(query, args...); err != nil {
		return err
	}
	if query, args, err = sqlx.In(sqlClaimed, id, rows); err != nil {
		return err
	}
	var sum struct{ Count, Opened, Latest int64 }
	if err := w.get(&sum, query, args...); err != nil || sum.Count == 0 {
		return err
	}
	_, err = w.run(sqlGrow, sum.Count, sum.Opened, sum.Opened, sum.Latest, sum.Latest, id)
	return err
}

// hold is open, and sees to it that nobody closes the incident before the
// transaction has ended.
func (w *writing) hold(row incident) (id int64, err error) {
	for range triesAtMost {
		id, err = w.open(row)
		if errors.Is(err, sql.ErrNoRows) {
			continue // closed since
		}
		if err != nil {
			return 0, err
		}
		if held, err := w.run(sqlHold, id); held == 1 || err != nil {
			return id, err
		}
	}
	return 0, errors.New("store: an incident closes as often as it is opened")
}

// lock lets one replica at a time go on, until its transaction ends.
func (w *writing) lock(name string) error {
	if _, err := w.run(`INSERT INTO leases (name, holder, until) VALUES (?, '', 0)`+w.db.dialect.absent("name"), name); err != nil {
		return err
	}
	_, err := w.run(`UPDATE leases SET until = until WHERE name = ?`, name)
	return err
}

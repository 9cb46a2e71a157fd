package store

import (
	"context"
	"fmt"
	"time"

	"wxnotify/service/callback"
)

const (
	sqlOpenIncident = `INSERT INTO incidents (
	rule, merchant, class, reason, subject, detail, opened_at, latest_at, count, told_at, told_count, lasting, closed_at)
VALUES (
	:rule, :merchant, :class, :reason, :subject, :detail, :opened_at, :latest_at, :count, :told_at, :told_count, :lasting, 0)`

	sqlIncidentKey = `rule = ? AND merchant = ? AND class = ? AND reason = ? AND subject = ?`

	sqlFindIncident = `SELECT id FROM incidents WHERE ` + sqlIncidentKey + ` AND closed_at = 0`
)

// clocksDiffer is by how much the replicas' clocks may.
const clocksDiffer = time.Minute

// incident is a row of the table.
type incident struct {
	ID        int64  `db:"id"`
	Rule      string `db:"rule"`
	Merchant  string `db:"merchant"`
	Class     string `db:"class"`
	Reason    string `db:"reason"`
	Subject   string `db:"subject"`
	Detail    string `db:"detail"`
	Opened    int64  `db:"opened_at"`
	Latest    int64  `db:"latest_at"`
	Count     int64  `db:"count"`
	Told      int64  `db:"told_at"`
	ToldCount int64  `db:"told_count"`
	Lasting   bool   `db:"lasting"`
}

func incidentRow(i callback.Incident) incident {
	return incident{
		Rule: clean(i.Rule, 64), Merchant: clean(i.Merchant, 64), Class: clean(string(i.Class), 16), Reason: clean(string(i.Reason), 32),
		Subject: clean(i.Subject, 128), Detail: clean(i.Detail, 1024),
		Opened: micros(i.Opened), Latest: micros(i.Latest), Count: i.Count,
		Told: micros(i.Told), ToldCount: i.ToldCount, Lasting: i.Lasting,
	}
}

func (r incident) incident() callback.Incident {
	return callback.Incident{
		ID: r.ID,
		IncidentKey: callback.IncidentKey{
			Rule: r.Rule, Merchant: r.Merchant, Class: callback.Class(r.Class), Reason: callback.Reason(r.Reason), Subject: r.Subject,
		},
		Detail: r.Detail, Opened: moment(r.Opened), Latest: moment(r.Latest), Count: r.counted(),
		Told: moment(r.Told), ToldCount: r.ToldCount, Lasting: r.Lasting,
	}
}

// counted is how many failures belong to it. Failed callbacks are counted when
// they are claimed; of what waits in the spool, what people were told counts.
func (r incident) counted() int64 {
	if r.Rule == callback.RuleFailed {
		return max(r.Count, r.ToldCount, 1)
	}
	return r.Count
}

// open finds the open incident of the row's key, or makes the row it.
func (w *writing) open(row incident) (id int64, err error) {
	if _, err := w.tx.NamedExecContext(w.ctx, sqlOpenIncident+w.db.dialect.absent("id"), row); err != nil {
		return 0, err
	}
	return id, w.get(&id, sqlFindIncident, row.Rule, row.Merchant, row.Class, row.Reason, row.Subject)
}

// OpenIncident opens an incident that is not read from failed callbacks: an
// alert's, missing money's, or one that people were told of while the database was
// away. One of its key that is open already takes it in; so does one that closed
// after the latest that is known of i: then i is old news.
func (d *DB) OpenIncident(ctx context.Context, i callback.Incident) error {
	row := incidentRow(i)
	if row.Rule == callback.RuleFailed {
		row.Count = 0 // its rows are counted, once, when they are claimed
	}
	err := d.request(ctx, func(w *writing) error {
		var closed int
		// Not what a clock closed that ran ahead.
		if err := w.get(&closed, `SELECT count(*) FROM incidents WHERE `+sqlIncidentKey+` AND closed_at >= ? AND closed_at <= ?`,
			row.Rule, row.Merchant, row.Class, row.Reason, row.Subject, max(row.Latest, 1), micros(d.opts.Now().Add(clocksDiffer))); err != nil || closed > 0 {
			return err
		}
		id, err := w.open(row)
		if err != nil {
			return err
		}
		// Failed callbacks are counted where they are claimed.
		_, err = w.run(`UPDATE incidents SET lasting = CASE WHEN ? THEN TRUE ELSE lasting END, detail = CASE WHEN ? = '' THEN detail ELSE ? END,
	count = CASE WHEN ? THEN ? ELSE count END,
	latest_at = CASE WHEN latest_at < ? THEN ? ELSE latest_at END,
	told_at = CASE WHEN told_at < ? THEN ? ELSE told_at END,
	told_count = CASE WHEN told_count < ? THEN ? ELSE told_count END
WHERE id = ?`, row.Lasting, row.Detail, row.Detail, row.Lasting && row.Rule != callback.RuleFailed, row.Count, row.Latest, row.Latest, row.Told, row.Told, row.ToldCount, row.ToldCount, id)
		return err
	})
	if err != nil {
		return fmt.Errorf("store: opening an incident: %w", err)
	}
	return nil
}

// EaseIncident lets an incident end that was kept open: its alert has stopped
// firing, its money has come. It lasted until then, as far as is known.
func (d *DB) EaseIncident(ctx context.Context, key callback.IncidentKey, at time.Time) error {
	row := incidentRow(callback.Incident{IncidentKey: key})
	return d.onIncident(ctx, "easing", `UPDATE incidents SET lasting = FALSE,
	latest_at = CASE WHEN latest_at < ? THEN ? ELSE latest_at END
WHERE `+sqlIncidentKey+` AND closed_at = 0 AND lasting`, micros(at), micros(at),
		row.Rule, row.Merchant, row.Class, row.Reason, row.Subject)
}

// IncidentTold notes that a page about the incident was taken, and how many
// failures it had counted; or, at no time, that it must be told anew.
func (d *DB) IncidentTold(ctx context.Context, id, count int64, at time.Time) error {
	return d.onIncident(ctx, "noting a page of", `UPDATE incidents SET told_at = ?, told_count = ? WHERE id = ?`, micros(at), count, id)
}

// CloseIncident ends an incident that is as it was told. One that a failure has
// joined since, or that lasts again, stays open; and because people were told that
// it is over, they are told anew, at once.
func (d *DB) CloseIncident(ctx context.Context, id, count int64, at time.Time) error {
	if err := d.request(ctx, func(w *writing) error {
		closed, err := w.run(`UPDATE incidents SET closed_at = ?, told_at = ?, told_count = ?
WHERE id = ? AND closed_at = 0 AND count <= ? AND NOT lasting`, micros(at), micros(at), count, id, count)
		if err == nil && closed == 0 {
			_, err = w.run(`UPDATE incidents SET told_at = 0 WHERE id = ? AND closed_at = 0`, id)
		}
		return err
	}); err != nil {
		return fmt.Errorf("store: closing an incident: %w", err)
	}
	return nil
}

func (d *DB) onIncident(ctx context.Context, doing, query string, args ...any) error {
	if err := d.request(ctx, func(w *writing) error {
		_, err := w.run(query, args...)
		return err
	}); err != nil {
		return fmt.Errorf("store: %s an incident: %w", doing, err)
	}
	return nil
}

// Waiting counts the failures in the spool: what the database does not know
// yet, or cannot be told. It asks no database.
func (d *DB) Waiting() []callback.FailureCount {
	var list []callback.FailureCount
	for f, n := range d.spool.failures() {
		f.Count = n
		list = append(list, f)
	}
	return list
}

// Lease gives holder the named duty until ttl from now, unless another holds
// it. Who holds it already keeps it. A lease that ends later than one can end was
// taken by a clock that ran ahead.
func (d *DB) Lease(ctx context.Context, name, holder string, ttl time.Duration) (bool, error) {
	var held bool // read only when the request has ended, which a caller may not wait for
	err := d.request(ctx, func(w *writing) error {
		now := micros(d.opts.Now())
		if _, err := w.run(`INSERT INTO leases (name, holder, until) VALUES (?, ?, 0)`+d.dialect.absent("name"), name, holder); err != nil {
			return err
		}
		n, err := w.run(`UPDATE leases SET holder = ?, until = ? WHERE name = ? AND (holder = ? OR until < ? OR until > ?)`,
			holder, now+ttl.Microseconds(), name, holder, now, now+(ttl+clocksDiffer).Microseconds())
		held = n == 1
		return err
	})
	if err != nil {
		return false, fmt.Errorf("store: leasing %s: %w", name, err)
	}
	return held, nil
}

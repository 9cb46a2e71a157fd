package store

import (
	"context"
	"fmt"

	"wxnotify/service/callback"
)

const (
	// The words of the partial index, so that it is used.
	sqlUntoldWhere = `WHERE incident = 0 AND outcome = 'failed' AND class IN ('proven', 'unproven')`

	sqlUntold = `SELECT merchant, class, reason, max(counted_at) AS latest
FROM callbacks ` + sqlUntoldWhere + ` GROUP BY merchant, class, reason`

	sqlClaim = `UPDATE callbacks SET incident = ? ` + sqlUntoldWhere + ` AND merchant = ? AND class = ? AND reason = ?`

	sqlRecount = `UPDATE incidents SET
	latest_at = CASE WHEN latest_at < ? THEN ? ELSE latest_at END,
	opened_at = coalesce((SELECT min(received_at) FROM callbacks WHERE incident = incidents.id AND incident <> 0), opened_at),
	count = (SELECT coalesce(sum(1 + repeats), 0) FROM callbacks WHERE incident = incidents.id AND incident <> 0)
WHERE id = ?`

	sqlIncidents = `SELECT id, rule, merchant, class, reason, subject, detail,
	opened_at, latest_at, count, told_at, told_count, lasting
FROM incidents WHERE closed_at = 0 ORDER BY id`
)

// Incidents puts every failure that people must know of into the open incident
// of its kind, opening one where there is none, and lists all that are open.
// Each failure joins one incident, once, whatever number of replicas asks: the
// join is a conditional update, and commits with the incident's count.
func (d *DB) Incidents(ctx context.Context) ([]callback.Incident, error) {
	var untold []struct {
		Merchant string
		Class    callback.Class
		Reason   callback.Reason
		Latest   int64
	}
	if err := d.reader.SelectContext(ctx, &untold, sqlUntold); err != nil {
		return nil, fmt.Errorf("store: looking for failures that nobody is told of: %w", err)
	}
	if len(untold) > 0 {
		if err := d.request(ctx, func(w *writing) error {
			for _, f := range untold {
				if err := w.claim(f.Merchant, f.Class, f.Reason, f.Latest); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			return nil, fmt.Errorf("store: opening incidents: %w", err)
		}
	}
	var rows []incident
	if err := d.reader.SelectContext(ctx, &rows, sqlIncidents); err != nil {
		return nil, fmt.Errorf("store: listing incidents: %w", err)
	}
	list := make([]callback.Incident, len(rows))
	for i, r := range rows {
		list[i] = r.incident()
	}
	return list, nil
}

func (w *writing) claim(merchant string, class callback.Class, reason callback.Reason, latest int64) error {
	key := callback.FailureIncident(merchant, class, reason)
	id, err := w.open(incident{
		Rule: key.Rule, Merchant: key.Merchant, Class: string(key.Class), Reason: string(key.Reason), Opened: latest, Latest: latest,
	})
	if err != nil {
		return err
	}
	// Takes hold of the incident first: of two replicas that claim at the same
	// time, the second counts what the first has claimed.
	if _, err := w.run(`UPDATE incidents SET latest_at = latest_at WHERE id = ?`, id); err != nil {
		return err
	}
	if _, err := w.run(sqlClaim, id, merchant, string(class), string(reason)); err != nil {
		return err
	}
	_, err = w.run(sqlRecount, latest, latest, id)
	return err
}

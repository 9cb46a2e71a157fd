package store

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"wxnotify/service/callback"
)

const sqlNoticeColumns = `id, merchant, event_id, facts, standing, reason, arrivals,
	first_at, last_at, first_trace, previous_trace, last_trace, callback, closed_at,
	notification_id, api, kind, event_type, mchid, appid, business_key,
	out_trade_no, transaction_id, out_refund_no, refund_id, state, result_code,
	amount, currency, refund, refund_currency, created_at, succeeded_at`

// Outstanding lists the notifications that have not been accepted, eldest first.
func (d *DB) Outstanding(ctx context.Context, limit int) ([]callback.Outstanding, error) {
	var rows []notice
	if err := d.reader.SelectContext(ctx, &rows, d.reader.Rebind(`SELECT `+sqlNoticeColumns+sqlOpen+`
ORDER BY first_at, id LIMIT ?`), micros(d.opts.Now().Add(-watchTime)), limit); err != nil {
		return nil, fmt.Errorf("store: listing what is outstanding: %w", err)
	}
	list := make([]callback.Outstanding, len(rows))
	for i, r := range rows {
		list[i] = callback.Outstanding{
			Notification: r.notification(r.Merchant), Reason: callback.Reason(r.Reason),
			First: moment(r.First), Last: moment(r.Last), Arrivals: r.Arrivals,
		}
	}
	return list, nil
}

// ErrResolved is returned when a notification is not outstanding (any more).
var ErrResolved = errors.New("store: nothing is outstanding here")

// ErrAmbiguous is returned when several merchants have this notification id:
// name one as "merchant/id".
var ErrAmbiguous = errors.New("store: several merchants have this notification id")

// Resolve ends an outstanding notification by a person's decision: accepting
// books it as if it had been accepted (order and outbox), rejecting ends it
// unbooked. Either way the row keeps who decided, when and why. The
// notification is named by its id, or by "merchant/id".
func (d *DB) Resolve(ctx context.Context, notificationID string, accept bool, reason, by string) error {
	var outcome error
	err := d.request(ctx, func(w *writing) error {
		outcome = nil
		rows, err := w.candidates(notificationID)
		if err != nil {
			return err
		}
		switch len(rows) {
		case 0:
			outcome = callback.ErrNotFound
			return nil
		case 1:
		default:
			outcome = ErrAmbiguous
			return nil
		}
		outcome, err = w.resolve(rows[0], accept, clean(reason, 512), clean(by, 128))
		return err
	})
	if err != nil {
		return fmt.Errorf("store: resolving: %w", err)
	}
	return outcome
}

// candidates are the notifications that a person may mean. The ids of v2
// messages contain slashes too, so the whole text is tried first.
func (w *writing) candidates(name string) ([]notice, error) {
	rows, err := w.notices(`notification_id = ?`, name)
	merchant, id, split := strings.Cut(name, "/")
	if err != nil || len(rows) > 0 || !split {
		return rows, err
	}
	return w.notices(`notification_id = ? AND merchant = ?`, id, merchant)
}

func (w *writing) notices(where string, args ...any) (rows []notice, err error) {
	query := `SELECT ` + sqlNoticeColumns + ` FROM notifications WHERE ` + where
	err = w.tx.SelectContext(w.ctx, &rows, w.tx.Rebind(query), args...)
	return rows, err
}

func (w *writing) resolve(row notice, accept bool, reason, by string) (outcome, err error) {
	standing := rejected
	if accept {
		standing = accepted
	}
	done, err := w.run(`UPDATE notifications
SET standing = ?, closed_at = ?, resolved_by = ?, resolved_reason = ?
WHERE id = ? AND standing IN ('outstanding', 'watched', 'quarantined')`, standing, w.now, by, reason, row.ID)
	switch {
	case err != nil:
		return nil, err
	case done == 0:
		return ErrResolved, nil
	case !accept:
		return nil, nil
	}
	if err := w.believe(row.notification(row.Merchant)); err != nil {
		return nil, err
	}
	return nil, w.insert.outbox(w, w.db.announcement(row.EventID, row.ID, w.now))
}

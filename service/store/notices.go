package store

import (
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/callback"
)

// conflictMark separates a message that contradicts an earlier one of the same
// id or key: both the key and the id of its row carry the mark and a digest, so
// that it is outstanding on its own until a person resolves it.
const conflictMark = "#conflict/"

func digestOf(n callback.Notification) string {
	sum := sha256.Sum256([]byte(n.Facts()))
	return hex.EncodeToString(sum[:])
}

// noticeOf makes the row that an arrival of n would insert.
func (w *writing) noticeOf(n callback.Notification, a *arrival, verified bool) notice {
	row := notice{
		Merchant: n.Merchant, EventID: n.Event(), Standing: accepted, Closed: w.now,
		First: a.Received, Last: a.Received, FirstTrace: a.Trace, LastTrace: a.Trace,
		Callback: a.ID, message: messageOf(n),
	}
	if verified {
		row.Facts = digestOf(n)
	}
	return row
}

// meet counts this arrival of a message: as the first, or as a further copy of
// a row that agrees with it. If the only row there is contradicts it, ok is false.
func (w *writing) meet(row *notice) (first, ok bool, err error) {
	switch err := w.st.insertNotice.QueryRowContext(w.ctx, row).Scan(&row.ID); {
	case err == nil:
		row.Arrivals = 1
		return true, true, nil
	case !errors.Is(err, sql.ErrNoRows):
		return false, false, err
	}
	if met, err := w.further(w.st.arriveByKey, row); met || err != nil {
		return false, met, err
	}
	var sameKey int
	if err := w.get(&sameKey, `SELECT count(*) FROM notifications WHERE business_key = ? AND merchant = ?`,
		row.BusinessKey, row.Merchant); err != nil || sameKey > 0 {
		return false, false, err
	}
	met, err := w.further(w.st.arriveByID, row)
	return false, met, err
}

// further counts one more copy and brings row up to what the table says.
func (w *writing) further(stmt *sqlx.NamedStmt, row *notice) (bool, error) {
	switch err := stmt.GetContext(w.ctx, row, row); {
	case errors.Is(err, sql.ErrNoRows):
		return false, nil
	case err != nil:
		return false, err
	}
	return true, nil
}

// accept books a verified notification: once.
func (w *writing) accept(n callback.Notification, a *arrival) (v verdict, err error) {
	row := w.noticeOf(n, a, true)
	first, ok, err := w.meet(&row)
	if err != nil {
		return v, err
	}
	if !ok {
		return w.contradicts(n, a)
	}
	v.arrived(a, row)
	if !first {
		if row.NotificationID != n.ID {
			if err := w.closeOpened(row, n.ID); err != nil {
				return v, err
			}
		}
		done, err := w.book(row, n)
		if err != nil {
			return v, err
		}
		if !done {
			v.known(row)
			return v, nil
		}
	}
	reason, err := w.credit(n)
	switch {
	case err != nil:
		return v, err
	case reason == "":
		v.Event = n.Event()
		return v, w.announce(v.Event, row.ID)
	case reason.Quarantined():
		v.Quarantine = reason
		row.Standing = quarantined
	default:
		v.refusal = callback.Refuse(reason, "")
		v.refusal.Notification = &n
		row.Standing = outstanding
	}
	row.Reason = string(reason)
	_, err = w.exec(w.st.standNotice, row)
	return v, err
}

// book makes an open row the verified message n. It does nothing to a row that
// is decided.
func (w *writing) book(row notice, n callback.Notification) (done bool, err error) {
	if row.Standing == accepted || row.Standing == quarantined {
		return false, nil // most copies: the statement would find nothing
	}
	row.Closed, row.EventID = w.now, n.Event()
	rows, err := w.exec(w.st.acceptNotice, row)
	return rows > 0, err
}

// closeOpened ends what was only opened under this notification id while its
// message had a row by its key already: the two are one message.
func (w *writing) closeOpened(row notice, id string) error {
	_, err := w.run(`UPDATE notifications SET standing = 'accepted', closed_at = ?, facts = ?
WHERE notification_id = ? AND merchant = ? AND id <> ? AND facts = '' AND standing IN ('outstanding', 'watched')`,
		w.now, row.Facts, id, row.Merchant, row.ID)
	return err
}

// contradicts keeps a message that says something else than an earlier one of
// the same id or key. The earlier one's standing is not touched.
func (w *writing) contradicts(n callback.Notification, a *arrival) (v verdict, err error) {
	mark := conflictMark + digestOf(n)[:16]
	n.Key, n.ID = n.Key+mark, n.ID+mark
	row := w.noticeOf(n, a, true)
	row.Standing, row.Reason, row.Closed = quarantined, string(callback.ReasonConflict), 0
	switch _, ok, err := w.meet(&row); {
	case err != nil:
		return v, err
	case !ok:
		return v, errors.New("store: a conflict within a conflict")
	}
	v.arrived(a, row)
	v.known(row)
	return v, nil
}

// refuse keeps a proven message that was not accepted: its money is missing.
func (w *writing) refuse(n callback.Notification, verified bool, r *callback.Refusal, a *arrival) (v verdict, err error) {
	v.refusal = r
	row := w.noticeOf(n, a, verified)
	row.Standing, row.Reason, row.Closed = outstanding, string(r.Reason), 0
	if r.Reason == callback.ReasonProbe {
		row.Standing = watched
	}
	first, ok, err := w.meet(&row)
	if err != nil {
		return v, err
	}
	if !ok {
		conflict, err := w.contradicts(n, a)
		conflict.Commit = callback.Commit{Trail: conflict.Trail}
		conflict.refusal = r
		return conflict, err
	}
	v.arrived(a, row)
	if !first && r.Reason != callback.ReasonProbe {
		row.Reason = string(r.Reason)
		_, err = w.exec(w.st.reviveNotice, row)
	}
	return v, err
}

// outgoing is one row of outbox.
type outgoing struct {
	EventID      string `db:"event_id"`
	Destination  string `db:"destination"`
	Notification int64  `db:"notification"`
	Created      int64  `db:"created_at"`
}

// announce puts the event into the outbox, once for each destination.
func (w *writing) announce(event string, notification int64) error {
	for _, destination := range w.db.opts.Destinations {
		if _, err := w.exec(w.st.insertOutbox, outgoing{event, destination, notification, w.now}); err != nil {
			return err
		}
	}
	return nil
}

package store

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"

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

// noticeOf makes the row that the arrivals of a message would insert.
func (w *writing) noticeOf(g *group) notice {
	first, last := &g.sendings[0].row, &g.sendings[len(g.sendings)-1].row
	row := notice{
		Merchant: g.message.Merchant, EventID: g.message.Event(), Standing: accepted, Closed: w.now,
		Arrivals: len(g.sendings), First: first.Received, Last: last.Received,
		FirstTrace: first.Trace, LastTrace: last.Trace,
		Callback: first.ID, message: messageOf(g.message),
	}
	for i, s := range g.sendings {
		row.First, row.Last = min(row.First, s.row.Received), max(row.Last, s.row.Received)
		if i > 0 {
			row.PreviousTrace = g.sendings[i-1].row.Trace
		}
	}
	if g.sendings[0].job.verified {
		row.Facts = g.sendings[0].job.digest
	}
	if g.refusal != nil {
		row.Standing, row.Reason, row.Closed = outstanding, string(g.refusal.Reason), 0
		if g.refusal.Reason == callback.ReasonProbe {
			row.Standing = watched
		}
	}
	return row
}

// errChanged is when a row was in the way of an insertion and is not there, or
// does not contradict, a moment later: another writer was at it. The transaction
// may pass when it is tried again.
var errChanged = errors.New("store: another writer changed a notification meanwhile")

// again counts arrivals of a message as further copies of a row that agrees
// with it. If the only row there is contradicts it, met is false.
func (w *writing) again(g *group) (met bool, err error) {
	for _, by := range []struct {
		stmt      statement
		where, id string
	}{
		{arriveByKey, `business_key = ?`, g.row.BusinessKey},
		{arriveByID, `notification_id = ?`, g.row.NotificationID},
	} {
		g.byID = by.stmt == arriveByID
		if met, err := w.further(g, by.stmt, by.where, by.id); met || err != nil {
			return met, err
		}
		var facts []string
		if err := w.tx.SelectContext(w.ctx, &facts,
			w.tx.Rebind(`SELECT facts FROM notifications WHERE `+by.where+` AND merchant = ?`), by.id, g.row.Merchant); err != nil {
			return false, err
		}
		if len(facts) == 1 && facts[0] != "" && g.row.Facts != "" && facts[0] != g.row.Facts {
			return false, nil
		}
		if len(facts) == 1 {
			break
		}
	}
	return false, errChanged
}

// further counts the copies and brings the group's row up to what the table says.
func (w *writing) further(g *group, stmt statement, where, id string) (met bool, err error) {
	if done, err := w.exec(stmt, g.row); done == 0 || err != nil {
		return false, err
	}
	if err := w.get(&g.row, `SELECT id, notification_id, event_id, standing, reason, arrivals, first_trace, previous_trace
FROM notifications WHERE `+where+` AND merchant = ?`, id, g.row.Merchant); err != nil {
		return false, err
	}
	g.arrived()
	if g.refusal != nil && g.refusal.Reason != callback.ReasonProbe {
		row := g.row
		row.Reason = string(g.refusal.Reason)
		_, err = w.exec(reviveNotice, row)
	}
	return true, err
}

// book makes an open row the group's verified message. It does nothing to a row
// that is decided.
func (w *writing) book(g *group) (done bool, err error) {
	n := g.message
	if g.row.NotificationID != n.ID {
		if err := w.closeOpened(g.row, n.ID); err != nil {
			return false, err
		}
	}
	if g.row.Standing == accepted && !g.byID || g.row.Standing == quarantined {
		return false, nil // most copies: the statement would find nothing
	}
	row := g.row
	row.Closed, row.EventID = w.now, n.Event()
	rows, err := w.exec(acceptNotice, row)
	if rows > 0 && g.byID && err == nil { // if it was announced, then unread and under another id
		_, err = w.run(`UPDATE outbox SET event_id = ?, state = 'pending', due_at = ?, attempts = 0, done_at = 0 WHERE notification = ?`,
			row.EventID, w.now, row.ID)
	}
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
func (w *writing) contradicts(g *group) error {
	mark := conflictMark + digestOf(g.message)[:16]
	g.message.Key, g.message.ID = g.message.Key+mark, g.message.ID+mark
	refusal := g.refusal
	g.refusal = nil
	g.row = w.noticeOf(g)
	g.row.Facts = digestOf(g.message)
	g.row.Standing, g.row.Reason, g.row.Closed = quarantined, string(callback.ReasonConflict), 0
	if err := w.insert.notices(w, []*notice{&g.row}); err != nil {
		return err
	}
	if g.row.ID != 0 {
		g.arrived()
	} else if met, err := w.again(g); err != nil {
		return err
	} else if !met {
		return errors.New("store: a conflict within a conflict")
	}
	if refusal == nil {
		g.known()
	}
	return nil
}

// outgoing is one row of outbox.
type outgoing struct {
	EventID      string `db:"event_id"`
	Destination  string `db:"destination"`
	Notification int64  `db:"notification"`
	State        string `db:"state"`
	Attempts     int    `db:"attempts"`
	Due          int64  `db:"due_at"`
	Lease        string `db:"lease"`
	LeasedUntil  int64  `db:"leased_until"`
	Created      int64  `db:"created_at"`
	Done         int64  `db:"done_at"`
}

// announcement is an event on its way into the outbox, once for each destination.
func (d *DB) announcement(event string, notification, now int64) (rows []outgoing) {
	for _, destination := range d.opts.Destinations {
		rows = append(rows, outgoing{
			EventID: event, Destination: destination, Notification: notification, State: "pending", Due: now, Created: now,
		})
	}
	return rows
}

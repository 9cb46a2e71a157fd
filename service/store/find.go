package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"wxnotify/service/callback"
)

const sqlCallbackColumns = `c.id, c.merchant, c.path_merchant, c.api, c.received_at, c.read_at,
	c.outcome, c.class, c.reason, c.detail, c.status, c.arrival, c.repeats, c.notification,
	c.notification_id, c.kind, c.event_type, c.mchid, c.appid, c.business_key,
	c.out_trade_no, c.transaction_id, c.out_refund_no, c.refund_id, c.state, c.result_code,
	c.amount, c.currency, c.refund, c.refund_currency, c.created_at, c.succeeded_at,
	c.peer, c.content_type, c.length, c.digest, c.body_form, c.body_key, c.body,
	c.serial, c.signed_at, c.nonce, c.signature_type, c.signature, c.trace`

// sqlFind ends the search for a transaction with the condition that the engine's
// index is made for.
const sqlFind = `SELECT ` + sqlCallbackColumns + `
FROM (SELECT id FROM notifications WHERE notification_id = ?
	UNION SELECT id FROM notifications WHERE notification_id >= ? AND notification_id < ?
	UNION SELECT id FROM notifications WHERE out_trade_no = ?
	UNION SELECT id FROM notifications WHERE business_key = ?
	UNION SELECT id FROM notifications WHERE transaction_id = ?%s) n JOIN callbacks c ON c.notification = n.id
ORDER BY c.received_at DESC, c.seq DESC LIMIT ?`

// unlessPayment leaves out the payments, which their keys lead to: they are
// most, and an index without them costs a callback one page less to write.
const unlessPayment = ` AND business_key <> 'payment/' || transaction_id`

func (e dialect) find() string { return fmt.Sprintf(sqlFind, e.others) }

// findMost bounds one answer; no message has that many arrivals by itself.
const findMost = 1000

// Callback reads one arrival by the id of its audit row, from the spool if the
// database does not have it.
func (d *DB) Callback(ctx context.Context, id string) (callback.Stored, error) {
	var a arrival
	err := d.reader.GetContext(ctx, &a, d.reader.Rebind(`SELECT `+sqlCallbackColumns+` FROM callbacks c WHERE c.id = ?`), id)
	if err == nil {
		return a.stored(), nil
	}
	if s, ok := d.spool.find(id); ok {
		return s, nil
	}
	if errors.Is(err, sql.ErrNoRows) {
		return callback.Stored{}, callback.ErrNotFound
	}
	return callback.Stored{}, fmt.Errorf("store: reading a callback: %w", err)
}

// Find lists the arrivals of the notifications with this notification id,
// out_trade_no or transaction_id, newest first, a thousand at most. Arrivals
// that contradict such a notification are among them.
func (d *DB) Find(ctx context.Context, key string) ([]callback.Stored, error) {
	if key == "" {
		return nil, nil
	}
	var rows []arrival
	// '0' is the character after '/': the range holds the ids that carry the mark.
	mark, end := key+conflictMark, key+conflictMark[:len(conflictMark)-1]+"0"
	if err := d.reader.SelectContext(ctx, &rows, d.reader.Rebind(d.dialect.find()), key, mark, end, key, "payment/"+key, key, findMost); err != nil {
		return nil, fmt.Errorf("store: looking for callbacks: %w", err)
	}
	found := make([]callback.Stored, len(rows))
	for i, a := range rows {
		found[i] = a.stored()
	}
	return found, nil
}

package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"

	"wxnotify/service/callback"
)

const sqlRegister = `UPDATE orders SET registered = ?, currency = ?, updated_at = ?
WHERE merchant = ? AND out_trade_no = ? AND amount = ? AND (currency = ? OR currency = '')`

// RegisterOrder makes an order known ahead, or confirms one that a callback
// told of. Only merchant, number and amount of o are read. With another amount
// than the known one, it is an [callback.ErrOrderConflict] and an incident.
func (d *DB) RegisterOrder(ctx context.Context, o callback.Order) (bool, error) {
	var created, conflict bool // read only when the request has ended, which a caller may not wait for
	err := d.request(ctx, func(w *writing) error {
		created, conflict = false, false
		row := order{
			Merchant: o.Merchant, OutTradeNo: o.OutTradeNo, Amount: o.Amount.Minor, Currency: o.Amount.Currency,
			State: string(callback.OrderExpected), Registered: true, UpdatedAt: w.now,
		}
		if is, err := w.insert.orders(w, []*order{&row}); err != nil || is[0] {
			created = err == nil
			return err
		}
		done, err := w.run(sqlRegister, true, row.Currency, w.now, row.Merchant, row.OutTradeNo, row.Amount, row.Currency)
		if done == 1 || err != nil {
			return err
		}
		conflict = true
		return w.conflicted(row)
	})
	switch {
	case err != nil:
		return false, fmt.Errorf("store: registering an order: %w", err)
	case conflict:
		return false, callback.ErrOrderConflict
	}
	return created, nil
}

// conflicted counts an order in its merchant's incident, once as long as it is
// open. A system that registers one order wrongly does so with each: people are
// told of the system, and of some orders.
func (w *writing) conflicted(row order) error {
	id, err := w.hold(incident{Rule: callback.RuleOrderConflict, Merchant: row.Merchant, Opened: w.now, Latest: w.now})
	if err != nil {
		return err
	}
	var known string
	if err := w.get(&known, `SELECT detail FROM incidents WHERE id = ?`, id); err != nil {
		return err
	}
	orders := conflicting(known)
	if slices.Contains(orders, row.OutTradeNo) {
		_, err = w.run(`UPDATE incidents SET latest_at = ? WHERE id = ?`, w.now, id)
		return err
	}
	if names := strings.Join(append(orders, row.OutTradeNo), "\n"); len(names) <= conflictNames {
		known = names
	}
	_, err = w.run(`UPDATE incidents SET count = count + 1, detail = ?, latest_at = ? WHERE id = ?`, known, w.now, id)
	return err
}

// conflictNames is how many bytes of order numbers an incident keeps.
const conflictNames = 1000

// conflicting are the orders that an incident names, the eldest first.
func conflicting(detail string) []string {
	return strings.FieldsFunc(detail, func(r rune) bool { return r == '\n' })
}

// Order reads one order.
func (d *DB) Order(ctx context.Context, merchant, outTradeNo string) (callback.Order, error) {
	var o order
	err := d.reader.GetContext(ctx, &o, d.reader.Rebind(`SELECT
	merchant, out_trade_no, amount, currency, state, transaction_id, refunded, registered, paid_at, updated_at
FROM orders WHERE merchant = ? AND out_trade_no = ?`), merchant, outTradeNo)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return callback.Order{}, callback.ErrNotFound
	case err != nil:
		return callback.Order{}, fmt.Errorf("store: reading an order: %w", err)
	}
	return o.order(), nil
}

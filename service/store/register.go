package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

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
		// One open incident for an order says it all.
		_, err = w.open(incident{
			Rule: callback.RuleOrderConflict, Merchant: row.Merchant, Subject: row.OutTradeNo,
			Detail: "registered again with " + o.Amount.String(), Opened: w.now, Latest: w.now, Count: 1,
		})
		return err
	})
	switch {
	case err != nil:
		return false, fmt.Errorf("store: registering an order: %w", err)
	case conflict:
		return false, callback.ErrOrderConflict
	}
	return created, nil
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

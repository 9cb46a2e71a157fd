package store

import (
	"database/sql"
	"errors"
	"fmt"

	"wxnotify/service/callback"
)

// States only move forward: expected < paid < partly_refunded < refunded. Every
// statement here carries its own condition, and the caller counts the rows: no
// order is read first and written later.
const (
	sqlInsertOrder = `INSERT INTO orders (
	merchant, out_trade_no, amount, currency, state, transaction_id, refunded, registered, paid_at, updated_at)
VALUES (:merchant, :out_trade_no, :amount, :currency, :state, :transaction_id, :refunded, :registered, :paid_at, :updated_at)
ON CONFLICT DO NOTHING`

	sqlSameAmount = ` AND amount = :amount AND (currency = :currency OR currency = '' OR :currency = '')`

	// A refund may have come before: then the payment fills in its facts and the
	// state stays where it is.
	sqlPayOrder = `UPDATE orders
SET state = CASE WHEN state = 'expected' THEN 'paid' ELSE state END,
	currency = CASE WHEN currency = '' THEN :currency ELSE currency END,
	transaction_id = :transaction_id, paid_at = :paid_at, updated_at = :updated_at
WHERE merchant = :merchant AND out_trade_no = :out_trade_no` + sqlSameAmount + `
	AND (transaction_id = '' OR transaction_id = :transaction_id)`

	sqlRefundOrder = `UPDATE orders
SET refunded = refunded + :refunded,
	state = CASE WHEN refunded + :refunded >= amount THEN 'refunded' ELSE 'partly_refunded' END,
	transaction_id = CASE WHEN transaction_id = '' THEN :transaction_id ELSE transaction_id END,
	updated_at = :updated_at
WHERE merchant = :merchant AND out_trade_no = :out_trade_no` + sqlSameAmount + `
	AND (transaction_id = '' OR :transaction_id = '' OR transaction_id = :transaction_id)
	AND refunded + :refunded <= amount`

	// A person decided to believe the message: its words replace the order's.
	sqlBelievePayment = `UPDATE orders
SET state = CASE WHEN state = 'expected' THEN 'paid' ELSE state END,
	amount = :amount, currency = :currency, transaction_id = :transaction_id,
	paid_at = :paid_at, updated_at = :updated_at
WHERE merchant = :merchant AND out_trade_no = :out_trade_no`

	sqlBelieveRefund = `UPDATE orders
SET refunded = refunded + :refunded,
	state = CASE WHEN refunded + :refunded >= amount THEN 'refunded' ELSE 'partly_refunded' END,
	updated_at = :updated_at
WHERE merchant = :merchant AND out_trade_no = :out_trade_no`
)

// order is one row of orders.
type order struct {
	Merchant      string `db:"merchant"`
	OutTradeNo    string `db:"out_trade_no"`
	Amount        int64  `db:"amount"`
	Currency      string `db:"currency"`
	State         string `db:"state"`
	TransactionID string `db:"transaction_id"`
	Refunded      int64  `db:"refunded"`
	Registered    bool   `db:"registered"`
	PaidAt        int64  `db:"paid_at"`
	UpdatedAt     int64  `db:"updated_at"`
}

func (o order) order() callback.Order {
	return callback.Order{
		Merchant: o.Merchant, OutTradeNo: o.OutTradeNo,
		Amount: callback.Money{Minor: o.Amount, Currency: o.Currency},
		State:  callback.OrderState(o.State), TransactionID: o.TransactionID,
		Refunded: o.Refunded, Registered: o.Registered,
		PaidAt: moment(o.PaidAt), UpdatedAt: moment(o.UpdatedAt),
	}
}

// told is the order as one notification alone tells it.
func told(n callback.Notification, now int64) order {
	o := order{
		Merchant: n.Merchant, OutTradeNo: n.OutTradeNo,
		Amount: n.Amount.Minor, Currency: n.Amount.Currency,
		State: string(callback.OrderPaid), TransactionID: n.TransactionID, UpdatedAt: now,
	}
	if n.Kind != callback.Refund {
		o.PaidAt = micros(n.Succeeded)
		return o
	}
	o.Refunded = n.Refunded.Minor
	o.State = string(callback.OrderPartlyRefunded)
	if o.Refunded >= o.Amount {
		o.State = string(callback.OrderRefunded)
	}
	return o
}

// moves reports whether a notification moves an order at all: a successful
// payment or refund does. REFUND.ABNORMAL and REFUND.CLOSED return no money.
func moves(n callback.Notification) bool {
	switch n.Kind {
	case callback.Payment:
		return n.State == "" || n.State == "SUCCESS" // a v2 notice has no state
	case callback.Refund:
		return n.State == "SUCCESS"
	}
	return false
}

// credit moves the order that n is about. The reason it returns, if any, is why
// the order contradicts n; then nothing was written.
func (w *writing) credit(n callback.Notification) (callback.Reason, error) {
	switch {
	case n.Kind == callback.Unclassified:
		return callback.ReasonUnclassified, nil
	case !moves(n):
		return "", nil
	}
	o := told(n, w.now)
	if n.Kind == callback.Refund && o.Refunded > o.Amount {
		return callback.ReasonConflict, nil
	}
	if !w.db.opts.OrdersRequired[n.Merchant] {
		if done, err := w.exec(w.st.insertOrder, o); done == 1 || err != nil {
			return "", err
		}
	}
	move := w.st.payOrder
	if n.Kind == callback.Refund {
		move = w.st.refundOrder
	}
	if done, err := w.exec(move, o); done == 1 || err != nil {
		return "", err
	}
	return w.contradiction(o)
}

// contradiction says why a conditional update met no row.
func (w *writing) contradiction(o order) (callback.Reason, error) {
	var is order
	err := w.get(&is, `SELECT amount, currency FROM orders WHERE merchant = ? AND out_trade_no = ?`, o.Merchant, o.OutTradeNo)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return callback.ReasonOrderUnknown, nil
	case err != nil:
		return "", err
	case is.Amount != o.Amount, is.Currency != o.Currency && is.Currency != "" && o.Currency != "":
		return callback.ReasonAmountMismatch, nil
	}
	return callback.ReasonConflict, nil
}

// sqlRefundCounted looks for accepted messages of one refund by their keys: the
// key itself, and those with a conflict mark. '$' is the character after '#'.
const sqlRefundCounted = `SELECT count(*) FROM notifications
WHERE merchant = ? AND business_key >= ? AND business_key < ? AND standing = 'accepted' AND business_key <> ?`

// believe moves the order on a person's word, whatever the order says. A refund
// that is already counted is not counted again.
func (w *writing) believe(n callback.Notification) error {
	if !moves(n) {
		return nil
	}
	o, move := told(n, w.now), w.st.believePayment
	if n.Kind == callback.Refund {
		var counted int
		key := "refund/" + n.RefundID + "/SUCCESS"
		if err := w.get(&counted, sqlRefundCounted, n.Merchant, key, key+"$", n.Key); err != nil || counted > 0 {
			return err
		}
		move = w.st.believeRefund
	}
	if done, err := w.exec(w.st.insertOrder, o); done == 1 || err != nil {
		return err
	}
	if done, err := w.exec(move, o); err != nil {
		return err
	} else if done != 1 {
		return fmt.Errorf("store: the order moved %d times", done)
	}
	return nil
}

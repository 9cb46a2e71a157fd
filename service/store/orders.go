package store

import (
	"cmp"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"wxnotify/service/callback"
)

// States only move forward: expected < paid < partly_refunded < refunded. Every
// statement here carries its own condition, and the caller counts the rows: no
// order is read first and written later.
const (
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
SET state = CASE WHEN refunded + :refunded >= amount THEN 'refunded' ELSE 'partly_refunded' END,
	transaction_id = CASE WHEN transaction_id = '' THEN :transaction_id ELSE transaction_id END,
	updated_at = :updated_at,
	refunded = refunded + :refunded
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
SET state = CASE WHEN refunded + :refunded >= amount THEN 'refunded' ELSE 'partly_refunded' END,
	updated_at = :updated_at,
	refunded = refunded + :refunded
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

// credit moves the orders that booked messages are about, and settles the
// messages: one that its order contradicts is not believed, and moves nothing.
func (w *writing) credit(groups []*group) error {
	var moving []movement
	for _, g := range groups {
		m := movement{of: g, order: told(g.message, w.now), known: w.db.opts.OrdersRequired[g.message.Merchant]}
		reason := callback.Reason("")
		switch {
		case g.message.Kind == callback.Unclassified:
			reason = callback.ReasonUnclassified
		case !moves(g.message):
		case g.message.Kind == callback.Refund && m.order.Refunded > m.order.Amount:
			reason = callback.ReasonConflict
		default:
			moving = append(moving, m)
			continue
		}
		if err := w.settle(g, reason); err != nil {
			return err
		}
	}
	slices.SortFunc(moving, func(a, b movement) int {
		return cmp.Or(cmp.Compare(a.order.Merchant, b.order.Merchant), cmp.Compare(a.order.OutTradeNo, b.order.OutTradeNo))
	})
	return w.move(moving)
}

// movement is a message on its way to its order.
type movement struct {
	of    *group
	order order
	known bool // or must be: the order is not created
}

// move creates the orders that nobody has told of yet and moves the others.
func (w *writing) move(moving []movement) error {
	var orders []*order
	var owners []*movement
	for i := range moving {
		if m := &moving[i]; !m.known {
			orders, owners = append(orders, &m.order), append(owners, m)
		}
	}
	created, err := w.insert.orders(w, orders)
	if err != nil {
		return err
	}
	for i, m := range owners {
		m.known = !created[i]
	}
	for _, m := range moving {
		var reason callback.Reason
		if m.known {
			if reason, err = w.moveKnown(m); err != nil {
				return err
			}
		}
		if err := w.settle(m.of, reason); err != nil {
			return err
		}
	}
	return nil
}

// moveKnown moves an order that is there. The reason it returns, if any, is why
// the order contradicts its message; then nothing was written.
func (w *writing) moveKnown(m movement) (callback.Reason, error) {
	move := payOrder
	if m.of.message.Kind == callback.Refund {
		move = refundOrder
	}
	if done, err := w.exec(move, m.order); done == 1 || err != nil {
		return "", err
	}
	return w.contradiction(m.order)
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
	o, move := told(n, w.now), believePayment
	if n.Kind == callback.Refund {
		var counted int
		key := "refund/" + n.RefundID + "/SUCCESS"
		if err := w.get(&counted, sqlRefundCounted, n.Merchant, key, key+"$", n.Key); err != nil || counted > 0 {
			return err
		}
		move = believeRefund
	}
	if created, err := w.insert.orders(w, []*order{&o}); err != nil || created[0] {
		return err
	}
	if done, err := w.exec(move, o); err != nil {
		return err
	} else if done != 1 {
		return fmt.Errorf("store: the order moved %d times", done)
	}
	return nil
}

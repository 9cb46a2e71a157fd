package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// statement names one of the statements that are prepared once for each
// connection: preparing inside a transaction would wait for the connection that
// the transaction holds.
type statement int

const (
	remarkCallback statement = iota
	noteAnswer
	noteRepeats
	arriveByKey
	arriveByID
	acceptNotice
	standNotice
	reviveNotice
	payOrder
	refundOrder
	believePayment
	believeRefund
)

const (
	// The row may be there already: its commit was late or its outcome unknown.
	// Then only what was really answered is noted; a failure that nobody has
	// counted yet is a failure of now.
	sqlRemarkCallback = `UPDATE callbacks
SET counted_at = CASE WHEN outcome = 'failed' THEN counted_at ELSE :counted_at END,
	outcome = :outcome, class = :class, reason = :reason, detail = :detail, status = :status
WHERE id = :id`

	sqlAnswered = `UPDATE callbacks
SET answered_status = :status, answered_at = :at, duration = :took
WHERE id = :id`

	sqlRepeated = `UPDATE callbacks SET repeats = CASE WHEN repeats < :times THEN :times ELSE repeats END WHERE id = :id`

	// Further copies are counted only if they say the same. Facts are unknown
	// while no arrival was verified, on either side.
	sqlArrive = `UPDATE notifications
SET arrivals = arrivals + :arrivals,
	first_at = CASE WHEN first_at > :first_at THEN :first_at ELSE first_at END,
	last_at = CASE WHEN last_at < :last_at THEN :last_at ELSE last_at END,
	previous_trace = CASE WHEN :previous_trace = '' THEN last_trace ELSE :previous_trace END,
	last_trace = :last_trace
WHERE %s = :%[1]s AND merchant = :merchant AND (facts = '' OR :facts = '' OR facts = :facts)`

	// The compare-and-set: open → accepted, once. The verified copy's own words
	// replace those of a copy that was only opened for diagnosis; a person who
	// rejected that one has not decided about this one, nor has one who accepted
	// what could not be read, and so booked nothing.
	sqlAcceptNotice = `UPDATE notifications
SET standing = 'accepted', reason = '', facts = :facts, callback = :callback, closed_at = :closed_at,
	business_key = :business_key, notification_id = :notification_id, event_id = :event_id,
	api = :api, kind = :kind, event_type = :event_type, mchid = :mchid, appid = :appid,
	out_trade_no = :out_trade_no, transaction_id = :transaction_id,
	out_refund_no = :out_refund_no, refund_id = :refund_id,
	state = :state, result_code = :result_code, amount = :amount, currency = :currency,
	refund = :refund, refund_currency = :refund_currency,
	created_at = :created_at, succeeded_at = :succeeded_at
WHERE id = :id AND (standing IN ('outstanding', 'watched') OR facts = '' AND ` + sqlUndecided + `)`

	sqlUndecided = `(standing = 'rejected' OR standing = 'accepted' AND business_key <> :business_key)`

	// What was accepted a moment ago, in this transaction, turns out otherwise.
	sqlStandNotice = `UPDATE notifications
SET standing = :standing, reason = :reason, closed_at = 0
WHERE id = :id`

	// A failure keeps an open notification open and says why; it takes nothing
	// back from one that is accepted. From the first verified copy on, a person
	// decides about that.
	sqlReviveNotice = `UPDATE notifications
SET standing = 'outstanding', reason = :reason, closed_at = 0,
	facts = CASE WHEN facts = '' THEN :facts ELSE facts END
WHERE id = :id AND (standing IN ('outstanding', 'watched') OR facts = '' AND :facts <> '' AND ` + sqlUndecided + `)`
)

// texts are the statements, by name. Where one column's new value depends on
// another's old one, it is assigned first: MySQL assigns from left to right.
var texts = [...]string{
	remarkCallback: sqlRemarkCallback,
	noteAnswer:     sqlAnswered,
	noteRepeats:    sqlRepeated,
	arriveByKey:    fmt.Sprintf(sqlArrive, "business_key"),
	arriveByID:     fmt.Sprintf(sqlArrive, "notification_id"),
	acceptNotice:   sqlAcceptNotice,
	standNotice:    sqlStandNotice,
	reviveNotice:   sqlReviveNotice,
	payOrder:       sqlPayOrder,
	refundOrder:    sqlRefundOrder,
	believePayment: sqlBelievePayment,
	believeRefund:  sqlBelieveRefund,
}

// statements are the texts, prepared on one connection.
type statements [len(texts)]*sqlx.NamedStmt

func prepare(ctx context.Context, db *sqlx.DB) (*statements, error) {
	var st statements
	var problems []error
	for i, text := range texts {
		stmt, err := db.PrepareNamedContext(ctx, text) //nolint:sqlclosecheck // kept for the life of the pool, which closes them
		st[i] = stmt
		problems = append(problems, err)
	}
	return &st, errors.Join(problems...)
}

package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// statements are prepared once for each connection: preparing inside a
// transaction would wait for the connection that the transaction holds.
type statements struct {
	insertCallback *sqlx.NamedStmt
	remarkCallback *sqlx.NamedStmt
	answered       *sqlx.NamedStmt
	repeated       *sqlx.NamedStmt

	insertNotice   *sqlx.NamedStmt
	arriveByKey    *sqlx.NamedStmt
	arriveByID     *sqlx.NamedStmt
	acceptNotice   *sqlx.NamedStmt
	standNotice    *sqlx.NamedStmt
	reviveNotice   *sqlx.NamedStmt
	insertOutbox   *sqlx.NamedStmt
	insertOrder    *sqlx.NamedStmt
	payOrder       *sqlx.NamedStmt
	refundOrder    *sqlx.NamedStmt
	believePayment *sqlx.NamedStmt
	believeRefund  *sqlx.NamedStmt
}

const (
	sqlInsertCallback = `INSERT INTO callbacks (
	id, merchant, path_merchant, api, received_at, read_at, counted_at, outcome, class, reason, detail, status,
	arrival, repeats, notification, notification_id, kind, event_type, mchid, appid, business_key,
	out_trade_no, transaction_id, out_refund_no, refund_id, state, result_code,
	amount, currency, refund, refund_currency, created_at, succeeded_at,
	peer, content_type, length, digest, body_form, body_key, body,
	serial, signed_at, nonce, signature_type, signature, trace)
VALUES (
	:id, :merchant, :path_merchant, :api, :received_at, :read_at, :counted_at, :outcome, :class, :reason, :detail, :status,
	:arrival, :repeats, :notification, :notification_id, :kind, :event_type, :mchid, :appid, :business_key,
	:out_trade_no, :transaction_id, :out_refund_no, :refund_id, :state, :result_code,
	:amount, :currency, :refund, :refund_currency, :created_at, :succeeded_at,
	:peer, :content_type, :length, :digest, :body_form, :body_key, :body,
	:serial, :signed_at, :nonce, :signature_type, :signature, :trace)`

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

	// The first copy inserts; to all others the unique keys say no.
	sqlInsertNotice = `INSERT INTO notifications (
	merchant, business_key, notification_id, event_id, facts, standing, reason, arrivals,
	first_at, last_at, first_trace, previous_trace, last_trace, callback, closed_at,
	api, kind, event_type, mchid, appid, out_trade_no, transaction_id, out_refund_no, refund_id,
	state, result_code, amount, currency, refund, refund_currency, created_at, succeeded_at)
VALUES (
	:merchant, :business_key, :notification_id, :event_id, :facts, :standing, :reason, 1,
	:first_at, :last_at, :first_trace, '', :last_trace, :callback, :closed_at,
	:api, :kind, :event_type, :mchid, :appid, :out_trade_no, :transaction_id, :out_refund_no, :refund_id,
	:state, :result_code, :amount, :currency, :refund, :refund_currency, :created_at, :succeeded_at)
ON CONFLICT DO NOTHING
RETURNING id`

	// A further copy is counted only if it says the same. Facts are unknown
	// while no arrival was verified, on either side.
	sqlArrive = `UPDATE notifications
SET arrivals = arrivals + 1,
	first_at = CASE WHEN first_at > :first_at THEN :first_at ELSE first_at END,
	last_at = CASE WHEN last_at < :last_at THEN :last_at ELSE last_at END,
	previous_trace = last_trace, last_trace = :last_trace
WHERE %s = :%[1]s AND merchant = :merchant AND (facts = '' OR :facts = '' OR facts = :facts)
RETURNING id, notification_id, event_id, standing, reason, arrivals, first_trace, previous_trace`

	// The compare-and-set: open → accepted, once. The verified copy's own words
	// replace those of a copy that was only opened for diagnosis; a person who
	// rejected that one has not decided about this one.
	sqlAcceptNotice = `UPDATE notifications
SET standing = 'accepted', reason = '', facts = :facts, callback = :callback, closed_at = :closed_at,
	business_key = :business_key, notification_id = :notification_id, event_id = :event_id,
	api = :api, kind = :kind, event_type = :event_type, mchid = :mchid, appid = :appid,
	out_trade_no = :out_trade_no, transaction_id = :transaction_id,
	out_refund_no = :out_refund_no, refund_id = :refund_id,
	state = :state, result_code = :result_code, amount = :amount, currency = :currency,
	refund = :refund, refund_currency = :refund_currency,
	created_at = :created_at, succeeded_at = :succeeded_at
WHERE id = :id AND (standing IN ('outstanding', 'watched') OR standing = 'rejected' AND facts = '')`

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
WHERE id = :id AND (standing IN ('outstanding', 'watched') OR standing = 'rejected' AND facts = '' AND :facts <> '')`

	sqlInsertOutbox = `INSERT INTO outbox (
	event_id, destination, notification, state, attempts, due_at, lease, leased_until, created_at, done_at)
VALUES (:event_id, :destination, :notification, 'pending', 0, :created_at, '', 0, :created_at, 0)
ON CONFLICT DO NOTHING`
)

// texts pairs every statement with its text.
func (st *statements) texts() []preparing {
	return []preparing{
		{&st.insertCallback, sqlInsertCallback},
		{&st.remarkCallback, sqlRemarkCallback},
		{&st.answered, sqlAnswered},
		{&st.repeated, sqlRepeated},
		{&st.insertNotice, sqlInsertNotice},
		{&st.arriveByKey, fmt.Sprintf(sqlArrive, "business_key")},
		{&st.arriveByID, fmt.Sprintf(sqlArrive, "notification_id")},
		{&st.acceptNotice, sqlAcceptNotice},
		{&st.standNotice, sqlStandNotice},
		{&st.reviveNotice, sqlReviveNotice},
		{&st.insertOutbox, sqlInsertOutbox},
		{&st.insertOrder, sqlInsertOrder},
		{&st.payOrder, sqlPayOrder},
		{&st.refundOrder, sqlRefundOrder},
		{&st.believePayment, sqlBelievePayment},
		{&st.believeRefund, sqlBelieveRefund},
	}
}

type preparing struct {
	into  **sqlx.NamedStmt
	query string
}

func prepare(ctx context.Context, db *sqlx.DB) (*statements, error) {
	var st statements
	var problems []error
	for _, p := range st.texts() {
		stmt, err := db.PrepareNamedContext(ctx, p.query) //nolint:sqlclosecheck // kept for the life of the pool, which closes them
		*p.into = stmt
		problems = append(problems, err)
	}
	return &st, errors.Join(problems...)
}

// in binds the statements to a transaction.
func (st *statements) in(ctx context.Context, tx *sqlx.Tx) *statements {
	bound := *st
	for _, p := range bound.texts() {
		*p.into = tx.NamedStmtContext(ctx, *p.into)
	}
	return &bound
}

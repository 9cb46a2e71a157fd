package store

import (
	"database/sql"
	"net/netip"
	"strings"
	"time"

	"wxnotify/service/callback"
)

// message holds the clear columns that callbacks and notifications share: business
// ids, amounts, states and times, nothing about the payer.
type message struct {
	NotificationID string `db:"notification_id"`
	API            string `db:"api"`
	Kind           string `db:"kind"`
	EventType      string `db:"event_type"`
	MchID          string `db:"mchid"`
	AppID          string `db:"appid"`
	BusinessKey    string `db:"business_key"`
	OutTradeNo     string `db:"out_trade_no"`
	TransactionID  string `db:"transaction_id"`
	OutRefundNo    string `db:"out_refund_no"`
	RefundID       string `db:"refund_id"`
	State          string `db:"state"`
	ResultCode     string `db:"result_code"`
	Amount         int64  `db:"amount"`
	Currency       string `db:"currency"`
	Refund         int64  `db:"refund"`
	RefundCurrency string `db:"refund_currency"`
	Created        int64  `db:"created_at"`
	Succeeded      int64  `db:"succeeded_at"`
}

func messageOf(n callback.Notification) message {
	return message{
		NotificationID: n.ID, API: string(n.API), Kind: string(n.Kind), EventType: n.EventType,
		MchID: n.MchID, AppID: n.AppID, BusinessKey: n.Key,
		OutTradeNo: n.OutTradeNo, TransactionID: n.TransactionID,
		OutRefundNo: n.OutRefundNo, RefundID: n.RefundID,
		State: n.State, ResultCode: n.ResultCode,
		Amount: n.Amount.Minor, Currency: n.Amount.Currency,
		Refund: n.Refunded.Minor, RefundCurrency: n.Refunded.Currency,
		Created: micros(n.Created), Succeeded: micros(n.Succeeded),
	}
}

// notification is the way back.
func (m message) notification(merchant string) callback.Notification {
	return callback.Notification{
		ID: m.NotificationID, API: callback.API(m.API), Kind: callback.Kind(m.Kind), EventType: m.EventType,
		Merchant: merchant, MchID: m.MchID, AppID: m.AppID, Key: m.BusinessKey,
		OutTradeNo: m.OutTradeNo, TransactionID: m.TransactionID,
		OutRefundNo: m.OutRefundNo, RefundID: m.RefundID,
		State: m.State, ResultCode: m.ResultCode,
		Amount:   callback.Money{Minor: m.Amount, Currency: m.Currency},
		Refunded: callback.Money{Minor: m.Refund, Currency: m.RefundCurrency},
		Created:  moment(m.Created), Succeeded: moment(m.Succeeded),
	}
}

// arrival is one row of callbacks, and one entry of the spool.
type arrival struct {
	ID            string        `db:"id"`
	Merchant      string        `db:"merchant"`
	PathMerchant  string        `db:"path_merchant"`
	Received      int64         `db:"received_at"`
	Read          int64         `db:"read_at"`
	Counted       int64         `db:"counted_at" json:"-"` // when the failure gauge learns of it
	Outcome       string        `db:"outcome"`
	Class         string        `db:"class"`
	Reason        string        `db:"reason"`
	Detail        string        `db:"detail"`
	Status        int           `db:"status"`
	Arrival       int           `db:"arrival"`
	Repeats       int64         `db:"repeats"`
	Notification  sql.NullInt64 `db:"notification" json:"-"`
	Peer          string        `db:"peer"`
	ContentType   string        `db:"content_type"`
	Length        int64         `db:"length"`
	Digest        []byte        `db:"digest"`
	BodyForm      string        `db:"body_form"`
	BodyKey       string        `db:"body_key"`
	Body          []byte        `db:"body"`
	Serial        string        `db:"serial"`
	SignedAt      string        `db:"signed_at"`
	Nonce         string        `db:"nonce"`
	SignatureType string        `db:"signature_type"`
	Signature     string        `db:"signature"`
	Trace         string        `db:"trace"`
	message
}

// arrivalOf makes the row of an entry. Text that strangers choose is brought
// within the columns' limits here, so that it can fail no statement; ids of
// proven messages are not touched, because a shortened id is another id.
func arrivalOf(e callback.Entry) arrival {
	env := e.Envelope
	digest := env.Digest()
	a := arrival{
		ID:            env.ID,
		Merchant:      clean(env.Merchant, 64),
		PathMerchant:  clean(env.Merchant, 64),
		Received:      micros(env.Received),
		Read:          micros(env.Read),
		Counted:       micros(env.Received),
		ContentType:   clean(env.ContentType, 128),
		Length:        env.Length,
		Digest:        digest[:],
		BodyForm:      string(e.Body.Form),
		BodyKey:       e.Body.Key,
		Body:          e.Body.Bytes,
		Serial:        clean(env.Signature.Serial, 128),
		SignedAt:      clean(env.Signature.Timestamp, 32),
		Nonce:         clean(env.Signature.Nonce, 128),
		SignatureType: clean(env.Signature.Type, 64),
		Signature:     clean(env.Signature.Value, 1024),
		Trace:         clean(env.Trace, 64),
	}
	a.API = string(env.API())
	if env.Peer.IsValid() {
		a.Peer = clean(env.Peer.String(), 64)
	}
	if a.Body == nil {
		a.Body = []byte{}
	}
	return a
}

// refused writes a failure into the row.
func (a *arrival) refused(reason callback.Reason, class callback.Class, detail string, status int) {
	a.Outcome = string(callback.Failed)
	a.Reason, a.Class, a.Status = string(reason), string(class), status
	a.Detail = clean(detail, 512)
}

// bare is what can be kept of a row that the database refuses.
func (a arrival) bare() arrival {
	b := arrival{
		ID: a.ID, Merchant: clean(a.Merchant, 64), PathMerchant: clean(a.PathMerchant, 64),
		Received: a.Received, Read: a.Read, Counted: a.Counted, Length: a.Length, Digest: a.Digest, Body: []byte{}, Trace: a.Trace,
	}
	b.API = clean(a.API, 8)
	b.refused(callback.ReasonInternal, callback.Proven, "the database refused the row",
		callback.ReasonInternal.Status(callback.Proven))
	return b
}

func (a arrival) stored() callback.Stored {
	s := callback.Stored{
		Envelope: callback.Envelope{
			ID: a.ID, Merchant: a.PathMerchant, Received: moment(a.Received), Read: moment(a.Read),
			ContentType: a.ContentType, Length: a.Length, Trace: a.Trace,
			Signature: callback.Signature{
				Serial: a.Serial, Timestamp: a.SignedAt, Nonce: a.Nonce, Type: a.SignatureType, Value: a.Signature,
			},
		},
		Body:    callback.Sealed{Form: callback.SealForm(a.BodyForm), Key: a.BodyKey, Bytes: a.Body},
		Digest:  a.Digest,
		Outcome: callback.Outcome(a.Outcome), Reason: callback.Reason(a.Reason), Class: callback.Class(a.Class),
		Detail: a.Detail, Status: a.Status, Arrival: a.Arrival,
	}
	s.Envelope.Peer, _ = netip.ParseAddr(a.Peer)
	if a.BusinessKey != "" {
		n := a.notification(a.Merchant)
		s.Notification = &n
	}
	return s
}

// notice is one row of notifications: a distinct proven message.
type notice struct {
	ID            int64  `db:"id"`
	Merchant      string `db:"merchant"`
	EventID       string `db:"event_id"`
	Facts         string `db:"facts"`
	Standing      string `db:"standing"`
	Reason        string `db:"reason"`
	Arrivals      int    `db:"arrivals"`
	First         int64  `db:"first_at"`
	Last          int64  `db:"last_at"`
	FirstTrace    string `db:"first_trace"`
	PreviousTrace string `db:"previous_trace"`
	LastTrace     string `db:"last_trace"`
	Callback      string `db:"callback"`
	Closed        int64  `db:"closed_at"`
	message
}

// The standings of a notification.
const (
	outstanding = "outstanding" // failed, not accepted since (未入账)
	watched     = "watched"     // an opened probe: outstanding after watchTime
	accepted    = "accepted"
	quarantined = "quarantined" // kept, acknowledged, not believed
	rejected    = "rejected"    // ended by a person
)

// watchTime is how long the genuine copy may take after a signature probe.
const watchTime = time.Hour

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

// clean makes text storable in every engine (valid UTF-8, no NUL) and cuts it
// to at most limit bytes at a character's border.
func clean(s string, limit int) string {
	s = strings.ReplaceAll(strings.ToValidUTF8(s, "?"), "\x00", "?")
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "")
}

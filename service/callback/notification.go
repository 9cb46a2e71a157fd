package callback

import (
	"crypto/sha256"
	"encoding/base32"
	"log/slog"
	"strings"
	"time"
)

// Kind says what a notification is about, decided by its decrypted fields and
// not by its event type: WeChat uses TRANSACTION.SUCCESS for several shapes.
type Kind string

// The kinds of notification. Payment and Refund are fully parsed and move
// orders; the others are stored, acknowledged and handed on as they are.
const (
	Payment         Kind = "payment"
	CombinedPayment Kind = "combined_payment"
	PartnerPayment  Kind = "partner_payment"
	Refund          Kind = "refund"
	PartnerRefund   Kind = "partner_refund"
	Transfer        Kind = "transfer"
	ProfitSharing   Kind = "profit_sharing"
	Other           Kind = "other"
	// Unclassified is a verified TRANSACTION.* of no known shape: it never
	// credits an order.
	Unclassified Kind = "unclassified"
)

// Notification is a message whose content is known to be WeChat Pay's: verified
// and decrypted, or (inside a [Refusal]) opened for diagnosis only. It carries
// business identifiers and amounts, never anything about the payer.
type Notification struct {
	// ID is the notification id; it is the same on every re-send. For v2, which
	// has none, it equals Key.
	ID        string
	API       API
	Kind      Kind
	EventType string // v3 event_type; v2: TRANSACTION.SUCCESS or REFUND.… in the same words
	Merchant  string // configured name
	MchID     string
	AppID     string
	// Key is the business key within the merchant: what must happen once.
	// Payments: "payment/" + transaction_id; refunds: "refund/" + refund_id +
	// "/" + status; anything else: "notification/" + id.
	Key           string
	OutTradeNo    string // 商户订单号
	TransactionID string // 微信支付订单号
	OutRefundNo   string // 商户退款单号
	RefundID      string // 微信支付退款单号
	// State is trade_state (payments) or refund_status (refunds); v2 words are
	// translated to v3's (CHANGE → ABNORMAL, REFUNDCLOSE → CLOSED).
	State string
	// ResultCode is v2's result_code, v3's trade_state or refund_status.
	ResultCode string
	// Amount is the order's total; Refunded is the part this refund returns.
	Amount, Refunded Money
	// Created is when WeChat made the notification, Succeeded when the payment
	// or refund took place. Zero when absent or unreadable.
	Created, Succeeded time.Time
}

// Event is the id of the event the merchant's own system gets: a pure function
// of merchant and business key, so any number of replicas agree on it.
func (n Notification) Event() string {
	sum := sha256.Sum256([]byte(n.Merchant + "\x00" + n.Key))
	return "evt_" + strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16]))
}

// Facts is what two copies of one message must agree on. A second message with
// the same id or key and other facts is a conflict. Facts are stored and compared
// with those of later copies, so their amounts have two decimals in every
// currency, whatever [Money.String] learns.
func (n Notification) Facts() string {
	return strings.Join([]string{
		string(n.Kind), n.Key, n.OutTradeNo, n.TransactionID, n.RefundID, n.State,
		n.Amount.text(2), n.Refunded.text(2),
	}, "\x1f")
}

// LogValue keeps a notification that strays into a log down to its ids.
func (n Notification) LogValue() slog.Value {
	return slog.GroupValue(slog.String("id", n.ID), slog.String("kind", string(n.Kind)), slog.String("merchant", n.Merchant))
}

// Sealed is a body in the form that may be written to disk: WeChat's own
// ciphertext as sent, or sealed with a key derived from the merchant's. The
// zero value keeps nothing.
type Sealed struct {
	Form  SealForm
	Key   string // which of the merchant's keys sealed it: a fingerprint, not a secret
	Bytes []byte
}

// SealForm says how a stored body is protected.
type SealForm string

// The forms a stored body can have.
const (
	SealNone    SealForm = ""        // not kept; the digest still is
	SealWeChat  SealForm = "wechat"  // a v3 envelope, encrypted by WeChat Pay
	SealDerived SealForm = "derived" // AES-256-GCM under an HKDF key of the merchant's API key
)

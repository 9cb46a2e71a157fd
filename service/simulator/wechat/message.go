package wechat

import (
	"fmt"
	"slices"
	"time"
)

// Kind is what a message is about.
type Kind string

// The messages that can be sent. Several v3 kinds share the event type
// TRANSACTION.SUCCESS, as they do in the field: only the content tells them apart.
const (
	Payment        Kind = "payment"         // direct payment (直连商户)
	Combined       Kind = "combined"        // combined payment (合单), two sub orders
	Refund         Kind = "refund"          // REFUND.SUCCESS
	RefundAbnormal Kind = "refund_abnormal" // REFUND.ABNORMAL: the money did not reach the payer
	RefundClosed   Kind = "refund_closed"   // REFUND.CLOSED
	ProfitSharing  Kind = "profit_sharing"  // 分账, under TRANSACTION.SUCCESS
	Transfer       Kind = "transfer"        // MCHTRANSFER.BILL.FINISHED (商家转账)
	Echo           Kind = "echo"            // SECURITY_ECHO.SUCCESS
	Unknown        Kind = "unknown"         // an event type nobody has seen yet
	Unclassifiable Kind = "unclassifiable"  // TRANSACTION.SUCCESS that is no known shape
	PaymentMD5     Kind = "payment_v2_md5"  // APIv2 payment
	PaymentHMAC    Kind = "payment_v2_hmac" // APIv2 payment, HMAC-SHA256
	RefundV2       Kind = "refund_v2"       // APIv2 refund
)

// Kinds lists every kind.
func Kinds() []Kind {
	return []Kind{
		Payment, Combined, Refund, RefundAbnormal, RefundClosed, ProfitSharing, Transfer, Echo,
		Unknown, Unclassifiable, PaymentMD5, PaymentHMAC, RefundV2,
	}
}

// Known reports whether there is such a kind.
func (k Kind) Known() bool { return slices.Contains(Kinds(), k) }

// V2 reports whether the kind speaks APIv2 (XML).
func (k Kind) V2() bool { return k == PaymentMD5 || k == PaymentHMAC || k == RefundV2 }

// Paid reports whether the kind tells of a payment, which a merchant may have
// announced as an order.
func (k Kind) Paid() bool { return k == Payment || k == PaymentMD5 || k == PaymentHMAC }

// Refunded reports whether the kind tells of a refund.
func (k Kind) Refunded() bool {
	return k == Refund || k == RefundAbnormal || k == RefundClosed || k == RefundV2
}

// Order is one purchase; its payment and its refund are told from the same Order.
type Order struct {
	OutTradeNo    string // 商户订单号
	TransactionID string // 微信支付订单号
	OutRefundNo   string // 商户退款单号
	RefundID      string // 微信支付退款单号
	Total         int64  // CNY, 分 (cents)
	Refund        int64  // CNY, 分; what a refund returns
	OpenID        string // the payer
	Paid          time.Time
}

// beijing is the zone WeChat Pay writes its times in.
var beijing = time.FixedZone("CST", 8*60*60)

// NewOrder makes an order of total 分, refundable in full, with numbers that
// look like the real ones.
func NewOrder(total int64) Order {
	now := time.Now()
	day := now.In(beijing).Format("20060102")
	return Order{
		OutTradeNo:    "T" + day + random(15, digits),
		TransactionID: "4200" + random(6, digits) + day + random(10, digits),
		OutRefundNo:   "R" + day + random(15, digits),
		RefundID:      "5030" + random(6, digits) + day + random(11, digits),
		Total:         total, Refund: total,
		OpenID: "o" + random(27, alphanum),
		Paid:   now,
	}
}

// Message is one notification: what WeChat Pay wants a merchant to know. It
// stays the same however often it is sent; each sending is signed anew.
type Message struct {
	ID      string // v3: the notification id; v2 messages carry none, it is only ours
	Kind    Kind
	Order   Order
	Created time.Time

	merchant *Merchant
}

// Message makes a notification of kind k about order o.
func (m *Merchant) Message(k Kind, o Order) *Message {
	hex := random(32, "0123456789abcdef")
	return &Message{
		// Real ids look like name-based UUIDs: their version digit is 5.
		ID:   fmt.Sprintf("%s-%s-5%s-a%s-%s", hex[:8], hex[8:12], hex[13:16], hex[17:20], hex[20:]),
		Kind: k, Order: o, Created: time.Now(), merchant: m,
	}
}

// Merchant is whom the message is for.
func (m *Message) Merchant() *Merchant { return m.merchant }

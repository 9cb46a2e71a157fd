package wechatpay

import "wxnotify/service/callback"

// readTransaction tells the shapes apart that arrive as TRANSACTION.SUCCESS. A
// payment is only what has an out_trade_no and trade_state SUCCESS: profit
// sharing notices come under the same event type, and must never credit an
// order. What is none of the shapes is unclassified.
//
// Order of the questions: https://pay.weixin.qq.com/doc/v3/merchant/4012158598
// (combined), .../4012289679 (profit sharing), /partner/4012085146 (partner).
func readTransaction(msg *message) {
	msg.n.Kind = callback.Unclassified
	switch {
	case msg.raw("combine_out_trade_no") != nil:
		if msg.names("combine_out_trade_no") && msg.raw("sub_orders") != nil {
			msg.n.Kind = callback.CombinedPayment
		}
	case msg.raw("receiver") != nil && msg.raw("trade_state") == nil:
		msg.n.Kind = callback.ProfitSharing
	case msg.raw("sp_mchid") != nil:
		// Parking (停车) has this shape too, with parking_info beside it.
		if string(msg.idInPlace("trade_state")) == "SUCCESS" && msg.names("out_trade_no") {
			msg.n.Kind = callback.PartnerPayment
		}
	default:
		readPayment(msg)
	}
}

// readPayment reads a direct payment (直连商户), contract deductions
// (trade_type PAP) included.
func readPayment(msg *message) {
	for _, key := range [...]string{"mchid", "out_trade_no", "transaction_id", "trade_type", "trade_state"} {
		if !msg.names(key) {
			return
		}
	}
	if msg.n.State != "SUCCESS" {
		return
	}
	var room [8]member
	amount, err := msg.object.object(room[:0], "amount")
	if err != nil {
		msg.spoil("amount")
		return
	}
	total, hasTotal := msg.minor(amount, "total")
	currency := msg.currency(amount)
	if !hasTotal || currency == "" {
		return
	}
	msg.n.Kind = callback.Payment
	msg.n.Key = "payment/" + msg.n.TransactionID
	msg.n.Amount = callback.Money{Minor: total, Currency: currency}
}

// refundStates maps a refund event to the refund_status it must come with.
var refundStates = map[string]string{
	"REFUND.SUCCESS":  "SUCCESS",
	"REFUND.ABNORMAL": "ABNORMAL",
	"REFUND.CLOSED":   "CLOSED",
}

// readRefund reads a direct refund. Its amounts carry no currency, which then
// is CNY: https://pay.weixin.qq.com/doc/v3/merchant/4012791865
func readRefund(msg *message) {
	if string(msg.idInPlace("refund_status")) != refundStates[msg.n.EventType] {
		msg.spoil("refund_status")
	}
	if msg.raw("sp_mchid") != nil {
		msg.n.Kind = callback.PartnerRefund
		return
	}
	msg.n.Kind = callback.Other // until it is known to be whole
	for _, key := range [...]string{"mchid", "out_trade_no", "transaction_id", "out_refund_no", "refund_id"} {
		if !msg.names(key) {
			msg.spoil(key)
		}
	}
	var room [8]member
	amount, err := msg.object.object(room[:0], "amount")
	if err != nil {
		msg.spoil("amount")
		return
	}
	total, hasTotal := msg.minor(amount, "total")
	refunded, hasRefund := msg.minor(amount, "refund")
	currency := msg.currency(amount)
	if currency == "" {
		currency = "CNY"
	}
	if !hasTotal || !hasRefund || refunded > total {
		msg.spoil("amount")
	}
	if msg.bad != "" {
		return
	}
	msg.n.Kind = callback.Refund
	msg.n.Key = "refund/" + msg.n.RefundID + "/" + msg.n.State
	msg.n.Amount = callback.Money{Minor: total, Currency: currency}
	msg.n.Refunded = callback.Money{Minor: refunded, Currency: currency}
}

// currency is the amount's currency, "" when it names none.
func (msg *message) currency(amount object) string {
	text, ok := amount.text("currency")
	s := string(text)
	if !ok || s != "" && !isCurrency(s) {
		msg.spoil("amount.currency")
		return ""
	}
	return s
}

// readUnanswerable refuses what wants data that wxnotify does not have.
func readUnanswerable(msg *message) {
	msg.n.Kind = callback.Other
	msg.refusal = callback.Refuse(callback.ReasonUnsupported, "this callback wants business data in the answer")
}

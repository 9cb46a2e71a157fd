package wechatpay

import (
	"slices"

	"wxnotify/service/callback"
)

// readNotice reads a signed v2 notice. In v3's words it is a
// TRANSACTION.SUCCESS, or, when return_code or result_code says that nothing was
// paid, a TRANSACTION.FAIL: authentic, acknowledged, and of the kind Other, so
// that it moves no order. A payment that lacks what a payment must have is
// Unclassified.
func (m *merchant) readNotice(msg pairs) (callback.Notification, *callback.Refusal) {
	v := v2Fields{pairs: msg}
	n := m.startV2(&v, msg)
	n.ResultCode, n.State = v.id("result_code"), "SUCCESS"
	n.EventType = "TRANSACTION.SUCCESS"
	n.Succeeded = parseTime(msg.get("time_end"))
	paid := msg.get("return_code") == "SUCCESS" && n.ResultCode == "SUCCESS"
	if !paid {
		n.EventType, n.State = "TRANSACTION.FAIL", "PAYERROR"
	}
	total, hasTotal := v.minor("total_fee")
	currency := v.currency("fee_type")
	switch {
	case !paid:
		n.Kind = callback.Other
	case msg.get("sub_order_list") != "":
		n.Kind = callback.CombinedPayment
	case n.MchID == "" || n.OutTradeNo == "" || n.TransactionID == "" || !hasTotal:
		n.Kind = callback.Unclassified
	case msg.get("sub_mch_id") != "":
		n.Kind = callback.PartnerPayment
	default:
		n.Kind = callback.Payment
		n.Amount = callback.Money{Minor: total, Currency: currency}
	}
	if n.Kind == callback.Payment {
		n.Key = "payment/" + n.TransactionID
	}
	return m.finishV2(n, v)
}

// v2RefundStates translates v2's refund_status to v3's words.
//
// Source: https://pay.weixin.qq.com/doc/v2/partner/4011989265
var v2RefundStates = map[string]string{
	"SUCCESS":     "SUCCESS",
	"CHANGE":      "ABNORMAL",
	"REFUNDCLOSE": "CLOSED",
}

// readRefund reads a decrypted refund notice; the merchant is named outside of
// it, where nothing is signed.
func (m *merchant) readRefund(outer, inner pairs) (callback.Notification, *callback.Refusal) {
	v := v2Fields{pairs: inner}
	n := m.startV2(&v, outer)
	n.OutRefundNo, n.RefundID = v.id("out_refund_no"), v.id("refund_id")
	n.ResultCode = v.id("refund_status")
	if n.State = v2RefundStates[n.ResultCode]; n.State != "" {
		n.EventType = "REFUND." + n.State
	}
	n.Succeeded = parseTime(inner.get("success_time"))
	total, hasTotal := v.minor("total_fee")
	refunded, hasRefund := v.minor("refund_fee")
	currency := v.currency("fee_type")
	for _, field := range [...]struct {
		name   string
		absent bool
	}{
		{"refund_status", n.State == ""},
		{"refund_id", n.RefundID == ""},
		{"out_refund_no", n.OutRefundNo == ""},
		{"out_trade_no", n.OutTradeNo == ""},
		{"transaction_id", n.TransactionID == ""},
		{"total_fee", !hasTotal},
		{"refund_fee", !hasRefund || refunded > total},
	} {
		if field.absent {
			v.spoil(field.name)
		}
	}
	switch {
	case v.bad != "":
		n.Kind = callback.Other
	case outer.get("sub_mch_id") != "":
		n.Kind = callback.PartnerRefund
	default:
		n.Kind = callback.Refund
		n.Key = "refund/" + n.RefundID + "/" + n.State
		n.Amount = callback.Money{Minor: total, Currency: currency}
		n.Refunded = callback.Money{Minor: refunded, Currency: currency}
	}
	return m.finishV2(n, v)
}

// startV2 fills in what both notices have.
func (m *merchant) startV2(v *v2Fields, outer pairs) callback.Notification {
	o := v2Fields{pairs: outer}
	n := callback.Notification{
		API: callback.V2, Merchant: m.name, MchID: o.id("mch_id"), AppID: o.id("appid"),
		OutTradeNo: v.id("out_trade_no"), TransactionID: v.id("transaction_id"),
		Key: "notification/" + v.fingerprint(),
	}
	v.spoil(o.bad)
	return n
}

// finishV2 gives the notification its id and judges whose it is.
func (m *merchant) finishV2(n callback.Notification, v v2Fields) (callback.Notification, *callback.Refusal) {
	n.ID = n.Key
	switch {
	case v.bad != "":
		return refuse(n, callback.ReasonMalformed, v.bad+" is missing or does not have the form it should have")
	case n.MchID != "" && n.MchID != m.mchID,
		len(m.appIDs) > 0 && !slices.Contains(m.appIDs, n.AppID):
		return refuse(n, callback.ReasonMerchantMismatch, "the message names another mch_id or appid than merchant "+m.name+" has: check mchid, appids and notify_url")
	}
	return n, nil
}

// v2Fields reads values as [fields] does, from XML.
type v2Fields struct {
	pairs
	bad string
}

func (v *v2Fields) id(name string) string {
	s := v.get(name)
	if s == "" || isID(s) {
		return s
	}
	v.spoil(name)
	return ""
}

func (v *v2Fields) minor(name string) (amount int64, present bool) {
	s := v.get(name)
	if s == "" {
		return 0, false
	}
	amount, ok := parseMinor(s)
	if !ok {
		v.spoil(name)
	}
	return amount, ok
}

// currency is CNY where the message names none, which is v2's default.
func (v *v2Fields) currency(name string) string {
	s := v.get(name)
	if s == "" {
		return "CNY"
	}
	if !isCurrency(s) {
		v.spoil(name)
	}
	return s
}

func (v *v2Fields) spoil(name string) {
	if v.bad == "" {
		v.bad = name
	}
}

package wechatpay

import (
	"strings"

	"wxnotify/service/callback"
)

// family is a group of events that are read alike.
type family struct {
	event string // an event type, or a prefix of some when it ends in '.' or '_'
	kind  callback.Kind
	// shape reads the message further; without one the message keeps the
	// family's kind and the ids on its top level.
	shape func(*message)
}

// catalogue says how events are read; the first match holds. The list is open:
// what matches nothing is Other, stored and acknowledged, because a refusal
// would only bring WeChat Pay's re-sends. A group that earns a parser of its
// own gets its shape here.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791836 and the pages of
// the other products beside it.
var catalogue = []family{
	// Payments (支付). What a message under TRANSACTION.SUCCESS is, only its
	// decrypted fields tell.
	{event: "TRANSACTION.SUCCESS", shape: readTransaction},
	// Deductions (扣费): a failed one, an advance the user paid back, a campus one.
	{event: "TRANSACTION.FAIL", kind: callback.Other},
	{event: "TRANSACTION.PAY_BACK", kind: callback.Other},
	{event: "TRANSACTION.INDUSTRY_SUCCESS", kind: callback.Other},
	{event: "TRANSACTION.INDUSTRY_FAILED", kind: callback.Other},
	{event: "TRANSACTION.", kind: callback.Unclassified},

	// Refunds (退款).
	{event: "REFUND.SUCCESS", shape: readRefund},
	{event: "REFUND.ABNORMAL", shape: readRefund},
	{event: "REFUND.CLOSED", shape: readRefund},

	// Transfers (商家转账) and profit sharing (分账).
	{event: "MCHTRANSFER.", kind: callback.Transfer},
	{event: "PROFITSHARING", kind: callback.ProfitSharing},
	{event: "PROFITSHARING_", kind: callback.ProfitSharing},
	{event: "PROFITSHARING.", kind: callback.ProfitSharing},

	// Wants business data in the answer (跨境支付):
	// https://pay.weixin.qq.com/doc/v3/institution/4019762388
	{event: "CROSS_BORDER_PAY.GET_MCH_INFO", shape: readUnanswerable},

	// Not read further yet, each Other: PAYSCORE. (支付分), COUPON. (代金券),
	// COMPLAINT. (投诉), VEHICLE. (停车), ENTRUST. and PAPAY. (委托代扣), FAPIAO.
	// (电子发票), MALL_ (商圈), RECHARGE. and MCHWITHDRAW. (收付通), SECURITY_ECHO.
	// (回调自检) and what comes after them.
}

// familyOf finds how an event is read.
func familyOf(event string) family {
	for _, f := range catalogue {
		last := f.event[len(f.event)-1]
		if f.event == event || (last == '.' || last == '_') && strings.HasPrefix(event, f.event) {
			return f
		}
	}
	return family{event: event, kind: callback.Other}
}

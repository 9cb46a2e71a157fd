package wechat

import (
	"strconv"
	"strings"
	"time"
)

// bodyV2 is an APIv2 message: flat XML, signed with the shared key, or for a
// refund unsigned with an encrypted req_info.
//
// Source: https://pay.weixin.qq.com/doc/v2/merchant/4011937248 (payment),
// https://pay.weixin.qq.com/doc/v2/partner/4011989265 (refund)
func (m *Message) bodyV2(apiV2Key, mchID string, o Order, f Fault) []byte {
	params := []param{
		{"return_code", "SUCCESS"},
		{"appid", m.merchant.AppID},
		{"mch_id", mchID},
		{"nonce_str", random(32, alphanum)},
	}
	if m.Kind == RefundV2 {
		inside := document("root", m.refundV2(o))
		if f == Malformed {
			inside = "not a document"
		}
		return []byte(document("xml", append(params, param{"req_info", sealV2(apiV2Key, []byte(inside))})))
	}
	total := strconv.FormatInt(o.Total, 10)
	if f == Malformed {
		total = "plenty"
	}
	params = append(params,
		param{"result_code", "SUCCESS"}, param{"device_info", ""}, param{"openid", o.OpenID},
		param{"is_subscribe", "N"}, param{"trade_type", "JSAPI"}, param{"bank_type", "CMC"},
		param{"total_fee", total}, param{"cash_fee", total}, param{"fee_type", "CNY"},
		param{"transaction_id", o.TransactionID}, param{"out_trade_no", o.OutTradeNo},
		param{"attach", "深圳 a<b & c"}, param{"time_end", o.Paid.In(beijing).Format("20060102150405")},
	)
	if f != Unsigned {
		// Neither kind names its sign_type: callbacks mostly leave it out, and the
		// length of the sign has to tell.
		params = append(params, param{"sign", signV2(apiV2Key, m.Kind == PaymentHMAC, params)})
	}
	return []byte(document("xml", params))
}

func (m *Message) refundV2(o Order) []param {
	total, refund := strconv.FormatInt(o.Total, 10), strconv.FormatInt(o.Refund, 10)
	return []param{
		{"out_refund_no", o.OutRefundNo},
		{"out_trade_no", o.OutTradeNo},
		{"refund_account", "REFUND_SOURCE_RECHARGE_FUNDS"},
		{"refund_fee", refund},
		{"refund_id", o.RefundID},
		{"refund_recv_accout", "支付用户零钱"},
		{"refund_request_source", "API"},
		{"refund_status", "SUCCESS"},
		{"settlement_refund_fee", refund},
		{"settlement_total_fee", total},
		{"success_time", m.Created.In(beijing).Format(time.DateTime)},
		{"total_fee", total},
		{"transaction_id", o.TransactionID},
	}
}

// document writes flat XML with CDATA values, as WeChat Pay does. No value here
// can hold the end of a CDATA section.
func document(root string, params []param) string {
	var b strings.Builder
	b.WriteString("<" + root + ">")
	for _, p := range params {
		b.WriteString("<" + p.name + "><![CDATA[" + p.value + "]]></" + p.name + ">")
	}
	b.WriteString("</" + root + ">")
	return b.String()
}

package wechat

import (
	"encoding/json"
	"time"
)

// object is a JSON object.
type object = map[string]any

// content is the decrypted resource of a v3 message, with the event type and
// the resource type it travels under. The shapes are those of the official
// pages, payments at https://pay.weixin.qq.com/doc/v3/merchant/4012791836.
func (m *Message) content(mchID string, o Order) (event, original, summary string, plain object) {
	switch m.Kind {
	case Combined:
		return "TRANSACTION.SUCCESS", "transaction", "支付成功", m.combined(mchID, o)
	case Refund, RefundAbnormal, RefundClosed:
		return m.refund(mchID, o)
	case ProfitSharing:
		// Merchants that receive a share got this event type and resource type,
		// although the page names PROFITSHARING.SUCCESS.
		return "TRANSACTION.SUCCESS", "transaction", "分账", object{
			"mchid": mchID, "transaction_id": o.TransactionID,
			"order_id": "3008450740" + o.RefundID[len(o.RefundID)-18:], "out_order_no": "P" + o.OutTradeNo,
			"receiver": object{
				"type": "MERCHANT_ID", "account": mchID, "amount": o.Total / 10, "description": "运费/交易分账",
			},
			"success_time": rfc3339(o.Paid),
		}
	case Transfer:
		return "MCHTRANSFER.BILL.FINISHED", "mch_payment", "商家转账单据终态通知", object{
			"mchid": mchID, "out_bill_no": "B" + o.OutTradeNo, "transfer_bill_no": "13300" + o.TransactionID,
			"transfer_amount": o.Total, "state": "SUCCESS", "openid": o.OpenID, "fail_reason": "",
			"create_time": rfc3339(o.Paid), "update_time": rfc3339(o.Paid.Add(time.Second)),
		}
	case Echo:
		return "SECURITY_ECHO.SUCCESS", "security", "安全回调", object{"message": "echo " + o.OutTradeNo}
	case Unknown:
		return "NOVELTY.ARRIVED", "novelty", "新业务", object{"mchid": mchID, "novelty_id": o.OutTradeNo}
	case Unclassifiable:
		return "TRANSACTION.SUCCESS", "transaction", "支付成功", object{
			"mchid": mchID, "settlement_no": o.OutTradeNo, "amount": object{"total": o.Total, "currency": "CNY"},
		}
	default:
		return "TRANSACTION.SUCCESS", "transaction", "支付成功", m.payment(mchID, o)
	}
}

func (m *Message) payment(mchID string, o Order) object {
	coupon := o.Total / 10
	return object{
		"mchid": mchID, "appid": m.merchant.AppID,
		"out_trade_no": o.OutTradeNo, "transaction_id": o.TransactionID,
		"trade_type": "JSAPI", "trade_state": "SUCCESS", "trade_state_desc": "支付成功",
		"bank_type": "CMB_DEBIT", "attach": `{"shop":"深圳/南山","note":"a<b & c"}`,
		"success_time": rfc3339(o.Paid),
		"payer":        object{"openid": o.OpenID},
		"amount": object{
			"total": o.Total, "payer_total": o.Total - coupon, "currency": "CNY", "payer_currency": "CNY",
		},
		"scene_info": object{"device_id": "013467007045764"},
		"promotion_detail": []object{{
			"coupon_id": "109519", "name": "单品惠-6", "scope": "SINGLE", "type": "CASH",
			"amount": coupon, "stock_id": "931386", "wechatpay_contribute": coupon,
			"merchant_contribute": 0, "other_contribute": 0, "currency": "CNY",
			"goods_detail": []object{{
				"goods_id": "M1006", "quantity": 1, "unit_price": o.Total, "discount_amount": coupon,
				"goods_remark": "商品备注信息",
			}},
		}},
	}
}

// combined has no transaction_id and no trade_state of its own, and names its
// amounts differently. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012158598
func (m *Message) combined(mchID string, o Order) object {
	sub := func(n string, total int64) object {
		return object{
			"mchid": mchID, "out_trade_no": o.OutTradeNo + "S" + n, "transaction_id": "420" + n + o.TransactionID[4:],
			"trade_type": "JSAPI", "trade_state": "SUCCESS", "bank_type": "CMB_DEBIT", "attach": "sub order " + n,
			"success_time": o.Paid.In(beijing).Format("2006-01-02T15:04:05.000-07:00"),
			"amount": object{
				"total_amount": total, "payer_amount": total, "currency": "CNY", "payer_currency": "CNY",
			},
		}
	}
	return object{
		"combine_appid": m.merchant.AppID, "combine_mchid": mchID, "combine_out_trade_no": o.OutTradeNo,
		"scene_info":         object{"device_id": "POS1:1"},
		"combine_payer_info": object{"openid": o.OpenID},
		"sub_orders":         []object{sub("1", o.Total/2), sub("2", o.Total-o.Total/2)},
	}
}

// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791865
func (m *Message) refund(mchID string, o Order) (event, original, summary string, plain object) {
	plain = object{
		"mchid": mchID, "out_trade_no": o.OutTradeNo, "transaction_id": o.TransactionID,
		"out_refund_no": o.OutRefundNo, "refund_id": o.RefundID,
		"user_received_account": "招商银行信用卡0403",
		"amount": object{
			"total": o.Total, "refund": o.Refund, "payer_total": o.Total, "payer_refund": o.Refund,
		},
	}
	switch m.Kind {
	case RefundAbnormal:
		event, summary, plain["refund_status"] = "REFUND.ABNORMAL", "退款异常", "ABNORMAL"
	case RefundClosed:
		event, summary, plain["refund_status"] = "REFUND.CLOSED", "退款关闭", "CLOSED"
	default:
		event, summary, plain["refund_status"] = "REFUND.SUCCESS", "退款成功", "SUCCESS"
		plain["success_time"] = rfc3339(m.Created)
	}
	return event, "refund", summary, plain
}

// envelope is the v3 body; the order of its members is the real one.
type envelope struct {
	ID           string   `json:"id"`
	CreateTime   string   `json:"create_time"`
	ResourceType string   `json:"resource_type"`
	EventType    string   `json:"event_type"`
	Summary      string   `json:"summary"`
	Resource     resource `json:"resource"`
}

type resource struct {
	OriginalType   string `json:"original_type"`
	Algorithm      string `json:"algorithm"`
	Ciphertext     string `json:"ciphertext"`
	AssociatedData string `json:"associated_data"`
	Nonce          string `json:"nonce"`
}

// bodyV3 seals the content afresh, so that two sendings of a message share its
// id and not their bytes: nothing promises that they would.
func (m *Message) bodyV3(apiV3Key, mchID string, o Order, f Fault) []byte {
	event, original, summary, content := m.content(mchID, o)
	plain := encode(content)
	if f == Malformed {
		plain = []byte(`"` + original)
	}
	nonce := random(12, alphanum)
	return encode(envelope{
		ID: m.ID, CreateTime: rfc3339(m.Created), ResourceType: "encrypt-resource",
		EventType: event, Summary: summary,
		Resource: resource{
			OriginalType: original, Algorithm: "AEAD_AES_256_GCM",
			Ciphertext:     sealV3(apiV3Key, nonce, original, plain),
			AssociatedData: original, Nonce: nonce,
		},
	})
}

func encode(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers and maps of them always encode
	}
	return b
}

func rfc3339(t time.Time) string { return t.In(beijing).Format(time.RFC3339) }

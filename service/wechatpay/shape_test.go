package wechatpay_test

import (
	"strings"
	"testing"

	"wxnotify/service/callback"
)

const repaid = `{"mchid":"1900000109","out_trade_no":"order-1","transaction_id":"42000001","out_refund_no":"back-1",` +
	`"refund_id":"50000001","refund_status":"SUCCESS","amount":{"total":1234,"refund":34,"payer_total":1234,"payer_refund":34}}`

// TestShapes decides what a decrypted resource is about. Above all: only a
// direct payment that is whole gets the kind that credits an order.
func TestShapes(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	const malformed, mismatch = callback.ReasonMalformed, callback.ReasonMerchantMismatch
	edit := func(s string, oldnew ...string) string {
		if edited := strings.NewReplacer(oldnew...).Replace(s); edited != s {
			return edited
		}
		t.Fatalf("nothing to edit: %v", oldnew)
		return ""
	}
	tests := []struct {
		name, event, plain string
		kind               callback.Kind
		reason             callback.Reason
	}{
		{"payment", "TRANSACTION.SUCCESS", paid, callback.Payment, ""},
		{"payment of nothing", "TRANSACTION.SUCCESS", edit(paid, "1234", "0"), callback.Payment, ""},
		{"contract deduction", "TRANSACTION.SUCCESS", edit(paid, "NATIVE", "PAP"), callback.Payment, ""},
		{"payment in USD", "TRANSACTION.SUCCESS", edit(paid, "CNY", "USD"), callback.Payment, ""},
		{"not paid", "TRANSACTION.SUCCESS", edit(paid, `"trade_state":"SUCCESS"`, `"trade_state":"NOTPAY"`), callback.Unclassified, ""},
		{"refunded by now", "TRANSACTION.SUCCESS", edit(paid, `"trade_state":"SUCCESS"`, `"trade_state":"REFUND"`), callback.Unclassified, ""},
		{"no trade_state", "TRANSACTION.SUCCESS", edit(paid, `"trade_state":"SUCCESS",`, ""), callback.Unclassified, ""},
		{"trade_state in small letters", "TRANSACTION.SUCCESS", edit(paid, `"trade_state":"SUCCESS"`, `"trade_state":"success"`), callback.Unclassified, ""},
		{"trade_state null", "TRANSACTION.SUCCESS", edit(paid, `"trade_state":"SUCCESS"`, `"trade_state":null`), callback.Unclassified, ""},
		{"no out_trade_no", "TRANSACTION.SUCCESS", edit(paid, `"out_trade_no":"order-1",`, ""), callback.Unclassified, ""},
		{"no transaction_id", "TRANSACTION.SUCCESS", edit(paid, `"transaction_id":"42000001",`, ""), callback.Unclassified, ""},
		{"no mchid", "TRANSACTION.SUCCESS", edit(paid, `"mchid":"1900000109",`, ""), callback.Unclassified, ""},
		{"no trade_type", "TRANSACTION.SUCCESS", edit(paid, `"trade_type":"NATIVE",`, ""), callback.Unclassified, ""},
		{"no amount", "TRANSACTION.SUCCESS", edit(paid, `,"amount":{"total":1234,"currency":"CNY"}`, ""), callback.Unclassified, ""},
		{"no total", "TRANSACTION.SUCCESS", edit(paid, `"total":1234,`, ""), callback.Unclassified, ""},
		{"no currency", "TRANSACTION.SUCCESS", edit(paid, `,"currency":"CNY"`, ""), callback.Unclassified, ""},
		{"nothing at all", "TRANSACTION.SUCCESS", "{}", callback.Unclassified, ""},

		{"total with a point", "TRANSACTION.SUCCESS", edit(paid, "1234", "1234.0"), "", malformed},
		{"total with an exponent", "TRANSACTION.SUCCESS", edit(paid, "1234", "1e3"), "", malformed},
		{"total negative", "TRANSACTION.SUCCESS", edit(paid, "1234", "-1"), "", malformed},
		{"total minus zero", "TRANSACTION.SUCCESS", edit(paid, "1234", "-0"), "", malformed},
		{"total a string", "TRANSACTION.SUCCESS", edit(paid, "1234", `"1234"`), "", malformed},
		{"total beyond 64 bits", "TRANSACTION.SUCCESS", edit(paid, "1234", "9223372036854775808"), "", malformed},
		{"total twice", "TRANSACTION.SUCCESS", edit(paid, `"total":1234`, `"total":1,"total":1234`), "", malformed},
		{"total twice, other case", "TRANSACTION.SUCCESS", edit(paid, `"total":1234`, `"Total":1,"total":1234`), "", malformed},
		{"amount an integer", "TRANSACTION.SUCCESS", edit(paid, `{"total":1234,"currency":"CNY"}`, "1234"), "", malformed},
		{"currency too long", "TRANSACTION.SUCCESS", edit(paid, `"CNY"`, `"CNYCNY"`), "", malformed},
		{"currency a number", "TRANSACTION.SUCCESS", edit(paid, `"CNY"`, "156"), "", malformed},
		{"out_trade_no too long", "TRANSACTION.SUCCESS", edit(paid, "order-1", strings.Repeat("1", 65)), "", malformed},
		{"out_trade_no with a space", "TRANSACTION.SUCCESS", edit(paid, "order-1", "order 1"), "", malformed},
		{"transaction_id a number", "TRANSACTION.SUCCESS", edit(paid, `"42000001"`, "42000001"), "", malformed},

		{"another mchid", "TRANSACTION.SUCCESS", edit(paid, "1900000109", "1900000110"), "", mismatch},
		{"another appid", "TRANSACTION.SUCCESS", edit(paid, "wxd678efh567hg6787", "wx1"), "", mismatch},
		{"no appid", "TRANSACTION.SUCCESS", edit(paid, `"appid":"wxd678efh567hg6787",`, ""), "", mismatch},

		{"combined", "TRANSACTION.SUCCESS", `{"combine_mchid":"1900000109","combine_appid":"wxd678efh567hg6787","combine_out_trade_no":"c-1","sub_orders":[]}`, callback.CombinedPayment, ""},
		{"combined wins over direct", "TRANSACTION.SUCCESS", `{"combine_out_trade_no":"c-1","sub_orders":[],` + paid[1:], callback.CombinedPayment, ""},
		{"combined without sub orders", "TRANSACTION.SUCCESS", `{"combine_mchid":"1900000109","combine_out_trade_no":"c-1"}`, callback.Unclassified, ""},
		{"combined of another", "TRANSACTION.SUCCESS", `{"combine_mchid":"1","combine_out_trade_no":"c-1","sub_orders":[]}`, "", mismatch},
		{"profit sharing", "TRANSACTION.SUCCESS", `{"mchid":"1","order_id":"1","transaction_id":"2","receiver":{"account":"1900000109"}}`, callback.ProfitSharing, ""},
		{"profit sharing between others", "TRANSACTION.SUCCESS", `{"mchid":"1","order_id":"1","transaction_id":"2","receiver":{"account":"2"}}`, "", mismatch},
		{"profit sharing with an order number", "TRANSACTION.SUCCESS", `{"mchid":"1900000109","out_trade_no":"order-1","receiver":{"account":"2"}}`, callback.ProfitSharing, ""},
		{"payment with a receiver", "TRANSACTION.SUCCESS", `{"receiver":{},` + paid[1:], callback.Payment, ""},
		{"partner", "TRANSACTION.SUCCESS", `{"sp_mchid":"1900000109","sub_mchid":"2","sp_appid":"wxd678efh567hg6787",` + paid[1:], callback.PartnerPayment, ""},
		{"partner of another", "TRANSACTION.SUCCESS", `{"sp_mchid":"1",` + paid[1:], "", mismatch},
		{"partner, not paid", "TRANSACTION.SUCCESS", `{"sp_mchid":"1900000109","out_trade_no":"1","trade_state":"NOTPAY"}`, callback.Unclassified, ""},
		{"parking", "TRANSACTION.SUCCESS", `{"sp_mchid":"1900000109","trade_scene":"PARKING","parking_info":{},"out_trade_no":"1","trade_state":"SUCCESS"}`, callback.PartnerPayment, ""},
		{"failed deduction", "TRANSACTION.FAIL", paid, callback.Other, ""},
		{"repaid advance", "TRANSACTION.PAY_BACK", paid, callback.Other, ""},
		{"unknown transaction", "TRANSACTION.SUCCESS2", paid, callback.Unclassified, ""},

		{"refund", "REFUND.SUCCESS", repaid, callback.Refund, ""},
		{"refund abnormal", "REFUND.ABNORMAL", edit(repaid, "SUCCESS", "ABNORMAL"), callback.Refund, ""},
		{"refund closed", "REFUND.CLOSED", edit(repaid, "SUCCESS", "CLOSED"), callback.Refund, ""},
		{"refund that disagrees", "REFUND.SUCCESS", edit(repaid, "SUCCESS", "CLOSED"), "", malformed},
		{"refund without status", "REFUND.SUCCESS", edit(repaid, `"refund_status":"SUCCESS",`, ""), "", malformed},
		{"refund without refund_id", "REFUND.SUCCESS", edit(repaid, `"refund_id":"50000001",`, ""), "", malformed},
		{"refund without mchid", "REFUND.SUCCESS", edit(repaid, `"mchid":"1900000109",`, ""), "", malformed},
		{"refund without amount", "REFUND.SUCCESS", edit(repaid, `"refund":34,`, ""), "", malformed},
		{"refund above the total", "REFUND.SUCCESS", edit(repaid, `"refund":34,`, `"refund":1235,`), "", malformed},
		{"refund of another", "REFUND.SUCCESS", edit(repaid, "1900000109", "1"), "", mismatch},
		{"partner refund", "REFUND.SUCCESS", `{"sp_mchid":"1900000109","sub_mchid":"2","refund_status":"SUCCESS"}`, callback.PartnerRefund, ""},
		{"unknown refund event", "REFUND.PROCESSING", repaid, callback.Other, ""},

		{"transfer", "MCHTRANSFER.BILL.FINISHED", `{"mchid":"1900000109"}`, callback.Transfer, ""},
		{"profit sharing by name", "PROFITSHARING_RETURN", `{"mchid":"1","receiver":{"account":"1900000109"}}`, callback.ProfitSharing, ""},
		{"self-test", "SECURITY_ECHO.SUCCESS", "{}", callback.Other, ""},
		{"event of tomorrow", "TELEPORT.DONE", `{"transaction_id":{"odd":1},"amount":[],"success_time":5,"state":"` + strings.Repeat("x", 100) + `"}`, callback.Other, ""},
		{"event of tomorrow of another", "TELEPORT.DONE", `{"mchid":"1"}`, "", mismatch},
		{"wants an answer", "CROSS_BORDER_PAY.GET_MCH_INFO", "{}", "", callback.ReasonUnsupported},
		{"wants none", "CROSS_BORDER_PAY.PUSH_ORDER_INFO", "{}", callback.Other, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := judge(t, o, newPay().envelope(t, body(t, tt.event, apiv3Key, tt.plain)))
			if v.Reason != tt.reason || v.accepted() && v.Notification.Kind != tt.kind {
				t.Fatalf("%+v, want kind %q, reason %q", v, tt.kind, tt.reason)
			}
			n := v.Notification
			if n == nil || n.ID != "EV-1" || n.EventType != tt.event {
				t.Fatalf("notification = %+v", n)
			}
			whole := n.Kind == callback.Payment || n.Kind == callback.Refund
			if whole == (n.Key == "notification/EV-1") || whole != (n.Amount.Currency != "") {
				t.Errorf("kind %s with key %q and amount %v", n.Kind, n.Key, n.Amount)
			}
		})
	}
}

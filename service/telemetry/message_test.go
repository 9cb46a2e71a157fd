package telemetry_test

import (
	"net/netip"
	"time"

	"wxnotify/service/callback"
)

// moment is when the tests' callbacks arrive.
func moment() time.Time { return time.Date(2026, 11, 23, 6, 0, 0, 0, time.UTC) }

const envelopeBody = `{"id":"EV-2018022511223320873","create_time":"2026-11-23T14:00:00+08:00",` +
	`"resource_type":"encrypt-resource","event_type":"TRANSACTION.SUCCESS","summary":"支付成功",` +
	`"resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM",` +
	`"ciphertext":"mEuv9cQ4Kh0T5Cg0VxkbdLnVvxqQyG1mXhEj","associated_data":"transaction","nonce":"fdasfjihihihlkja484w"}}`

func envelopeV3() callback.Envelope {
	return callback.Envelope{
		ID: "0193599c-1e2d-7b3a-9f00-000000000001", Merchant: "shop",
		Received: moment(), Read: moment().Add(2 * time.Millisecond),
		Peer: netip.MustParseAddr("121.51.58.170"), ContentType: "application/json",
		Signature: callback.Signature{
			Serial: "PUB_KEY_ID_0114232134912410000000000000", Timestamp: "1795413598",
			Nonce: "5K8264ILTKCH16CQ2502SI8ZNMTM67VS", Type: "WECHATPAY2-SHA256-RSA2048",
			Value: "CtcbzwtQjN8rnOXItEBJ5aQFSnIXESeV28Pr2YEmf9wsDQ8Nx25ytW6FXBCAFdrr0mgqngX3AD9gNzjnNHzSGTPBSsaEkIfhPF4b8YRRTpny88tNLyprXA0GU5ID3DkZHpjFkX1hAp==",
		},
		Body: []byte(envelopeBody), Length: int64(len(envelopeBody)),
	}
}

func payment() callback.Notification {
	return callback.Notification{
		ID: "EV-2018022511223320873", API: callback.V3, Kind: callback.Payment, EventType: "TRANSACTION.SUCCESS",
		Merchant: "shop", MchID: "1900000001", AppID: "wx8888888888888888",
		Key: "payment/4200001234202611231234567890", OutTradeNo: "20261123140000123456",
		TransactionID: "4200001234202611231234567890", State: "SUCCESS", ResultCode: "SUCCESS",
		Amount: callback.Money{Minor: 1234, Currency: "CNY"},
	}
}

const v2Body = `<xml><return_code><![CDATA[SUCCESS]]></return_code><appid><![CDATA[wx2421b1c4370ec43b]]></appid>` +
	`<mch_id><![CDATA[10000100]]></mch_id><result_code><![CDATA[SUCCESS]]></result_code>` +
	`<openid><![CDATA[oUpF8uMEb4qRXf22hE3X68TekukE]]></openid><bank_type><![CDATA[CFT]]></bank_type>` +
	`<attach><![CDATA[支付测试 13800138000]]></attach><total_fee>1</total_fee><fee_type><![CDATA[CNY]]></fee_type>` +
	`<sign><![CDATA[B552ED6B279343CB493C5DD0D78AB241]]></sign><err_code>free text 6222021234567890123</err_code>` +
	`<transaction_id><![CDATA[1004400740201409030005092168]]></transaction_id>` +
	`<out_trade_no><![CDATA[1409811653]]></out_trade_no><time_end>20140903131540</time_end></xml>`

func envelopeV2() callback.Envelope {
	return callback.Envelope{
		ID: "0193599c-1e2d-7b3a-9f00-000000000002", Merchant: "shop", Received: moment(), Read: moment(),
		Peer: netip.MustParseAddr("2402:4e00:1010:3b00::1"), ContentType: "text/xml",
		Body: []byte(v2Body), Length: int64(len(v2Body)),
	}
}

func paymentV2() callback.Notification {
	n := payment()
	n.API, n.ID, n.Key = callback.V2, "payment/1004400740201409030005092168", "payment/1004400740201409030005092168"
	n.OutTradeNo, n.TransactionID = "1409811653", "1004400740201409030005092168"
	return n
}

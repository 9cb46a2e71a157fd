package wechatpay_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

// mustRefuseWell opens whatever it is and checks what holds for everything: no
// panic, an error is a refusal with a failure status, a notification that is
// accepted can be recognised again, and what is stored as it came has only an
// envelope's fields, as another reader of JSON sees it.
func mustRefuseWell(t *testing.T, o *wechatpay.Opener, env callback.Envelope) (callback.Notification, *callback.Refusal) {
	t.Helper()
	if s := o.Seal(env); s.Form == callback.SealWeChat {
		var only struct {
			ID           string `json:"id"`
			CreateTime   string `json:"create_time"`
			EventType    string `json:"event_type"`
			ResourceType string `json:"resource_type"`
			Summary      string `json:"summary"`
			Resource     struct {
				OriginalType   string `json:"original_type"`
				Algorithm      string `json:"algorithm"`
				AssociatedData string `json:"associated_data"`
				Nonce          string `json:"nonce"`
				Ciphertext     []byte `json:"ciphertext"`
			} `json:"resource"`
		}
		strict := json.NewDecoder(bytes.NewReader(s.Bytes))
		strict.DisallowUnknownFields()
		if err := strict.Decode(&only); err != nil || len(only.Resource.Ciphertext) == 0 {
			t.Fatalf("stored as it came: %v", err)
		}
	}
	n, err := o.Open(context.Background(), env)
	if err == nil {
		if n.ID == "" || n.Key == "" || n.Kind == "" || n.Merchant == "" {
			t.Fatalf("accepted, but not recognisable: %+v", n)
		}
		return n, nil
	}
	var refusal *callback.Refusal
	if !errors.As(err, &refusal) {
		t.Fatalf("%T is no refusal", err)
	}
	if refusal.Status() < 400 || !refusal.Reason.Known() {
		t.Fatalf("%s answers %d", refusal.Reason, refusal.Status())
	}
	return n, refusal
}

// FuzzHeaders: with a body that stays, one set of headers is right.
func FuzzHeaders(f *testing.F) {
	o := newOpener(f, shop(f))
	good := messages(f)["payment"].envelope()
	s := good.Signature
	f.Add(s.Serial, s.Timestamp, s.Nonce, s.Type, s.Value)
	f.Add(s.Serial, s.Timestamp, s.Nonce, "WECHATPAY2-SM2-WITH-SM3", s.Value)
	f.Add(s.Serial, "+"+s.Timestamp, s.Nonce, "", "WECHATPAY/SIGNTEST/"+s.Value)
	f.Fuzz(func(t *testing.T, serial, timestamp, nonce, kind, value string) {
		env := good
		env.Signature = callback.Signature{Serial: serial, Timestamp: timestamp, Nonce: nonce, Type: kind, Value: value}
		_, refusal := mustRefuseWell(t, o, env)
		same := strings.TrimLeft(serial, "0") == s.Serial && timestamp == s.Timestamp && nonce == s.Nonce && value == s.Value
		if refusal == nil && !same {
			t.Errorf("accepted: %+v", env.Signature)
		}
	})
}

// FuzzUnsignedBody is what any stranger can send: v3 or v2, nothing of it is
// accepted but a message we know.
func FuzzUnsignedBody(f *testing.F) {
	o := newOpener(f, shop(f))
	known := make(map[string]bool)
	for _, m := range messages(f) {
		f.Add([]byte(m.Body))
		if n, err := o.Open(context.Background(), m.envelope()); err == nil {
			known[n.Key] = true
		}
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, merchant := range []string{"shop", "nobody"} {
			n, refusal := mustRefuseWell(t, o, callback.Envelope{Merchant: merchant, Body: raw})
			if refusal == nil && !known[n.Key] {
				t.Errorf("accepted: %+v", n)
			}
		}
	})
}

// FuzzSignedBody starts where the signature was good.
func FuzzSignedBody(f *testing.F) {
	o := newOpener(f, shop(f))
	f.Add(body(f, "TRANSACTION.SUCCESS", apiv3Key, paid))
	f.Add([]byte(`{"id":"EV-1","event_type":"x","resource":{"nonce":"","ciphertext":"","algorithm":"AEAD_AES_256_GCM"}}`))
	f.Add([]byte(`{"id":"EV-1","event_type":"x","resource":{"nonce":"fdasflkja484","ciphertext":"AAAAAAAAAAAAAAAAAAAAAA==","algorithm":"AEAD_AES_256_GCM"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		n, refusal := wechatpay.OpenBody(o, "shop", raw)
		if refusal != nil && (refusal.Class != callback.Proven || n != (callback.Notification{})) {
			t.Errorf("signed, but %s %s, %+v", refusal.Reason, refusal.Class, n)
		}
	})
}

// FuzzRead reads decrypted resources. What becomes a payment or a refund must
// say so to encoding/json as well.
func FuzzRead(f *testing.F) {
	f.Add("TRANSACTION.SUCCESS", []byte(paid))
	f.Add("REFUND.SUCCESS", []byte(repaid))
	f.Add("TRANSACTION.SUCCESS", []byte(`{"combine_out_trade_no":"1","sub_orders":[]}`))
	f.Add("TRANSACTION.SUCCESS", []byte(`{"receiver":{"account":"1900000109"}}`))
	f.Add("PAYSCORE.USER_PAID", []byte(`{"amount":1e400,"mchid":["1900000109"]}`))
	f.Fuzz(func(t *testing.T, event string, plaintext []byte) {
		n, refusal := wechatpay.Read(event, plaintext)
		if refusal != nil {
			return
		}
		var said struct {
			MchID         string `json:"mchid"`
			OutTradeNo    string `json:"out_trade_no"`
			TransactionID string `json:"transaction_id"`
			TradeState    string `json:"trade_state"`
			RefundStatus  string `json:"refund_status"`
			Amount        struct{ Total, Refund int64 }
		}
		switch n.Kind {
		case callback.Payment:
			if err := json.Unmarshal(plaintext, &said); err != nil {
				t.Fatal(err)
			}
			if event != "TRANSACTION.SUCCESS" || said.TradeState != "SUCCESS" || said.MchID != "1900000109" || said.Amount.Total != n.Amount.Minor ||
				said.OutTradeNo == "" || said.OutTradeNo != n.OutTradeNo || n.Key != "payment/"+said.TransactionID || n.Amount.Minor < 0 {
				t.Errorf("%+v from %s", n, plaintext)
			}
		case callback.Refund:
			if err := json.Unmarshal(plaintext, &said); err != nil {
				t.Fatal(err)
			}
			if event != "REFUND."+said.RefundStatus || said.Amount.Refund != n.Refunded.Minor || said.Amount.Total != n.Amount.Minor || n.Refunded.Minor < 0 {
				t.Errorf("%+v from %s", n, plaintext)
			}
		}
	})
}

// FuzzParseXML: what was read can be written and read again.
func FuzzParseXML(f *testing.F) {
	for _, m := range messages(f) {
		if strings.HasPrefix(m.Body, "<") {
			f.Add([]byte(m.Body))
		}
	}
	f.Add([]byte(`<!DOCTYPE xml [<!ENTITY a "b">]><xml><a>&a;</a></xml>`))
	f.Add([]byte(`<?xml version="1.0"?><xml><a>&lt;</a><b/></xml>`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		fields, err := wechatpay.ParseXML(raw, "xml")
		if err != nil {
			return
		}
		var b strings.Builder
		b.WriteString("<xml>")
		escape := strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", "\r", "&#13;")
		for i := 0; i < len(fields); i += 2 {
			b.WriteString("<" + fields[i] + ">" + escape.Replace(fields[i+1]) + "</" + fields[i] + ">")
		}
		again, err := wechatpay.ParseXML([]byte(b.String()+"</xml>"), "xml")
		if b.Len() < 60<<10 && (err != nil || !reflect.DeepEqual(fields, again)) {
			t.Errorf("%q, then %q, %v", fields, again, err)
		}
	})
}

// FuzzRefundInfo gives arbitrary bytes to the block cipher.
func FuzzRefundInfo(f *testing.F) {
	o := newOpener(f, shop(f))
	f.Add(reqInfo(f, apiv2Key, refundInfo))
	f.Add("AAAAAAAAAAAAAAAAAAAAAA==")
	f.Add("")
	f.Fuzz(func(t *testing.T, info string) {
		if strings.ContainsAny(info, "]<") {
			return
		}
		n, refusal := mustRefuseWell(t, o, callback.Envelope{Merchant: "shop", Received: time.Unix(messagesTime, 0), Body: []byte(refund(info))})
		if refusal == nil && n.Kind != callback.Refund {
			t.Errorf("accepted: %+v", n)
		}
	})
}

// FuzzParseVerifyKey reads what an operator may have in a key file.
func FuzzParseVerifyKey(f *testing.F) {
	f.Add("", readFile(f, "platform.pem"))
	f.Add("", readFile(f, "merchant.pem"))
	f.Add(publicKeyID, readFile(f, "pub_key.pem"))
	f.Add(publicKeyID, readFile(f, "ec_pub.pem"))
	f.Fuzz(func(t *testing.T, id string, pem []byte) {
		key, err := wechatpay.ParseVerifyKey(id, pem)
		if (err == nil) == (key.ID() == "") {
			t.Errorf("key %v, err %v", key, err)
		}
	})
}

package wechatpay_test

import (
	"bytes"
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"pgregory.net/rapid"

	"wxnotify/service/callback"
)

// TestSameVerdictAsTheSDK gives the same bytes to WeChat Pay's own Go library:
// both accept, or both refuse. The library reads the real clock, so messages
// are signed now.
//
// Known differences, kept out of the comparison: the library accepts a
// timestamp written as +1 or 01 (it prints the parsed number into the message),
// refuses at exactly 300 s, refuses unusual create_time, panics without resource
// or with a nonce of another length, and does not look at mchid or shape.
func TestSameVerdictAsTheSDK(t *testing.T) {
	t.Parallel()
	block, _ := pem.Decode(newPay().pem)
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	sdk, err := notify.NewRSANotifyHandler(apiv3Key, verifiers.NewSHA256WithRSAPubkeyVerifier(newPay().id, *parsed.(*rsa.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	m := wallet(t)
	m.APIv3 = m.APIv3[:1]
	o := newOpener(t, m)
	rapid.Check(t, func(rt *rapid.T) {
		now := time.Now()
		key := rapid.SampledFrom([]string{apiv3Key, apiv3Key, strings.Repeat("x", 32)}).Draw(rt, "key")
		raw := body(t, "PAYSCORE.USER_PAID", key, `{"attach":"`+rapid.StringMatching(`[a-z支付/ ]{0,40}`).Draw(rt, "attach")+`"}`)
		at := now.Add(time.Duration(rapid.SampledFrom([]int{0, 0, 0, -200, 200, -400, 400}).Draw(rt, "seconds")) * time.Second)
		env := callback.Envelope{Merchant: "shop", Received: now, Signature: newPay().sign(t, raw, at), Body: raw}
		s := &env.Signature
		switch rapid.IntRange(0, 9).Draw(rt, "fault") {
		case 0:
			env.Body = flip(rt, env.Body)
		case 1:
			s.Value = string(flip(rt, []byte(s.Value)))
		case 2:
			s.Nonce = string(flip(rt, []byte(s.Nonce)))
		case 3:
			s.Serial = publicKeyID + "0"
		case 4:
			s.Value = "WECHATPAY/SIGNTEST/" + s.Value[19:]
		case 5:
			s.Type = rapid.SampledFrom([]string{"WECHATPAY2-SHA256-RSA2048", "WECHATPAY2-SM2-WITH-SM3", "x"}).Draw(rt, "type")
		case 6:
			s.Timestamp = strconv.FormatInt(at.Unix()+1, 10)
		}
		request := httptest.NewRequest(http.MethodPost, "/", bytes.NewReader(env.Body))
		for name, value := range map[string]string{
			"Wechatpay-Serial": s.Serial, "Wechatpay-Timestamp": s.Timestamp, "Wechatpay-Nonce": s.Nonce,
			"Wechatpay-Signature": s.Value, "Wechatpay-Signature-Type": s.Type,
		} {
			request.Header.Set(name, value)
		}
		_, theirs := sdk.ParseNotifyRequest(context.Background(), request, new(map[string]any))
		_, ours := o.Open(context.Background(), env)
		if (ours == nil) != (theirs == nil) {
			rt.Errorf("ours: %v\ntheirs: %v", ours, theirs)
		}
	})
}

// TestNoBitMayChange is the heart of verification: of everything that is
// signed, and of the signature, no single bit can change unnoticed.
func TestNoBitMayChange(t *testing.T) {
	t.Parallel()
	o := newOpener(t, shop(t))
	all := messages(t)
	rapid.Check(t, func(rt *rapid.T) {
		env := all[rapid.SampledFrom([]string{"payment", "payment_public_key", "refund", "payscore"}).Draw(rt, "message")].envelope()
		s := &env.Signature
		switch rapid.SampledFrom([]string{"body", "body", "body", "signature", "signature", "nonce", "timestamp", "serial"}).Draw(rt, "part") {
		case "body":
			env.Body = flip(rt, env.Body)
		case "signature":
			s.Value = string(flip(rt, []byte(s.Value)))
		case "nonce":
			s.Nonce = string(flip(rt, []byte(s.Nonce)))
		case "timestamp":
			s.Timestamp = string(flip(rt, []byte(s.Timestamp)))
		case "serial":
			s.Serial = string(flip(rt, []byte(s.Serial)))
		}
		if v := judge(t, o, env); v.accepted() {
			rt.Errorf("accepted: %+v", v)
		}
	})
}

// TestNoBitOfTheSignatureMayChange tries all of them: the last character of the
// base64 text has bits that a lax decoder does not look at.
func TestNoBitOfTheSignatureMayChange(t *testing.T) {
	t.Parallel()
	o := newOpener(t, shop(t))
	env := messages(t)["payment"].envelope()
	good := []byte(env.Signature.Value)
	for i := range good {
		if i > 8 && i < len(good)-8 {
			continue // the middle is left to TestNoBitMayChange
		}
		for bit := range 8 {
			value := bytes.Clone(good)
			value[i] ^= 1 << bit
			env.Signature.Value = string(value)
			if v := judge(t, o, env); v.accepted() {
				t.Errorf("accepted with bit %d of character %d changed", bit, i)
			}
		}
	}
}

// TestNoBitOfV2MayChange is the same for the older signature.
func TestNoBitOfV2MayChange(t *testing.T) {
	t.Parallel()
	o := newOpener(t, shop(t))
	all := messages(t)
	rapid.Check(t, func(rt *rapid.T) {
		env := all[rapid.SampledFrom([]string{"v2_md5", "v2_hmac"}).Draw(rt, "message")].envelope()
		good := judge(t, o, env)
		env.Body = flip(rt, env.Body)
		if v := judge(t, o, env); v.accepted() && *v.Notification != *good.Notification {
			rt.Errorf("accepted as another message: %+v", v)
		}
	})
}

// flip changes one bit.
func flip(rt *rapid.T, b []byte) []byte {
	b = bytes.Clone(b)
	b[rapid.IntRange(0, len(b)-1).Draw(rt, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(rt, "bit")
	return b
}

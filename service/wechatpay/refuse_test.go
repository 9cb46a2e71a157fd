package wechatpay_test

import (
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

// TestRefusals goes through every reason a v3 callback is refused for before
// it is read, each with a resource that opens (then it is proven, with its ids
// and amount) and with one that does not.
func TestRefusals(t *testing.T) {
	t.Parallel()
	other := wallet(t)
	other.Name, other.APIv3 = "other", [][]byte{[]byte("another-merchant's-key-32-bytes!")}
	o := newOpener(t, wallet(t), other)
	header := func(set func(*callback.Signature)) func(*callback.Envelope) {
		return func(env *callback.Envelope) { set(&env.Signature) }
	}
	tests := []struct {
		name   string
		change func(*callback.Envelope)
		reason callback.Reason
		class  callback.Class // when the resource does not open
	}{
		{"no headers", func(e *callback.Envelope) { e.Signature = callback.Signature{} }, callback.ReasonUnsigned, callback.Noise},
		{"no headers, unknown path", func(e *callback.Envelope) { e.Signature, e.Merchant = callback.Signature{}, "nobody" }, callback.ReasonUnsigned, callback.Noise},
		{"only the type header", header(func(s *callback.Signature) { *s = callback.Signature{Type: "WECHATPAY2-SHA256-RSA2048"} }), callback.ReasonHeadersMissing, callback.Unproven},
		{"no serial", header(func(s *callback.Signature) { s.Serial = "" }), callback.ReasonHeadersMissing, callback.Unproven},
		{"no timestamp", header(func(s *callback.Signature) { s.Timestamp = "" }), callback.ReasonHeadersMissing, callback.Unproven},
		{"no nonce", header(func(s *callback.Signature) { s.Nonce = "" }), callback.ReasonHeadersMissing, callback.Unproven},
		{"no signature", header(func(s *callback.Signature) { s.Value = "" }), callback.ReasonHeadersMissing, callback.Unproven},
		{"unknown path", func(e *callback.Envelope) { e.Merchant = "nobody" }, callback.ReasonUnknownMerchant, callback.Noise},
		{"unknown serial", header(func(s *callback.Signature) { s.Serial = "5157F09EFDC096DE15EBE81A47057A7232F1B8E1" }), callback.ReasonKeyUnknown, callback.Unproven},
		{"unknown public key", header(func(s *callback.Signature) { s.Serial = "PUB_KEY_ID_1" }), callback.ReasonKeyUnknown, callback.Unproven},
		{"serial in another case", header(func(s *callback.Signature) { s.Serial = strings.ToLower(s.Serial) }), callback.ReasonKeyUnknown, callback.Unproven},
		{"another key's serial", header(func(s *callback.Signature) { s.Serial = publicKeyID }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"not base64", header(func(s *callback.Signature) { s.Value = "!" + s.Value[1:] }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"signature too short", header(func(s *callback.Signature) { s.Value = s.Value[:340] }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"signature huge", header(func(s *callback.Signature) { s.Value = strings.Repeat("A", 1<<20) }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"line break in the signature", header(func(s *callback.Signature) { s.Value = s.Value[:343] + "\n" }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"signed timestamp, other digits", header(func(s *callback.Signature) { s.Timestamp = "0" + s.Timestamp }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"timestamp with a sign", header(func(s *callback.Signature) { s.Timestamp = "+" + s.Timestamp }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"timestamp beyond 64 bits", header(func(s *callback.Signature) { s.Timestamp = strings.Repeat("9", 30) }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"nonce huge", header(func(s *callback.Signature) { s.Nonce = strings.Repeat("n", 1<<20) }), callback.ReasonSignatureInvalid, callback.Unproven},
		{"body rewritten", func(e *callback.Envelope) { e.Body = append(e.Body, ' ') }, callback.ReasonSignatureInvalid, callback.Unproven},
		{"SM2", header(func(s *callback.Signature) { s.Type = "WECHATPAY2-SM2-WITH-SM3" }), callback.ReasonSignatureType, callback.Unproven},
		{"SM2 with an unknown serial", header(func(s *callback.Signature) { s.Type, s.Serial = "WECHATPAY2-SM2-WITH-SM3", "1" }), callback.ReasonSignatureType, callback.Unproven},
		{"brand", header(func(s *callback.Signature) { s.Type = "WECHATPAY-BRAND-SHA256-RSA2048" }), callback.ReasonSignatureType, callback.Unproven},
		{"probe", header(func(s *callback.Signature) { s.Value = "WECHATPAY/SIGNTEST/" + s.Value[19:] }), callback.ReasonProbe, callback.Probe},
		{"probe that is no base64", header(func(s *callback.Signature) { s.Value = "WECHATPAY/SIGNTEST/" + s.Value[:336] }), callback.ReasonProbe, callback.Probe},
		{"probe with an unknown serial", header(func(s *callback.Signature) { s.Serial, s.Value = "1", "WECHATPAY/SIGNTEST/"+s.Value[19:] }), callback.ReasonProbe, callback.Probe},
		{"probe without a nonce", header(func(s *callback.Signature) { s.Nonce, s.Value = "", "WECHATPAY/SIGNTEST/"+s.Value[19:] }), callback.ReasonHeadersMissing, callback.Unproven},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			opens := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
			tt.change(&opens)
			v := judge(t, o, opens)
			want := callback.Proven
			if tt.reason == callback.ReasonProbe {
				want = callback.Probe
			}
			if v.Reason != tt.reason || v.Class != want {
				t.Errorf("that opens: %s %s (%s), want %s %s", v.Reason, v.Class, v.Detail, tt.reason, want)
			}
			if n := v.Notification; n == nil || n.Merchant != "shop" || n.Key != "payment/42000001" || n.Amount.Minor != 1234 {
				t.Errorf("that opens: notification = %+v", n)
			}

			junk := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", strings.Repeat("x", 32), paid))
			tt.change(&junk)
			v = judge(t, o, junk)
			if v.Reason != tt.reason || v.Class != tt.class || v.Notification != nil {
				t.Errorf("that does not open: %+v, want %s %s", v, tt.reason, tt.class)
			}
		})
	}
}

// TestDiagnosisIsBounded sends what is too large to be worth looking into.
func TestDiagnosisIsBounded(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	large := strings.Replace(paid, "{", `{"attach":"`+strings.Repeat("x", 200<<10)+`",`, 1)
	env := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, large))
	if v := judge(t, o, env); !v.accepted() {
		t.Fatalf("large, signed: %+v", v)
	}
	env.Signature = callback.Signature{}
	if v := judge(t, o, env); v.Class != callback.Noise {
		t.Errorf("large, unsigned: %+v, want noise", v)
	}
}

// TestDiagnosisStaysWithThePath: a known path is never opened with the key of
// another merchant.
func TestDiagnosisStaysWithThePath(t *testing.T) {
	t.Parallel()
	other := wallet(t)
	other.Name, other.APIv3 = "other", [][]byte{[]byte("another-merchant's-key-32-bytes!")}
	o := newOpener(t, other, wallet(t))
	env := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
	env.Merchant, env.Signature.Serial = "other", "1"
	if v := judge(t, o, env); v.Class != callback.Unproven || v.Notification != nil {
		t.Errorf("%+v, want unproven", v)
	}
}

func TestWindow(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	signed := time.Unix(messagesTime, 0)
	for _, tt := range []struct {
		off   time.Duration // arrival after signing
		fresh bool
	}{
		{0, true},
		{299 * time.Second, true},
		{300 * time.Second, true},
		{300*time.Second + 1, false},
		{301 * time.Second, false},
		{-300 * time.Second, true},
		{-300*time.Second - 1, false},
		{-24 * time.Hour, false},
	} {
		env := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
		env.Received = signed.Add(tt.off)
		v := judge(t, o, env)
		if v.accepted() != tt.fresh {
			t.Errorf("%v: %+v, want fresh = %v", tt.off, v, tt.fresh)
		}
		if !tt.fresh && (v.Reason != callback.ReasonTimestampStale || v.Class != callback.Proven || v.Notification == nil || v.Notification.Kind != callback.Payment) {
			t.Errorf("%v: %+v, want timestamp_stale, proven, with the payment", tt.off, v)
		}
		// A bad signature is that, however stale it is.
		env.Body = append(env.Body, '\n')
		if v := judge(t, o, env); v.Reason != callback.ReasonSignatureInvalid {
			t.Errorf("%v, bad signature: %s", tt.off, v.Reason)
		}
	}
}

// TestBorders moves bytes between nonce and body, which changes nothing about
// the bytes that are signed.
func TestBorders(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	raw := body(t, "TRANSACTION.SUCCESS", apiv3Key, paid)
	whole := newPay().signAs(t, "1760000000", "nonce", append([]byte("x\n"), raw...))
	moved := whole
	moved.Nonce = "nonce\nx"
	env := callback.Envelope{Merchant: "shop", Received: time.Unix(messagesTime, 0), Signature: moved, Body: raw}
	if v := judge(t, o, env); v.Reason != callback.ReasonSignatureInvalid {
		t.Errorf("%+v, want signature_invalid", v)
	}
}

// TestTimestampIsPlainDecimal: not even a good signature makes up for another
// way of writing the time.
func TestTimestampIsPlainDecimal(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	raw := body(t, "TRANSACTION.SUCCESS", apiv3Key, paid)
	for _, timestamp := range []string{"+1760000000", "-1760000000", "1760000000.0", "1.76e9", " 1760000000", "0x68e778c0", "1_760_000_000", "١٧٦٠٠٠٠٠٠٠"} {
		env := callback.Envelope{
			Merchant: "shop", Received: time.Unix(messagesTime, 0),
			Signature: newPay().signAs(t, timestamp, "nonce", raw), Body: raw,
		}
		if v := judge(t, o, env); v.Reason != callback.ReasonSignatureInvalid {
			t.Errorf("%q: %+v, want signature_invalid", timestamp, v)
		}
	}
}

// TestLeadingZeros of a serial: implementations disagree whether to write them.
func TestLeadingZeros(t *testing.T) {
	t.Parallel()
	o := newOpener(t, shop(t))
	env := messages(t)["payment"].envelope()
	env.Signature.Serial = "0" + env.Signature.Serial
	if v := judge(t, o, env); !v.accepted() {
		t.Errorf("%+v", v)
	}
}

// TestExpiredCertificate: the certificate of testdata is good until 2031.
func TestExpiredCertificate(t *testing.T) {
	t.Parallel()
	o := newOpener(t, shop(t))
	env := messages(t)["payment"].envelope()
	env.Received = time.Date(2040, 1, 1, 0, 0, 0, 0, time.UTC)
	if v := judge(t, o, env); v.Reason != callback.ReasonKeyUnknown || !strings.Contains(v.Detail, "expired") {
		t.Errorf("%+v, want key_unknown, expired", v)
	}
}

// TestSeveralMerchants: keys count for their own merchant only.
func TestSeveralMerchants(t *testing.T) {
	t.Parallel()
	other := wallet(t)
	other.Name = "other"
	other.Verify = other.Verify[:1] // not the tests' key
	o := newOpener(t, wallet(t), other)
	env := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
	if v := judge(t, o, env); !v.accepted() {
		t.Errorf("own path: %+v", v)
	}
	env.Merchant = "other"
	if v := judge(t, o, env); v.Reason != callback.ReasonKeyUnknown {
		t.Errorf("other path: %+v, want key_unknown", v)
	}
}

var _ interface {
	callback.Opener
	callback.Sealer
} = (*wechatpay.Opener)(nil)

package wechatpay_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

// TestSeal: a v3 envelope stays as WeChat Pay encrypted it; whatever else a
// body is, it is unreadable without the merchant's key.
func TestSeal(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	good := string(body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
	outer := func(member string) string { return strings.Replace(good, "{", "{"+member+",", 1) }
	inner := func(member string) string {
		return strings.Replace(good, `"resource":{`, `"resource":{`+member+",", 1)
	}
	for _, tt := range []struct {
		name, merchant, body string
		want                 callback.SealForm
	}{
		{"envelope", "shop", good, callback.SealWeChat},
		{"envelope on an unknown path", "nobody", good, callback.SealWeChat},
		{"envelope, indented", "shop", indented(t, good) + "\r\n", callback.SealWeChat},
		{"envelope with a further member", "shop", outer(`"payer":"openid-CANARY"`), callback.SealDerived},
		{"envelope with a member twice", "shop", outer(`"id":"openid-CANARY"`), callback.SealDerived},
		{"envelope with an object for a string", "shop", strings.Replace(good, `"EV-1"`, `{"payer":"openid-CANARY"}`, 1), callback.SealDerived},
		{"envelope with a long summary", "shop", strings.Replace(good, "通知", strings.Repeat("openid-CANARY", 20), 1), callback.SealDerived},
		{"envelope with a number for a string", "shop", strings.Replace(good, `"EV-1"`, `13800138000`, 1), callback.SealDerived},
		{"envelope with a member in capitals", "shop", strings.Replace(good, `"id"`, `"ID"`, 1), callback.SealDerived},
		{"envelope with two resources", "shop", strings.Replace(good, `"resource":`, `"resource":{},"resource":`, 1), callback.SealDerived},
		{"envelope with text after it", "shop", good + "openid-CANARY", callback.SealDerived},
		{"envelope in an array", "shop", "[" + good + "]", callback.SealDerived},
		{"envelope, cut", "shop", good[:100], callback.SealDerived},
		{"empty object", "shop", "{}", callback.SealDerived},
		{"resource with a further member", "shop", inner(`"plaintext":"openid-CANARY"`), callback.SealDerived},
		{"no ciphertext at all", "shop", `{"id":"x","resource":{"nonce":"fdasflkja484"}}`, callback.SealDerived},
		{"no ciphertext", "shop", strings.Replace(good, `"ciphertext"`, `"original_type"`, 1), callback.SealDerived},
		{"ciphertext that is text", "shop", `{"resource":{"algorithm":"AEAD_AES_256_GCM","nonce":"fdasflkja484","ciphertext":"openid-CANARY, in clear"}}`, callback.SealDerived},
		{"v2", "shop", signed(wechatpay.SignMD5, with(notice, "openid", "openid-CANARY")), callback.SealDerived},
		{"junk", "shop", "openid-CANARY", callback.SealDerived},
		{"junk on an unknown path", "nobody", "openid-CANARY", callback.SealNone},
		{"nothing", "shop", "", callback.SealNone},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := o.Seal(callback.Envelope{Merchant: tt.merchant, Body: []byte(tt.body)})
			if s.Form != tt.want {
				t.Fatalf("form %q, want %q", s.Form, tt.want)
			}
			if bytes.Contains(s.Bytes, []byte("CANARY")) {
				t.Error("the sealed body can be read")
			}
			got, err := o.Unseal(tt.merchant, s)
			if tt.want == callback.SealNone {
				if err == nil || len(s.Bytes) > 0 {
					t.Errorf("kept %d bytes, err %v", len(s.Bytes), err)
				}
			} else if err != nil || string(got) != tt.body {
				t.Errorf("Unseal = %q, %v", got, err)
			}
		})
	}
}

func indented(t *testing.T, s string) string {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, []byte(s), "", "\t"); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// TestUnseal: an old key opens what it sealed, a body moved to another merchant
// or altered does not open, and every sealing differs.
func TestUnseal(t *testing.T) {
	t.Parallel()
	other := shop(t)
	other.Name = "other"
	o := newOpener(t, shop(t), other)
	env := callback.Envelope{Merchant: "shop", Body: []byte("<xml>")}
	s := o.Seal(env)
	if again := o.Seal(env); bytes.Equal(s.Bytes, again.Bytes) {
		t.Error("sealed twice, the same bytes")
	}
	if _, err := o.Unseal("other", s); err == nil {
		t.Error("opened under another merchant's name")
	}
	altered := s
	altered.Bytes = bytes.Clone(s.Bytes)
	altered.Bytes[len(altered.Bytes)-1] ^= 1
	if _, err := o.Unseal("shop", altered); err == nil {
		t.Error("opened though altered")
	}

	rotated := shop(t)
	rotated.APIv3 = [][]byte{[]byte("the-newest-key-of-32-characters!"), []byte(apiv3Key)}
	if err := o.Replace([]wechatpay.Merchant{rotated}); err != nil {
		t.Fatal(err)
	}
	if got, err := o.Unseal("shop", s); err != nil || string(got) != "<xml>" {
		t.Errorf("after rotation: %q, %v", got, err)
	}
	if now := o.Seal(env); now.Key == s.Key {
		t.Error("not sealed with the newest key")
	}
	rotated.APIv3 = rotated.APIv3[:1]
	if err := o.Replace([]wechatpay.Merchant{rotated}); err != nil {
		t.Fatal(err)
	}
	if _, err := o.Unseal("shop", s); err == nil || !strings.Contains(err.Error(), "put the old one back") {
		t.Errorf("after the old key is gone: %v", err)
	}
}

// TestSealedBodiesStayReadable opens what an earlier version of this program
// sealed: the golden file must never be written anew.
func TestSealedBodiesStayReadable(t *testing.T) {
	t.Parallel()
	var s callback.Sealed
	if err := json.Unmarshal(readFile(t, "sealed.json"), &s); err != nil {
		t.Fatal(err)
	}
	got, err := newOpener(t, shop(t)).Unseal("shop", s)
	if err != nil || string(got) != "<xml>stays readable</xml>" {
		t.Errorf("Unseal = %q, %v", got, err)
	}
}

package wechatpay_test

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

// vectors are values that WeChat Pay and the authors of other libraries have
// published; testdata/published.json names each one's source.
type vectors struct {
	Request struct { // wechatpay-go, TestHandler_ParseNotifyRequest
		Certificate string
		Headers     callback.Signature
		Body        string
		BodySHA256  string
		Key         string
		Plaintext   string
	}
	Resources []struct{ Source, Key, Nonce, Associated, Ciphertext, Plaintext string }
	Download  struct { // wechatpay-java, an answer of the certificate download
		Key, Nonce, Associated, Ciphertext, Serial string
		Expires                                    time.Time
	}
	PublicKey  string // wechatpay-java
	Signatures []struct {
		Source string
		Key    string
		Fields []string
		MD5    string
		HMAC   string
	}
	Refunds []struct{ Source, Key, Sealed, Plaintext string }
	Notice  string // wechatpay-php; its key is not published
	Info    string // wechatpay-php, the inside of a refund notice
}

func published(t *testing.T) (v vectors) {
	t.Helper()
	if err := json.Unmarshal(readFile(t, "published.json"), &v); err != nil {
		t.Fatal(err)
	}
	return v
}

// TestPublishedRequest: its APIv3 key has 16 bytes, which is not a legal one, so
// the signature is judged by the refusal that comes after it.
func TestPublishedRequest(t *testing.T) {
	t.Parallel()
	v := published(t).Request
	if sum := sha256.Sum256([]byte(v.Body)); hex.EncodeToString(sum[:]) != v.BodySHA256 {
		t.Fatal("the body is not the published one")
	}
	m := shop(t)
	m.Verify = []wechatpay.VerifyKey{parseKey(t, v.Headers.Serial, []byte(v.Certificate))}
	o := newOpener(t, m)
	env := callback.Envelope{
		Merchant: "shop", Received: time.Unix(1624523846, 0), Signature: v.Headers, Body: []byte(v.Body),
	}
	got := judge(t, o, env)
	if got.Reason != callback.ReasonDecryptFailed || got.Class != callback.Proven {
		t.Errorf("%+v, want a good signature and decrypt_failed", got)
	}
	if n := got.Notification; n == nil || n.ID != "3119dfba-e649-5eec-ab1e-3412bc4d2e17" || n.EventType != "PAYSCORE.USER_OPEN_SERVICE" {
		t.Errorf("notification = %+v", n)
	}
	var message struct {
		Resource struct {
			Ciphertext string
			Nonce      string
			AAD        string `json:"associated_data"`
		}
	}
	if err := json.Unmarshal([]byte(v.Body), &message); err != nil {
		t.Fatal(err)
	}
	r := message.Resource
	if plain, ok := wechatpay.DecryptResource([]byte(v.Key), r.Nonce, r.AAD, r.Ciphertext); !ok || string(plain) != v.Plaintext {
		t.Errorf("decrypted %q, %v", plain, ok)
	}
	env.Body[0] ^= 1
	if got := judge(t, o, env); got.Reason != callback.ReasonSignatureInvalid {
		t.Errorf("altered: %+v", got)
	}
}

func TestPublishedResources(t *testing.T) {
	t.Parallel()
	for _, r := range published(t).Resources {
		plain, ok := wechatpay.DecryptResource([]byte(r.Key), r.Nonce, r.Associated, r.Ciphertext)
		if !ok || string(plain) != r.Plaintext {
			t.Errorf("%s: %q, %v", r.Source, plain, ok)
		}
	}
}

// TestPublishedCertificate decrypts a downloaded platform certificate and reads it.
func TestPublishedCertificate(t *testing.T) {
	t.Parallel()
	d := published(t).Download
	plain, ok := wechatpay.DecryptResource([]byte(d.Key), d.Nonce, d.Associated, d.Ciphertext)
	if !ok {
		t.Fatal("does not open")
	}
	key := parseKey(t, d.Serial, plain)
	if key.ID() != d.Serial || key.Kind() != callback.KeyCertificate || !key.Expires().Equal(d.Expires) {
		t.Errorf("%v, expires %v", key, key.Expires())
	}
}

func TestPublishedPublicKey(t *testing.T) {
	t.Parallel()
	v := published(t)
	if block, _ := pem.Decode([]byte(v.PublicKey)); block == nil {
		t.Fatal("not PEM")
	}
	if key := parseKey(t, "PUB_KEY_ID_1", []byte(v.PublicKey)); key.Kind() != callback.KeyPublic || !key.Expires().IsZero() {
		t.Errorf("%v", key)
	}
}

func TestPublishedV2(t *testing.T) {
	t.Parallel()
	v := published(t)
	for _, s := range v.Signatures {
		if got := wechatpay.SignV2([]byte(s.Key), wechatpay.SignMD5, s.Fields...); got != s.MD5 {
			t.Errorf("%s: MD5 %s", s.Source, got)
		}
		if got := wechatpay.SignV2([]byte(s.Key), wechatpay.SignHMACSHA256, s.Fields...); got != s.HMAC {
			t.Errorf("%s: HMAC %s", s.Source, got)
		}
	}
	for _, r := range v.Refunds {
		sealed, err := base64.StdEncoding.DecodeString(r.Sealed)
		if err != nil {
			t.Fatal(err)
		}
		if plain, ok := wechatpay.DecryptRefund([]byte(r.Key), sealed); !ok || string(plain) != r.Plaintext {
			t.Errorf("%s: %q, %v", r.Source, plain, ok)
		}
	}
	m := shop(t)
	m.MchID, m.AppIDs = "10000100", nil
	o := newOpener(t, m)
	if got := judge(t, o, callback.Envelope{Merchant: "shop", Body: []byte(v.Notice)}); got.Reason != callback.ReasonSignatureInvalid {
		t.Errorf("notice of an unknown key: %+v", got)
	}
	info := refund(reqInfo(t, apiv2Key, v.Info), "mch_id", "10000100")
	got := judge(t, o, callback.Envelope{Merchant: "shop", Body: []byte(info)})
	if !got.accepted() || got.Notification.Key != "refund/50000408942018111907145868882/SUCCESS" || got.Notification.Refunded.Minor != 3960 {
		t.Errorf("refund: %+v", got)
	}
}

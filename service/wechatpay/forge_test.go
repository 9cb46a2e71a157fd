package wechatpay_test

import (
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"strconv"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

// pay is a WeChat Pay of the tests' own, for messages that testdata does not
// have: any body, any time, any key.
type pay struct {
	id  string
	key *rsa.PrivateKey
	pem []byte
}

// newPay is slow, so one key serves all tests; nobody changes it.
var newPay = sync.OnceValue(func() pay {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		panic(err)
	}
	return pay{
		id: "PUB_KEY_ID_TEST", key: key,
		pem: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
	}
})

// sign makes the headers of a body that is sent now.
func (p pay) sign(t testing.TB, body []byte, now time.Time) callback.Signature {
	t.Helper()
	return p.signAs(t, strconv.FormatInt(now.Unix(), 10), "593BEC0C930BF1AFEB40B4A08C8FB242", body)
}

func (p pay) signAs(t testing.TB, timestamp, nonce string, body []byte) callback.Signature {
	t.Helper()
	sum := sha256.Sum256([]byte(timestamp + "\n" + nonce + "\n" + string(body) + "\n"))
	value, err := rsa.SignPKCS1v15(nil, p.key, crypto.SHA256, sum[:])
	if err != nil {
		t.Fatal(err)
	}
	return callback.Signature{
		Serial: p.id, Timestamp: timestamp, Nonce: nonce,
		Value: base64.StdEncoding.EncodeToString(value),
	}
}

// envelope signs a body and sends it to the shop.
func (p pay) envelope(t testing.TB, body []byte) callback.Envelope {
	t.Helper()
	now := time.Unix(messagesTime, 0)
	return callback.Envelope{Merchant: "shop", Received: now, Signature: p.sign(t, body, now), Body: body}
}

// seal encrypts as WeChat Pay does.
func seal(t testing.TB, key, nonce, associated, plaintext string) string {
	t.Helper()
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	return base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), []byte(plaintext), []byte(associated)))
}

// body is a v3 body around an encrypted plaintext.
func body(t testing.TB, event, key, plaintext string) []byte {
	t.Helper()
	raw, err := json.Marshal(map[string]any{
		"id": "EV-1", "create_time": "2025-10-09T16:53:20+08:00", "event_type": event,
		"resource_type": "encrypt-resource", "summary": "通知",
		"resource": map[string]string{
			"original_type": "transaction", "algorithm": "AEAD_AES_256_GCM", "associated_data": "transaction",
			"nonce": "fdasflkja484", "ciphertext": seal(t, key, "fdasflkja484", "transaction", plaintext),
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// paid is a direct payment's resource.
const paid = `{"mchid":"1900000109","appid":"wxd678efh567hg6787","out_trade_no":"order-1","transaction_id":"42000001",` +
	`"trade_type":"NATIVE","trade_state":"SUCCESS","success_time":"2025-10-09T16:53:19+08:00",` +
	`"payer":{"openid":"oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},"amount":{"total":1234,"currency":"CNY"}}`

// wallet is the shop with the tests' own verification key beside the others.
func wallet(t testing.TB) wechatpay.Merchant {
	t.Helper()
	m := shop(t)
	m.Verify = append(m.Verify, parseKey(t, newPay().id, newPay().pem))
	return m
}

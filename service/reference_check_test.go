package main

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
)

// TestReference holds the yardstick to what it claims: a benchmark against a
// handler that refuses everything would be flattering.
func TestReference(t *testing.T) {
	t.Parallel()
	const apiV3Key, keyID = "0123456789abcdef0123456789abcdef", "PUB_KEY_ID_0000000000000024112600000000000001"
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		t.Fatal(err)
	}
	keyFile := filepath.Join(dir, "pub_key.pem")
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600); err != nil {
		t.Fatal(err)
	}
	handler, end, err := newReference(t.Context(), referenceOptions{Dir: dir, APIv3Key: apiV3Key, PublicKeyID: keyID, PublicKey: keyFile})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Error(err)
		}
	})
	db, err := sqlx.ConnectContext(t.Context(), "sqlite", filepath.Join(dir, "reference.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })

	first := referenceBody(t, apiV3Key, "EV-1", "order-1", 100)
	for _, step := range []struct {
		name         string
		signed, sent []byte
		status       int
		kept         int // rows afterwards: one callback and one order each
	}{
		{"first arrival", first, first, http.StatusNoContent, 1},
		{"the same again", first, first, http.StatusNoContent, 1},
		{"altered by one byte", first, bytes.Replace(first, []byte("EV-1"), []byte("EV-2"), 1), http.StatusUnauthorized, 1},
		{"another amount", nil, referenceBody(t, apiV3Key, "EV-3", "order-1", 200), http.StatusInternalServerError, 1},
		{"another order", nil, referenceBody(t, apiV3Key, "EV-4", "order-4", 100), http.StatusNoContent, 2},
	} {
		signed := step.signed
		if signed == nil {
			signed = step.sent
		}
		request := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/wechatpay/shop", bytes.NewReader(step.sent))
		referenceSign(t, request, private, keyID, signed)
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		var callbacks, orders int
		if err := db.QueryRowContext(t.Context(), `SELECT (SELECT count(*) FROM callbacks), (SELECT count(*) FROM orders)`).Scan(&callbacks, &orders); err != nil {
			t.Fatal(err)
		}
		if answer.Code != step.status || callbacks != step.kept || orders != step.kept {
			t.Errorf("%s: status %d, %d callbacks, %d orders; want %d, %d, %d",
				step.name, answer.Code, callbacks, orders, step.status, step.kept, step.kept)
		}
	}
}

// referenceBody is a payment notice for one order, encrypted as WeChat Pay
// does. Source: https://pay.weixin.qq.com/doc/v3/merchant/4012071382
func referenceBody(t *testing.T, apiV3Key, id, outTradeNo string, total int) []byte {
	t.Helper()
	block, err := aes.NewCipher([]byte(apiV3Key))
	if err != nil {
		t.Fatal(err)
	}
	gcm, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	const nonce, additional = "fdasflkja484", "transaction"
	plain := fmt.Sprintf(`{"out_trade_no":%q,"transaction_id":%q,"trade_state":"SUCCESS","amount":{"total":%d,"currency":"CNY"},"success_time":"2026-11-23T10:34:56+08:00"}`,
		outTradeNo, "42000"+outTradeNo, total)
	return fmt.Appendf(nil, `{"id":%q,"event_type":"TRANSACTION.SUCCESS","resource_type":"encrypt-resource","resource":{"algorithm":"AEAD_AES_256_GCM","ciphertext":%q,"nonce":%q,"associated_data":%q}}`,
		id, base64.StdEncoding.EncodeToString(gcm.Seal(nil, []byte(nonce), []byte(plain), []byte(additional))), nonce, additional)
}

// referenceSign puts the signature headers for body on request.
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053249
func referenceSign(t *testing.T, request *http.Request, private *rsa.PrivateKey, keyID string, body []byte) {
	t.Helper()
	timestamp, nonce := strconv.FormatInt(time.Now().Unix(), 10), "593BEC0C930BF1AFEB40B4A08C8FB242"
	digest := sha256.Sum256(fmt.Appendf(nil, "%s\n%s\n%s\n", timestamp, nonce, body))
	signature, err := rsa.SignPKCS1v15(nil, private, crypto.SHA256, digest[:])
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Wechatpay-Serial", keyID)
	request.Header.Set("Wechatpay-Timestamp", timestamp)
	request.Header.Set("Wechatpay-Nonce", nonce)
	request.Header.Set("Wechatpay-Signature", base64.StdEncoding.EncodeToString(signature))
}

package wechatpay

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5" //nolint:gosec // the protocol derives its key with it
	"encoding/base64"
	"encoding/hex"

	"wxnotify/service/callback"
)

// newRefundCipher derives the key of refund notices: the 32 lower-case hex
// digits of the API key's MD5, as text.
//
// Source: https://pay.weixin.qq.com/doc/v2/partner/4011989265
func newRefundCipher(secret []byte) (cipher.Block, error) {
	sum := md5.Sum(secret) //nolint:gosec // see the import
	return aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
}

// openRefund decrypts and reads a refund notice. ECB proves nothing about its
// sender, so what does not open, down to the well-formed message inside, is
// anybody's and unproven.
func (m *merchant) openRefund(msg pairs, env callback.Envelope) (callback.Notification, *callback.Refusal) {
	sealed, err := base64.StdEncoding.DecodeString(msg.get("req_info"))
	if err == nil {
		for _, key := range m.v2 {
			plaintext, ok := key.openRefund(sealed)
			if !ok {
				continue
			}
			if inner, err := parseXML(plaintext, "root"); err == nil {
				key.used.mark(env.Received)
				return m.readRefund(msg, inner)
			}
		}
	}
	return callback.Notification{}, callback.Refuse(callback.ReasonDecryptFailed,
		"req_info opens with none of the v2 keys of merchant "+m.name).InClass(callback.Unproven)
}

// openRefund undoes AES-256-ECB and PKCS #7; every padding byte is checked.
func (k *apiv2Key) openRefund(sealed []byte) ([]byte, bool) {
	if len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return nil, false
	}
	plaintext := make([]byte, len(sealed))
	for i := 0; i < len(sealed); i += aes.BlockSize {
		k.refunds.Decrypt(plaintext[i:], sealed[i:])
	}
	n := int(plaintext[len(plaintext)-1])
	if n == 0 || n > aes.BlockSize {
		return nil, false
	}
	body, padding := plaintext[:len(plaintext)-n], plaintext[len(plaintext)-n:]
	if !bytes.Equal(padding, bytes.Repeat([]byte{byte(n)}, n)) {
		return nil, false
	}
	return body, true
}

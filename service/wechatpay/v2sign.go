package wechatpay

import (
	"crypto/cipher"
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // the protocol's default digest; a merchant can pin HMAC-SHA256
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"hash"
	"io"

	"wxnotify/service/callback"
)

// apiv2Key is one API key of the older interface.
type apiv2Key struct {
	secret  []byte
	refunds cipher.Block // AES-256 under the key's MD5
	used    *lastUse
}

// openNotice verifies a signed notice. Which digest signed it is told by the
// length of sign, because WeChat Pay often leaves sign_type out:
// https://github.com/binarywang/WxJava/issues/1585
func (m *merchant) openNotice(msg pairs, env callback.Envelope) (callback.Notification, *callback.Refusal) {
	sign := msg.get("sign")
	var kind SignPolicy
	switch len(sign) {
	case 2 * md5.Size:
		kind = SignMD5
	case 2 * sha256.Size:
		kind = SignHMACSHA256
	default:
		return callback.Notification{}, callback.Refuse(callback.ReasonSignatureInvalid, "sign has neither the length of MD5 nor of HMAC-SHA256")
	}
	good := m.signedBy(msg, sign, kind, env)
	if !m.sign.accepts(kind) {
		refusal := callback.Refuse(callback.ReasonSignatureType, fmt.Sprintf("signed with %s, but merchant %s accepts %s only", kind, m.name, m.sign))
		if good {
			n, why := m.readNotice(msg)
			refusal = proven(refusal, n, why, "the signature itself fits the v2 key")
		}
		return callback.Notification{}, refusal
	}
	if !good {
		return callback.Notification{}, callback.Refuse(callback.ReasonSignatureInvalid, "sign fits none of the v2 keys of merchant "+m.name)
	}
	return m.readNotice(msg)
}

// signedBy reports whether one of the merchant's v2 keys made the signature.
func (m *merchant) signedBy(msg pairs, sign string, kind SignPolicy, env callback.Envelope) bool {
	sorted := msg.sorted()
	for _, key := range m.v2 {
		if subtle.ConstantTimeCompare([]byte(key.sign(sorted, kind)), []byte(sign)) == 1 {
			key.used.mark(env.Received)
			return true
		}
	}
	return false
}

// sign is the v2 signature of sorted fields: every one that is not empty and
// not the signature itself, joined as k=v&…, then the key, in upper-case hex.
//
// Source: https://pay.weixin.qq.com/wiki/doc/api/app/app.php?chapter=4_3
func (k *apiv2Key) sign(sorted pairs, kind SignPolicy) string {
	var h hash.Hash
	if kind == SignMD5 {
		h = md5.New() //nolint:gosec // see the import
	} else {
		h = hmac.New(sha256.New, k.secret)
	}
	for _, e := range sorted {
		if e.value != "" && e.name != "sign" {
			_, _ = io.WriteString(h, e.name+"="+e.value+"&")
		}
	}
	_, _ = io.WriteString(h, "key=")
	_, _ = h.Write(k.secret)
	return fmt.Sprintf("%X", h.Sum(nil))
}

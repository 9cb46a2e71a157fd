package wechatpay

import (
	"crypto"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"wxnotify/service/callback"
)

const (
	// rsaSignature is the one signature type spoken here; a callback without the
	// header means it. Source: https://pay.weixin.qq.com/doc/v3/partner/4019605946
	rsaSignature = "WECHATPAY2-SHA256-RSA2048"
	// window is how far the signed timestamp may be from the arrival.
	// Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053249
	window = 300 * time.Second
	// maxNonce and maxTimestamp are far above what WeChat Pay sends (32 and 10).
	maxNonce, maxTimestamp = 128, 18
)

// openV3 proves an envelope first and reads it afterwards: nothing of the body
// is parsed before the signature over its raw bytes is good, except to diagnose
// a refusal that already stands.
func (r *ring) openV3(env callback.Envelope) (callback.Notification, *callback.Refusal) {
	m, refusal := r.authenticate(env)
	if refusal != nil {
		return callback.Notification{}, r.diagnose(env, refusal)
	}
	n, refusal := m.openBody(env.Body, env.Received)
	if stale := judgeTime(env); stale != nil {
		known := n // so that n itself need not leave the stack
		stale.Notification = &known
		if refusal != nil {
			stale.Notification = refusal.Notification
		}
		return callback.Notification{}, stale
	}
	return n, refusal
}

// authenticate names the merchant whose WeChat Pay key signed the envelope.
func (r *ring) authenticate(env callback.Envelope) (*merchant, *callback.Refusal) {
	s := env.Signature
	if s == (callback.Signature{}) {
		return nil, callback.Refuse(callback.ReasonUnsigned, "no Wechatpay-* signature header and not a v2 message")
	}
	if missing := missingHeaders(s); missing != "" {
		return nil, callback.Refuse(callback.ReasonHeadersMissing, "missing: "+missing+": does a proxy drop them?")
	}
	m := r.byName[env.Merchant]
	if m == nil {
		return nil, callback.Refuse(callback.ReasonUnknownMerchant, "the path names no configured merchant")
	}
	refusal := m.verifySignature(s, env)
	if refusal == nil {
		return m, nil
	}
	// A probe is verified like anything else and named only when that failed. It
	// may come with an unknown serial as well as with a usual one.
	if s.IsProbe() && (refusal.Reason == callback.ReasonKeyUnknown || refusal.Reason == callback.ReasonSignatureInvalid) {
		return nil, callback.Refuse(callback.ReasonProbe, "the signature is WeChat Pay's deliberate bad one; the real one follows")
	}
	return nil, refusal
}

func missingHeaders(s callback.Signature) string {
	var missing []string
	for _, h := range [...]struct{ name, value string }{
		{"Wechatpay-Serial", s.Serial},
		{"Wechatpay-Timestamp", s.Timestamp},
		{"Wechatpay-Nonce", s.Nonce},
		{"Wechatpay-Signature", s.Value},
	} {
		if h.value == "" {
			missing = append(missing, h.name)
		}
	}
	return strings.Join(missing, ", ")
}

// strictBase64 takes no second spelling of a signature: a lax decoder does not
// look at the unused bits of the last character.
var strictBase64 = base64.StdEncoding.Strict()

// verifySignature goes from cheap to dear: only a well-formed signature by a
// key we hold costs an RSA operation.
func (m *merchant) verifySignature(s callback.Signature, env callback.Envelope) *callback.Refusal {
	if s.Type != "" && s.Type != rsaSignature {
		return callback.Refuse(callback.ReasonSignatureType, "Wechatpay-Signature-Type is not "+rsaSignature)
	}
	key := m.verify[serialIndex(s.Serial)]
	if key == nil {
		return callback.Refuse(callback.ReasonKeyUnknown, m.unknownSerial(s.Serial))
	}
	// WeChat Pay retires a certificate long before its end, so what is signed
	// with an expired one is not trusted.
	if !key.expires.IsZero() && env.Received.After(key.expires) {
		return callback.Refuse(callback.ReasonKeyUnknown, fmt.Sprintf("platform certificate %s expired on %s", key.id, key.expires.UTC().Format(time.DateOnly)))
	}
	invalid := func(detail string) *callback.Refusal {
		return callback.Refuse(callback.ReasonSignatureInvalid, detail)
	}
	// The parts are joined by line feeds, so a nonce with one could move the
	// border between nonce and body.
	switch {
	case !isDecimal(s.Timestamp) || len(s.Timestamp) > maxTimestamp:
		return invalid("Wechatpay-Timestamp is not a plain decimal number")
	case !isVisible(s.Nonce) || len(s.Nonce) > maxNonce:
		return invalid("Wechatpay-Nonce is too long or not visible ASCII")
	case len(s.Value) != base64.StdEncoding.EncodedLen(key.key.Size()):
		return invalid("Wechatpay-Signature does not have the length of a signature by this key")
	}
	signature, err := strictBase64.DecodeString(s.Value)
	if err != nil {
		return invalid("Wechatpay-Signature is not base64")
	}
	if rsa.VerifyPKCS1v15(key.key, crypto.SHA256, digest(s, env.Body), signature) != nil {
		return invalid("Wechatpay-Signature does not fit timestamp, nonce and body as received: was the body rewritten on its way?")
	}
	key.used.mark(env.Received)
	return nil
}

// digest hashes timestamp, nonce and body, each ended by one line feed; header
// texts and body count exactly as sent.
func digest(s callback.Signature, body []byte) []byte {
	head := make([]byte, 0, maxTimestamp+maxNonce+2)
	head = append(append(head, s.Timestamp...), '\n')
	head = append(append(head, s.Nonce...), '\n')
	h := sha256.New()
	_, _ = h.Write(head)
	_, _ = h.Write(body)
	_, _ = h.Write(head[len(head)-1:]) // a line feed
	return h.Sum(head[:0])
}

func (m *merchant) unknownSerial(serial string) string {
	what := "a certificate serial"
	if strings.HasPrefix(serial, publicKeyPrefix) {
		what = "a public key id"
	}
	return fmt.Sprintf("Wechatpay-Serial, %s, is none of the %d keys of merchant %s: is a new key missing?", what, len(m.verify), m.name)
}

// judgeTime compares the signed timestamp with the arrival. It comes after the
// signature, so that a skewed clock of ours is told from a stranger.
func judgeTime(env callback.Envelope) *callback.Refusal {
	seconds, err := strconv.ParseInt(env.Signature.Timestamp, 10, 64)
	if err != nil {
		return callback.Refuse(callback.ReasonTimestampStale, "the signed timestamp is out of range")
	}
	off := env.Received.Sub(time.Unix(seconds, 0))
	if off.Abs() <= window {
		return nil
	}
	direction := "before"
	if off < 0 {
		off, direction = off.Abs(), "after"
	}
	return callback.Refuse(callback.ReasonTimestampStale, fmt.Sprintf("signed %s %s it arrived: is this host's clock right?", off.Truncate(time.Second), direction))
}

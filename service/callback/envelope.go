package callback

import (
	"bytes"
	"crypto/sha256"
	"net/netip"
	"strings"
	"time"
)

// API is the protocol generation a callback speaks.
type API string

// The two generations of the WeChat Pay interface.
const (
	V2 API = "v2" // XML, shared-key signature
	V3 API = "v3" // JSON envelope, RSA signature, AES-GCM resource
)

// Success is the HTTP status that acknowledges a callback. In v3 the status is
// the answer, and 204 needs no body; in v2 the body is, and comes with a 200.
//
// Sources: https://pay.weixin.qq.com/doc/v3/merchant/4012791836 and
// https://pay.weixin.qq.com/doc/v2/partner/4011984734
func (a API) Success() int {
	if a == V2 {
		return 200
	}
	return 204
}

// Envelope is a callback as it arrived: raw facts of one HTTP request, nothing
// interpreted. One Envelope is one arrival.
type Envelope struct {
	// ID names this arrival: the key of its audit row, its spool entry and its
	// record. The door chooses it before anything can fail.
	ID string
	// Merchant is the merchant named by the path; it may not exist.
	Merchant string
	// Received is when the request's headers were read, Read when its body was.
	Received, Read time.Time
	// Peer is the sender's address, taken from trusted proxies only.
	Peer netip.Addr
	// ContentType is the request's own claim; it decides only when there is no body.
	ContentType string
	// Signature holds the Wechatpay-* headers exactly as sent.
	Signature Signature
	// Body is the exact bytes sent. It is empty when the door refused to read it.
	Body []byte
	// Length is the number of bytes the sender announced or sent.
	Length int64
	// Trace is the W3C traceparent of the span that handles this arrival, or "".
	Trace string
	// Verdict is set when the door has already refused the request (too large,
	// shed, broken); such an envelope is recorded without being opened.
	Verdict *Refusal
}

// Signature is the set of v3 signature headers, verbatim.
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4013053249
type Signature struct {
	Serial    string // Wechatpay-Serial: platform certificate serial or PUB_KEY_ID_…
	Timestamp string // Wechatpay-Timestamp: Unix seconds, used as text
	Nonce     string // Wechatpay-Nonce
	Type      string // Wechatpay-Signature-Type; empty means RSA
	Value     string // Wechatpay-Signature: base64
}

// probePrefix marks the wrong signatures that WeChat Pay sends on purpose
// (签名探测流量). Source: https://pay.weixin.qq.com/doc/v3/merchant/4012075420
const probePrefix = "WECHATPAY/SIGNTEST/"

// IsProbe reports whether the signature value claims to be a deliberate probe.
// It never changes how the value is verified.
func (s Signature) IsProbe() bool { return strings.HasPrefix(s.Value, probePrefix) }

// API tells which generation the envelope speaks: v2 when there is no v3
// signature and the body's first non-space byte is '<'. When the body was not
// read, the content type decides; if that is unclear too, v3.
func (e Envelope) API() API {
	if e.Signature.Value != "" {
		return V3
	}
	if body := bytes.TrimLeft(e.Body, " \t\r\n"); len(body) > 0 {
		if body[0] == '<' {
			return V2
		}
		return V3
	}
	if strings.Contains(strings.ToLower(e.ContentType), "xml") {
		return V2
	}
	return V3
}

// Digest is the SHA-256 of the body as sent.
func (e Envelope) Digest() [sha256.Size]byte { return sha256.Sum256(e.Body) }

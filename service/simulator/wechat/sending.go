package wechat

import (
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Sending is one HTTP request, ready to go out.
type Sending struct {
	URL    string
	Header http.Header
	Body   []byte
}

const (
	rsaSignature = "WECHATPAY2-SHA256-RSA2048"
	sm2Signature = "WECHATPAY2-SM2-WITH-SM3"
	// probePrefix starts the signatures that are wrong on purpose.
	// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012075420
	probePrefix = "WECHATPAY/SIGNTEST/"
	// oversized is more than any message: the largest field may have 1 MiB.
	oversized = 2<<20 + 512<<10
)

// junk is what a public address receives on an ordinary day.
var junk = []string{
	"", "{", "null", "[]", `{"id":"1"}`, "hello=world", "<html></html>", "\x00\xff\xfe",
	`<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]><xml><return_code>&x;</return_code></xml>`,
}

// Sign makes one sending of the message at the time now, spoiled by f.
func (m *Message) Sign(f Fault, now time.Time) Sending {
	to := m.merchant
	mchID, order, apiV2Key, apiV3Key := to.MchID, m.Order, to.APIv2Key, to.APIv3Key
	switch f {
	case ForeignMerchant:
		mchID = "1900000109"
	case WrongAmount:
		order.Total++
	case Undecryptable:
		apiV3Key = random(32, alphanum)
	case Forged:
		apiV2Key, apiV3Key = random(32, alphanum), random(32, alphanum)
	}
	s := Sending{URL: to.NotifyURL, Header: http.Header{
		"User-Agent": {"Mozilla/4.0"}, "Accept": {"*/*"}, "Pragma": {"no-cache"},
	}}
	if f == WrongPath {
		s.URL = s.URL[:strings.LastIndexByte(s.URL, '/')+1] + "nobody"
	}
	switch {
	case f == Junk:
		s.Body = []byte(junk[rand.IntN(len(junk))])
	case m.Kind.V2():
		s.Header.Set("Content-Type", "text/xml")
		s.Body = m.bodyV2(apiV2Key, mchID, order, f)
	default:
		s.Header.Set("Content-Type", "application/json")
		s.Body = m.bodyV3(apiV3Key, mchID, order, f)
		m.signHeaders(&s, f, now)
	}
	if f == Oversize {
		s.Body = append(s.Body, slices.Repeat([]byte(" "), oversized)...)
	}
	return s
}

// signHeaders adds the v3 signature, and afterwards does to the sending what f
// does to sendings.
func (m *Message) signHeaders(s *Sending, f Fault, now time.Time) {
	key, serial := m.merchant.key()
	switch f {
	case Stale:
		now = now.Add(-10 * time.Minute)
	case UnknownSerial:
		key, serial = m.merchant.stranger, strings.ToUpper(random(40, "0123456789abcdef"))
	case Forged:
		key = m.merchant.stranger
	}
	timestamp, nonce := strconv.FormatInt(now.Unix(), 10), random(32, alphanum)
	value, kind := signV3(key, timestamp, nonce, s.Body), rsaSignature
	switch f {
	case Probe:
		value = probePrefix + value[len(probePrefix):]
	case ProbeBadBase64:
		// Longer than an RSA-2048 signature and not in whole groups of four, like
		// https://github.com/wechatpay-apiv3/wechatpay-java/issues/319 .
		value = probePrefix + value[:336]
	case SignatureType:
		kind = sm2Signature
	case Rewritten:
		s.Body = reserialise(s.Body)
	}
	for name, v := range map[string]string{
		"Wechatpay-Serial": serial, "Wechatpay-Timestamp": timestamp, "Wechatpay-Nonce": nonce,
		"Wechatpay-Signature": value, "Wechatpay-Signature-Type": kind,
	} {
		s.Header.Set(name, v)
	}
	switch f {
	case HeaderStripped:
		stripped := []string{"Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"}
		s.Header.Del(stripped[rand.IntN(len(stripped))])
	case Unsigned:
		for name := range s.Header {
			if strings.HasPrefix(name, "Wechatpay-") {
				delete(s.Header, name)
			}
		}
	}
}

// reserialise is what a framework does that parses a body and writes it again:
// the same JSON, other bytes.
func reserialise(body []byte) []byte {
	var v object
	if err := json.Unmarshal(body, &v); err != nil {
		panic(err) // our own body
	}
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		panic(err)
	}
	return b
}

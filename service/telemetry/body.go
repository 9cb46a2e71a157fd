package telemetry

import (
	"bytes"
	"encoding/xml"
	"strings"

	"wxnotify/service/callback"
)

const (
	// bodyLimit caps the envelope in a record, the mark of a cut included.
	bodyLimit = 8 << 10
	// headShown is what a record holds of any other body, headRead what is
	// masked first: a number on the edge must not lose the digits by which it
	// is recognised.
	headShown = 256
	headRead  = 1 << 10

	cutMark = "…truncated"
)

// bodyText is what a record may hold of a body. Authentic v3 envelopes are
// WeChat's own ciphertext; of authentic v2 bodies, which are clear text, only
// allow-listed fields; of anything else, a masked beginning.
func bodyText(body []byte, api callback.API, authentic bool, form callback.SealForm) string {
	switch {
	case authentic && api == callback.V2:
		return allowed(body)
	case authentic && form == callback.SealWeChat:
		if len(body) > bodyLimit {
			return clip(string(body), bodyLimit-len(cutMark)) + cutMark
		}
		return clip(string(body), bodyLimit)
	}
	return clip(mask(clip(string(body[:min(len(body), headRead)]), headRead)), headShown)
}

// v2Fields are the v2 elements that a record may show: business facts, nothing
// about the payer (no openid, no bank, no attach) and no sign.
//
// Source: https://pay.weixin.qq.com/doc/v2/merchant/4011937248
var v2Fields = map[string]bool{
	"return_code": true, "result_code": true, "err_code": true,
	"appid": true, "mch_id": true, "sub_appid": true, "sub_mch_id": true,
	"sign_type": true, "trade_type": true, "fee_type": true, "total_fee": true,
	"settlement_total_fee": true, "cash_fee": true, "cash_fee_type": true,
	"coupon_fee": true, "coupon_count": true,
	"transaction_id": true, "out_trade_no": true, "time_end": true,
}

// allowed rewrites a v2 body with its allow-listed elements alone. A value that
// is not a plain word is left out too: free text may hold anything.
func allowed(body []byte) string {
	var out strings.Builder
	out.WriteString("<xml>")
	d := xml.NewDecoder(bytes.NewReader(body))
	var name string
	var value []byte
	for depth := 0; out.Len() < bodyLimit/2; {
		token, err := d.RawToken()
		if err != nil {
			break
		}
		switch token := token.(type) {
		case xml.StartElement:
			depth++
			name, value = token.Name.Local, value[:0]
		case xml.CharData:
			value = append(value, token...)
		case xml.EndElement:
			if depth == 2 && token.Name.Local == name && v2Fields[name] && plain(value) {
				out.WriteString("<" + name + ">" + string(value) + "</" + name + ">")
			}
			depth, name = depth-1, ""
		}
	}
	out.WriteString("</xml>")
	return out.String()
}

// plain reports whether b looks like an identifier, a number or a code.
func plain(b []byte) bool {
	if len(b) == 0 || len(b) > 64 {
		return false
	}
	for _, c := range b {
		switch {
		case c >= '0' && c <= '9', c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z':
		case strings.IndexByte("_-|*.:", c) >= 0:
		default:
			return false
		}
	}
	return true
}

package wechatpay_test

import (
	"bytes"
	"crypto/aes"
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"strings"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

// notice is a v2 payment; sign and unsigned change it.
var notice = []string{
	"appid", "wxd678efh567hg6787", "attach", "a & b", "device_info", "", "fee_type", "CNY",
	"mch_id", "1900000109", "nonce_str", "5d2b6c2a8db53831f7eda20af46e531c", "openid", "oUpF8uMEb4qRXf22hE3X68TekukE",
	"out_trade_no", "1409811653", "result_code", "SUCCESS", "return_code", "SUCCESS", "time_end", "20140903131540",
	"total_fee", "1", "trade_type", "JSAPI", "transaction_id", "1004400740201409030005092168",
}

// with sets fields of a copy; an empty value removes nothing, it is sent empty.
func with(fields []string, set ...string) []string {
	out := append([]string(nil), fields...)
	for s := 0; s < len(set); s += 2 {
		found := false
		for i := 0; i < len(out); i += 2 {
			if out[i] == set[s] {
				out[i+1], found = set[s+1], true
			}
		}
		if !found {
			out = append(out, set[s], set[s+1])
		}
	}
	return out
}

func xmlOf(root string, fields ...string) string {
	var b strings.Builder
	b.WriteString("<" + root + ">")
	for i := 0; i < len(fields); i += 2 {
		b.WriteString("<" + fields[i] + "><![CDATA[" + fields[i+1] + "]]></" + fields[i] + ">\n")
	}
	return b.String() + "</" + root + ">"
}

func signed(kind wechatpay.SignPolicy, fields []string) string {
	return xmlOf("xml", with(fields, "sign", wechatpay.SignV2([]byte(apiv2Key), kind, fields...))...)
}

const refundInfo = `<root><out_refund_no>1</out_refund_no><out_trade_no>2</out_trade_no><refund_fee>34</refund_fee>` +
	`<refund_id>5</refund_id><refund_status>SUCCESS</refund_status><total_fee>100</total_fee><transaction_id>4</transaction_id></root>`

// reqInfo encrypts with PKCS #7 padding, or with the padding given.
func reqInfo(t testing.TB, key, plaintext string, padding ...byte) string {
	t.Helper()
	sum := md5.Sum([]byte(key))
	block, err := aes.NewCipher([]byte(hex.EncodeToString(sum[:])))
	if err != nil {
		t.Fatal(err)
	}
	if padding == nil {
		n := aes.BlockSize - len(plaintext)%aes.BlockSize
		padding = bytes.Repeat([]byte{byte(n)}, n)
	}
	b := append([]byte(plaintext), padding...)
	for i := 0; i+aes.BlockSize <= len(b); i += aes.BlockSize {
		block.Encrypt(b[i:], b[i:])
	}
	return base64.StdEncoding.EncodeToString(b)
}

func refund(info string, set ...string) string {
	return xmlOf("xml", with([]string{"return_code", "SUCCESS", "appid", "wxd678efh567hg6787", "mch_id", "1900000109", "req_info", info}, set...)...)
}

func TestV2(t *testing.T) {
	t.Parallel()
	hmacOnly, none, two := shop(t), shop(t), shop(t)
	hmacOnly.Name, hmacOnly.V2.Sign = "hmac", wechatpay.SignHMACSHA256
	none.Name, none.V2 = "none", wechatpay.V2{}
	two.Name, two.V2.Keys = "two", [][]byte{bytes.Repeat([]byte("n"), 32), []byte(apiv2Key)}
	o := newOpener(t, none, shop(t), hmacOnly, two)
	good := signed(wechatpay.SignHMACSHA256, notice)
	invalid, unproven, proven, noise := callback.ReasonSignatureInvalid, callback.Unproven, callback.Proven, callback.Noise
	tests := []struct {
		name, path, body string
		kind             callback.Kind // of the notification, "" for none
		reason           callback.Reason
		class            callback.Class
	}{
		{"HMAC", "shop", good, callback.Payment, "", ""},
		{"MD5", "shop", signed(wechatpay.SignMD5, notice), callback.Payment, "", ""},
		{"second key", "two", good, callback.Payment, "", ""},
		{"declaration and spaces", "shop", " \n<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n" + good + "\n", callback.Payment, "", ""},
		{"unknown field is signed too", "shop", signed(wechatpay.SignMD5, with(notice, "tomorrow", "1")), callback.Payment, "", ""},
		{"partner", "shop", signed(wechatpay.SignMD5, with(notice, "sub_mch_id", "2")), callback.PartnerPayment, "", ""},
		{"combined", "shop", signed(wechatpay.SignMD5, with(notice, "sub_order_list", "[]")), callback.CombinedPayment, "", ""},
		{"not paid", "shop", signed(wechatpay.SignMD5, with(notice, "result_code", "FAIL")), callback.Other, "", ""},
		{"not spoken", "shop", signed(wechatpay.SignMD5, with(notice, "return_code", "FAIL")), callback.Other, "", ""},
		{"no transaction_id", "shop", signed(wechatpay.SignMD5, with(notice, "transaction_id", "")), callback.Unclassified, "", ""},
		{"no total_fee", "shop", signed(wechatpay.SignMD5, with(notice, "total_fee", "")), callback.Unclassified, "", ""},
		{"total_fee with a point", "shop", signed(wechatpay.SignMD5, with(notice, "total_fee", "1.0")), callback.Unclassified, callback.ReasonMalformed, proven},
		{"total_fee negative", "shop", signed(wechatpay.SignMD5, with(notice, "total_fee", "-1")), callback.Unclassified, callback.ReasonMalformed, proven},
		{"odd out_trade_no", "shop", signed(wechatpay.SignMD5, with(notice, "out_trade_no", "1 2")), callback.Unclassified, callback.ReasonMalformed, proven},
		{"another mch_id", "shop", signed(wechatpay.SignMD5, with(notice, "mch_id", "1")), callback.Payment, callback.ReasonMerchantMismatch, proven},
		{"another appid", "shop", signed(wechatpay.SignMD5, with(notice, "appid", "wx1")), callback.Payment, callback.ReasonMerchantMismatch, proven},

		{"value changed", "shop", strings.Replace(good, "[1]", "[2]", 1), "", invalid, unproven},
		{"field added", "shop", strings.Replace(good, "<xml>", "<xml><coupon_fee>1</coupon_fee>", 1), "", invalid, unproven},
		{"field removed", "shop", strings.Replace(good, "<fee_type><![CDATA[CNY]]></fee_type>", "", 1), "", invalid, unproven},
		{"another key", "shop", xmlOf("xml", with(notice, "sign", wechatpay.SignV2([]byte(strings.Repeat("x", 32)), wechatpay.SignMD5, notice...))...), "", invalid, unproven},
		{"sign in small letters", "shop", xmlOf("xml", with(notice, "sign", strings.ToLower(wechatpay.SignV2([]byte(apiv2Key), wechatpay.SignMD5, notice...)))...), "", invalid, unproven},
		{"sign of another length", "shop", xmlOf("xml", with(notice, "sign", "ABC")...), "", invalid, unproven},
		{"no v2 keys", "none", good, "", callback.ReasonKeyUnknown, unproven},
		{"HMAC pinned", "hmac", good, callback.Payment, "", ""},
		{"MD5 where HMAC is pinned", "hmac", signed(wechatpay.SignMD5, notice), callback.Payment, callback.ReasonSignatureType, proven},
		{"bad MD5 where HMAC is pinned", "hmac", xmlOf("xml", with(notice, "sign", strings.Repeat("A", 32))...), "", callback.ReasonSignatureType, unproven},
		{"unknown path", "nobody", good, callback.Payment, callback.ReasonUnknownMerchant, proven},
		{"unknown path, bad signature", "nobody", strings.Replace(good, "[1]", "[2]", 1), "", callback.ReasonUnknownMerchant, noise},

		{"no proof", "shop", xmlOf("xml", notice...), "", callback.ReasonUnsigned, noise},
		{"communication failure", "shop", xmlOf("xml", "return_code", "FAIL", "return_msg", "no"), "", callback.ReasonUnsigned, noise},
		{"html", "shop", "<html><body>hello</body></html>", "", callback.ReasonUnsigned, noise},
		{"entity", "shop", `<!DOCTYPE xml [<!ENTITY x SYSTEM "file:///etc/passwd">]>` + good, "", invalid, unproven},
		{"duplicate", "shop", strings.Replace(good, "<xml>", "<xml><total_fee>9</total_fee>", 1), "", invalid, unproven},

		{"refund", "shop", refund(reqInfo(t, apiv2Key, refundInfo)), callback.Refund, "", ""},
		{"refund, second key", "two", refund(reqInfo(t, apiv2Key, refundInfo)), callback.Refund, "", ""},
		{"refund changed", "shop", refund(reqInfo(t, apiv2Key, strings.Replace(refundInfo, "SUCCESS", "CHANGE", 1))), callback.Refund, "", ""},
		{"refund closed", "shop", refund(reqInfo(t, apiv2Key, strings.Replace(refundInfo, "SUCCESS", "REFUNDCLOSE", 1))), callback.Refund, "", ""},
		{"partner refund", "shop", refund(reqInfo(t, apiv2Key, refundInfo), "sub_mch_id", "2"), callback.PartnerRefund, "", ""},
		{"refund status of tomorrow", "shop", refund(reqInfo(t, apiv2Key, strings.Replace(refundInfo, "SUCCESS", "MAYBE", 1))), callback.Other, callback.ReasonMalformed, proven},
		{"refund above the total", "shop", refund(reqInfo(t, apiv2Key, strings.Replace(refundInfo, "34", "101", 1))), callback.Other, callback.ReasonMalformed, proven},
		{"refund without id", "shop", refund(reqInfo(t, apiv2Key, strings.Replace(refundInfo, "refund_id>", "refund_ix>", 2))), callback.Other, callback.ReasonMalformed, proven},
		{"refund of another", "shop", refund(reqInfo(t, apiv2Key, refundInfo), "mch_id", "1"), callback.Refund, callback.ReasonMerchantMismatch, proven},
		{"refund, another key", "shop", refund(reqInfo(t, strings.Repeat("x", 32), refundInfo)), "", callback.ReasonDecryptFailed, unproven},
		{"refund, not base64", "shop", refund("%%%"), "", callback.ReasonDecryptFailed, unproven},
		{"refund, half a block", "shop", refund("AAAA"), "", callback.ReasonDecryptFailed, unproven},
		{"refund, padding of 0", "shop", refund(reqInfo(t, apiv2Key, refundInfo, make([]byte, 16-len(refundInfo)%16)...)), "", callback.ReasonDecryptFailed, unproven},
		{"refund, padding of 17", "shop", refund(reqInfo(t, apiv2Key, refundInfo, bytes.Repeat([]byte{17}, 16-len(refundInfo)%16)...)), "", callback.ReasonDecryptFailed, unproven},
		{"refund, no message inside", "shop", refund(reqInfo(t, apiv2Key, "hello")), "", callback.ReasonDecryptFailed, unproven},
		{"refund, message with an entity", "shop", refund(reqInfo(t, apiv2Key, "<!DOCTYPE root>"+refundInfo)), "", callback.ReasonDecryptFailed, unproven},
		{"refund, no v2 keys", "none", refund(reqInfo(t, apiv2Key, refundInfo)), "", callback.ReasonKeyUnknown, unproven},
		{"refund, unknown path", "nobody", refund(reqInfo(t, apiv2Key, refundInfo)), callback.Refund, callback.ReasonUnknownMerchant, proven},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := judge(t, o, callback.Envelope{Merchant: tt.path, Body: []byte(tt.body)})
			var kind callback.Kind
			if v.Notification != nil {
				kind = v.Notification.Kind
				if v.Notification.ID == "" || v.Notification.ID != v.Notification.Key {
					t.Errorf("id %q, key %q", v.Notification.ID, v.Notification.Key)
				}
			}
			if v.Reason != tt.reason || v.Class != tt.class || kind != tt.kind {
				t.Errorf("kind %q, %+v; want kind %q, %s %s", kind, v, tt.kind, tt.reason, tt.class)
			}
		})
	}
}

// TestV2Resend: a re-send has another nonce and signature, and is the same message.
func TestV2Resend(t *testing.T) {
	t.Parallel()
	o := newOpener(t, shop(t))
	id := func(fields []string) string {
		v := judge(t, o, callback.Envelope{Merchant: "shop", Body: []byte(signed(wechatpay.SignMD5, fields))})
		return v.Notification.ID
	}
	failed := with(notice, "result_code", "FAIL")
	if a, b := id(failed), id(with(failed, "nonce_str", "other")); a != b {
		t.Errorf("%s and %s", a, b)
	}
	if a, b := id(failed), id(with(failed, "out_trade_no", "2")); a == b {
		t.Errorf("two orders, one id: %s", a)
	}
}

// TestPadding: of all last bytes only those of PKCS #7 count.
func TestPadding(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	block, err := aes.NewCipher([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	for n := range 256 {
		b := bytes.Repeat([]byte{byte(n)}, 2*aes.BlockSize)
		for i := 0; i < len(b); i += aes.BlockSize {
			block.Encrypt(b[i:], b[i:])
		}
		plain, ok := wechatpay.DecryptRefund([]byte(key), b)
		if want := n >= 1 && n <= aes.BlockSize; ok != want || ok && len(plain) != 2*aes.BlockSize-n {
			t.Errorf("padding of %d: %v, %d bytes", n, ok, len(plain))
		}
	}
	uneven := []byte("fourteen bytes\x09\x02")
	block.Encrypt(uneven, uneven)
	if _, ok := wechatpay.DecryptRefund([]byte(key), uneven); ok {
		t.Error("padding of 9, 2 opens")
	}
	if _, ok := wechatpay.DecryptRefund([]byte(key), nil); ok {
		t.Error("nothing opens")
	}
}

func TestParseXML(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ name, in, want string }{
		{"empty root", "<xml></xml>", ""},
		{"self-closing", "<xml/>", ""},
		{"CDATA and text", "<xml><a>1</a><b><![CDATA[<2>]]></b><c/></xml>", "a,1,b,<2>,c,"},
		{"text beside CDATA", "<xml><a>1<![CDATA[2]]>3</a></xml>", "a,123"},
		{"XML's own entities", "<xml><a>&lt;&amp;&#65;</a></xml>", "a,<&A"},
		{"another root", "<root></root>", "error"},
		{"nothing", "", "error"},
		{"text", "hello", "error"},
		{"unclosed", "<xml><a>1</a>", "error"},
		{"crossed", "<xml><a>1</b></xml>", "error"},
		{"two roots", "<xml></xml><xml></xml>", "error"},
		{"text after", "<xml></xml>x", "error"},
		{"text between", "<xml>x<a>1</a></xml>", "error"},
		{"nested", "<xml><a><b>1</b></a></xml>", "error"},
		{"nested, empty", "<xml><a><b></b></a></xml>", "error"},
		{"attribute", `<xml a="1"></xml>`, "error"},
		{"attribute below", `<xml><a b="1">1</a></xml>`, "error"},
		{"namespace", `<xml><x:a>1</x:a></xml>`, "error"},
		{"twice", "<xml><a>1</a><a>2</a></xml>", "error"},
		{"twice, other case", "<xml><a>1</a><A>2</A></xml>", "error"},
		{"comment", "<xml><!-- --></xml>", "error"},
		{"comment in a value", "<xml><a>1<!-- -->2</a></xml>", "error"},
		{"instruction", "<xml><?php ?></xml>", "error"},
		{"second declaration", `<?xml version="1.0"?><?xml version="1.0"?><xml></xml>`, "error"},
		{"other encoding", `<?xml version="1.0" encoding="GBK"?><xml></xml>`, "error"},
		{"DTD", `<!DOCTYPE xml><xml></xml>`, "error"},
		{"unknown entity", "<xml><a>&xxe;</a></xml>", "error"},
		{"entity bomb", `<!DOCTYPE z [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><xml><a>&b;</a></xml>`, "error"},
		{"published XXE", "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<!DOCTYPE foo [<!ENTITY xxe SYSTEM \"http://tst.qq.com/xxe_inject/1\">]>\n<foo><value>&xxe;</value></foo>\n", "error"},
		{"published fragment injection", "<xml>\n<payment>\n<account>5678-attacker</account></payment>\n<payment><account>1234-victim</account></payment></xml>", "error"},
		{"too many", "<xml>" + manyElements(129) + "</xml>", "error"},
		{"too deep", strings.Repeat("<xml>", 100_000), "error"},
		{"too large", "<xml><a>" + strings.Repeat("x", 64<<10) + "</a></xml>", "error"},
	} {
		got := "error"
		if fields, err := wechatpay.ParseXML([]byte(tt.in), "xml"); err == nil {
			got = strings.Join(fields, ",")
		}
		if got != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
	if _, err := wechatpay.ParseXML([]byte("<xml>"+manyElements(128)+"</xml>"), "xml"); err != nil {
		t.Errorf("128 elements: %v", err)
	}
}

func manyElements(n int) string {
	var b strings.Builder
	for i := range n {
		name := "e" + strings.Repeat("x", i)
		b.WriteString("<" + name + ">1</" + name + ">")
	}
	return b.String()
}

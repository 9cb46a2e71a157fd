package wechat_test

import (
	"testing"

	"wxnotify/service/simulator/wechat"
)

// The vectors are public, made by other implementations.
func TestPublishedVectors(t *testing.T) {
	t.Parallel()
	v2 := []string{
		"appid", "wxd930ea5d5a258f4f", "body", "test", "device_info", "1000", "mch_id", "10000100",
		"nonce_str", "ibuaiVcKdpRxkhJA", "sign", "ignored", "attach", "",
	}
	const v2Key = "192006250b4c09247ec02edce69f6a2d"
	for _, c := range []struct{ name, source, got, want string }{
		{
			"GCM", "wechatpay-java AeadAesCipherTest",
			wechat.SealV3("a7cde1ZJB1kG2e7VfTs3jQzaWizur8Gb", "uluk4a9R25RW", "associatedData", []byte("message")),
			"ulwSiIajGClcvcOYvOQ7+l+0PAbzzwI=",
		}, {
			"MD5", "https://pay.weixin.qq.com/wiki/doc/api/app/app.php?chapter=4_3",
			wechat.SignV2(v2Key, false, v2...), "9A0A8659F005D6984697E2CA0A9CF3B7",
		}, {
			"HMAC", "https://pay.weixin.qq.com/wiki/doc/api/app/app.php?chapter=4_3",
			wechat.SignV2(v2Key, true, v2...), "6A9AE1657590FD6257D693A078E1C3E4BB6BA4DC30B23E0EE2496E54170DACD6",
		}, {
			"ECB", "wechatpay-php AesEcbTest",
			wechat.EncryptECB([]byte("0123456789abcdef0123456789abcdef"), []byte("hello")),
			"pZwJZBLuy3mDACEQT4YTBw==",
		}, {
			"ECB again", "SKIT.FlurlHttpClient.Wechat.TenpayV2",
			wechat.EncryptECB([]byte("01234567890abcdefedcba9876543210"), []byte("SKIT is great!")),
			"l/aL5GyVfl/tw3Lww6GvCQ==",
		},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s (%s)", c.name, c.got, c.want, c.source)
		}
	}
}

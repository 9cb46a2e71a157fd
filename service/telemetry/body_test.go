package telemetry_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// TestBodyText: how much of a body a record shows.
func TestBodyText(t *testing.T) {
	t.Parallel()
	long := strings.Replace(envelopeBody, "mEuv9cQ4", strings.Repeat("mEuv9cQ4", 2000), 1)
	for name, c := range map[string]struct {
		body      string
		api       callback.API
		authentic bool
		form      callback.SealForm
		want      func(string) bool
	}{
		"authentic v3":                          {envelopeBody, callback.V3, true, callback.SealWeChat, func(s string) bool { return s == envelopeBody }},
		"authentic long v3":                     {long, callback.V3, true, callback.SealWeChat, func(s string) bool { return len(s) == 8<<10 && strings.HasSuffix(s, "…truncated") }},
		"authentic v3, not WeChat's ciphertext": {long, callback.V3, true, callback.SealDerived, func(s string) bool { return len(s) <= 256 }},
		"authentic v3, not recorded":            {long, callback.V3, true, callback.SealNone, func(s string) bool { return len(s) <= 256 }},
		"stranger's v3":                         {envelopeBody, callback.V3, false, callback.SealWeChat, func(s string) bool { return len(s) <= 256 && !strings.Contains(s, "truncated") }},
		"authentic v2": {v2Body, callback.V2, true, callback.SealDerived, func(s string) bool {
			return s == "<xml><return_code>SUCCESS</return_code><appid>wx2421b1c4370ec43b</appid><mch_id>10000100</mch_id>"+
				"<result_code>SUCCESS</result_code><total_fee>1</total_fee><fee_type>CNY</fee_type>"+
				"<transaction_id>1004400740201409030005092168</transaction_id><out_trade_no>1409811653</out_trade_no>"+
				"<time_end>20140903131540</time_end></xml>"
		}},
		"authentic v2, no XML": {"<xml><a", callback.V2, true, callback.SealDerived, func(s string) bool { return s == "<xml></xml>" }},
		"stranger's v2":        {v2Body, callback.V2, false, callback.SealDerived, func(s string) bool { return !strings.Contains(s, "oUpF8uMEb4qRXf22hE3X68TekukE") }},
		"number on the edge":   {strings.Repeat("x", 250) + " 13800138000", callback.V3, false, callback.SealNone, func(s string) bool { return !strings.Contains(s, "1380") }},
		"not text":             {"\xff\xfe\x00openid", callback.V3, false, callback.SealNone, utf8.ValidString},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := telemetry.BodyText([]byte(c.body), c.api, c.authentic, c.form); !c.want(got) {
				t.Errorf("shows %q", got)
			}
		})
	}
}

// TestMask: what looks personal or secret is hidden, in any dress; what an
// operator needs stays.
func TestMask(t *testing.T) {
	t.Parallel()
	for _, leak := range []string{
		`{"openid":"SECRET"}`, `{"payer":{"sub_openid" : "SECRET"}}`, `{\"openid\":\"SECRET\"}`,
		`<openid><![CDATA[SECRET]]></openid>`, `<sub_openid>SECRET`, `openid=SECRET&x=1`, `{"mobile": SECRET}`,
		`{"attach":"SE\"CRET"}`, `user_name: SECRET`, `{"apiv3_key":"SECRET"}`, `-----BEGIN PRIVATE KEY-----SECRET`,
		`{"real_name":"SECRET`, `{"email":"SECRET@example.com"}`,
	} {
		if got := telemetry.Mask(leak); strings.Contains(got, "SECRET") || strings.Contains(got, "CRET") {
			t.Errorf("%s became %s", leak, got)
		}
	}
	for _, leak := range []string{
		"13800138000", "138-0013-8000", "+86 138 0013 8000", "8613800138000", "6222021234567890123", "4111 1111 1111 1111",
		"11010519491231002X", "oUpF8uMEb4qRXf22hE3X68TekukE", "[oUpF8uMEb4qRXf22hE3X68TekukE,oUpF8uMEb4qRXf22hE3X68TekukF]",
		"a.b@example.com", "0123456789abcdef0123456789ABCDEF",
	} {
		if got := telemetry.Mask("x " + leak + " y"); strings.Contains(got, leak) || strings.ContainsAny(got, "0123456789@") {
			t.Errorf("%s became %s", leak, got)
		}
	}
	for _, useful := range []string{
		"4200001234202611231234567890", "1795413600", "2026-11-23T14:00:00+08:00", "2026-11-23 14:00:00",
		"TRANSACTION.SUCCESS", "panic while opening the callback: *errors.errorString", `"out_trade_no":"A-1"`,
	} {
		if got := telemetry.Mask(useful); got != useful {
			t.Errorf("%s became %s", useful, got)
		}
	}
}

func FuzzBodyText(f *testing.F) {
	f.Add([]byte(envelopeBody))
	f.Add([]byte(v2Body))
	f.Add([]byte(`{"openid":"oUpF8uMEb4qRXf22hE3X68TekukE","phone":13800138000}`))
	f.Add([]byte("<xml><![CDATA[\xff"))
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, api := range []callback.API{callback.V2, callback.V3} {
			for _, authentic := range []bool{true, false} {
				for _, form := range []callback.SealForm{callback.SealWeChat, callback.SealDerived, callback.SealNone} {
					text := telemetry.BodyText(body, api, authentic, form)
					if !utf8.ValidString(text) {
						t.Errorf("not UTF-8: %q", text)
					}
					shown := authentic && (api == callback.V2 || form == callback.SealWeChat)
					if limit := map[bool]int{true: 8 << 10, false: 256}[shown]; len(text) > limit {
						t.Errorf("%d bytes, limit %d", len(text), limit)
					}
					if !shown && strings.Contains(text, "13800138000") {
						t.Errorf("a phone number in %q", text)
					}
				}
			}
		}
	})
}

func FuzzTraceparent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("00-00000000000000000000000000000000-b7ad6b7169203331-00")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		sc, ok := telemetry.ParseTraceparent(s)
		if !ok {
			return
		}
		if !sc.IsValid() || !sc.IsRemote() {
			t.Errorf("%q was read as %v", s, sc)
		}
		if again := telemetry.Traceparent(sc); again[:53] != strings.ToLower(s)[:53] {
			t.Errorf("%q became %q", s, again)
		}
	})
}

func FuzzClip(f *testing.F) {
	f.Add("支付成功", 5)
	f.Add("\xff\xff\xff\xff\xff\xff", 3)
	f.Fuzz(func(t *testing.T, s string, limit int) {
		if limit < 0 || limit > 1<<16 {
			return
		}
		got := telemetry.Clip(s, limit)
		if !utf8.ValidString(got) {
			t.Errorf("not UTF-8: %q", got)
		}
		if utf8.ValidString(s) && (len(got) > limit || !strings.HasPrefix(s, got)) {
			t.Errorf("%q cut at %d is %q", s, limit, got)
		}
	})
}

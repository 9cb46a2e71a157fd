package wechatpay_test

import (
	"encoding/json"
	"strings"
	"testing"

	"wxnotify/service/callback"
)

// TestBody signs bodies that are not the message they should be. None of them
// may panic: crypto/cipher does for a nonce of another length.
func TestBody(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	good := string(body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
	resource := func(change func(map[string]any)) string {
		var v map[string]any
		if err := json.Unmarshal([]byte(good), &v); err != nil {
			t.Fatal(err)
		}
		change(v["resource"].(map[string]any))
		raw, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return string(raw)
	}
	set := func(key string, value any) string {
		return resource(func(r map[string]any) { r[key] = value })
	}
	member := func(text string) string { return strings.Replace(good, "{", "{"+text+",", 1) }
	malformed, decryptFailed := callback.ReasonMalformed, callback.ReasonDecryptFailed
	tests := []struct {
		name, body string
		want       callback.Reason // "" for accepted
		known      bool            // the notification's id is read
	}{
		{"as it should be", good, "", true},
		{"spaces around it", " \r\n\t" + good + "\n", "", true},
		{"unknown members", member(`"news":{"a":[1,{"b":null}]}`), "", true},
		{"create_time of another form", strings.Replace(good, "2025-10-09T16:53:20+08:00", "20180225112233", 1), "", true},
		{"create_time that is a number", strings.Replace(good, `"2025-10-09T16:53:20+08:00"`, "5", 1), "", true},
		{"escaped key", strings.Replace(good, `"id"`, `"\u0069d"`, 1), "", true},
		{"empty", "", malformed, false},
		{"not JSON", "hello", malformed, false},
		{"an array", "[" + good + "]", malformed, false},
		{"a string", `"x"`, malformed, false},
		{"two objects", good + good, malformed, false},
		{"cut short", good[:len(good)-1], malformed, false},
		{"id twice", member(`"id":"EV-2"`), malformed, false},
		{"id twice, other case", member(`"ID":"EV-2"`), malformed, false},
		{"id twice, escaped", member(`"\u0069d":"EV-2"`), malformed, false},
		{"id twice, Kelvin sign", member("\"resource\u212a\":1,\"resourcek\":2"), malformed, false},
		{"other case alone", strings.Replace(good, `"id"`, `"Id"`, 1), malformed, false},
		{"no id", strings.Replace(good, `"id":"EV-1",`, "", 1), malformed, false},
		{"id too long", strings.Replace(good, "EV-1", strings.Repeat("x", 65), 1), malformed, false},
		{"id with a line break", strings.Replace(good, "EV-1", `EV\n1`, 1), malformed, false},
		{"id in Chinese", strings.Replace(good, "EV-1", "编号", 1), malformed, false},
		{"id is a number", strings.Replace(good, `"EV-1"`, "1", 1), malformed, false},
		{"no event type", strings.Replace(good, `"event_type":"TRANSACTION.SUCCESS",`, "", 1), malformed, true},
		{"deep", member(`"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), malformed, false},
		{"very deep", strings.Repeat(`{"a":`, 100_000), malformed, false},
		{"wide", member(`"a":1` + strings.Repeat(`,"a":1`, 300)), malformed, false},
		{"no resource", `{"id":"EV-1","event_type":"TRANSACTION.SUCCESS"}`, malformed, true},
		{"resource null", `{"id":"EV-1","event_type":"TRANSACTION.SUCCESS","resource":null}`, malformed, true},
		{"resource empty", `{"id":"EV-1","event_type":"TRANSACTION.SUCCESS","resource":{}}`, malformed, true},
		{"resource an array", `{"id":"EV-1","event_type":"TRANSACTION.SUCCESS","resource":[]}`, malformed, true},
		{"ciphertext twice", strings.Replace(good, `"ciphertext"`, `"Ciphertext":"","ciphertext"`, 1), malformed, true},
		{"nonce empty", set("nonce", ""), malformed, true},
		{"nonce of 11 bytes", set("nonce", "fdasflkja48"), malformed, true},
		{"nonce of 16 bytes", set("nonce", "fdasflkja4841234"), malformed, true},
		{"nonce of 12 runes", set("nonce", "支付支付支付支付支付支付"), malformed, true},
		{"nonce a number", set("nonce", 123456789012), malformed, true},
		{"ciphertext empty", set("ciphertext", ""), malformed, true},
		{"ciphertext not base64", set("ciphertext", "%%%%"), malformed, true},
		{"ciphertext shorter than a tag", set("ciphertext", "AAAAAAAAAAAAAAAAAAAA"), malformed, true},
		{"ciphertext is a tag alone", set("ciphertext", "AAAAAAAAAAAAAAAAAAAAAA=="), decryptFailed, true},
		{"ciphertext of another key", set("ciphertext", seal(t, strings.Repeat("x", 32), "fdasflkja484", "transaction", paid)), decryptFailed, true},
		{"ciphertext under AES-128", set("ciphertext", seal(t, apiv3Key[:16], "fdasflkja484", "transaction", paid)), decryptFailed, true},
		{"other associated data", set("associated_data", "refund"), decryptFailed, true},
		{"SM4", set("algorithm", "AEAD_SM4_GCM"), decryptFailed, true},
		{"no algorithm", resource(func(r map[string]any) { delete(r, "algorithm") }), decryptFailed, true},
		{"plaintext not JSON", string(body(t, "TRANSACTION.SUCCESS", apiv3Key, "hello")), malformed, true},
		{"plaintext empty", string(body(t, "TRANSACTION.SUCCESS", apiv3Key, "")), malformed, true},
		{"plaintext an array", string(body(t, "PAYSCORE.USER_PAID", apiv3Key, "[]")), malformed, true},
		{"plaintext with mchid twice", string(body(t, "TRANSACTION.SUCCESS", apiv3Key, `{"mchid":"1",`+paid[1:])), malformed, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			v := judge(t, o, newPay().envelope(t, []byte(tt.body)))
			if v.Reason != tt.want {
				t.Fatalf("%+v, want %q", v, tt.want)
			}
			if !v.accepted() && v.Class != callback.Proven {
				t.Errorf("class %s: the signature was good", v.Class)
			}
			if known := v.Notification != nil && v.Notification.ID == "EV-1" && v.Notification.Key != ""; known != tt.known {
				t.Errorf("notification %+v, want known = %v", v.Notification, tt.known)
			}
		})
	}
}

package wechatpay_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

func TestParseVerifyKey(t *testing.T) {
	t.Parallel()
	platform, public := readFile(t, "platform.pem"), readFile(t, "pub_key.pem")
	serial := parseKey(t, "", platform).ID()
	pkcs8, err := x509.MarshalPKCS8PrivateKey(newPay().key)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte {
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	smallDER, err := x509.MarshalPKIXPublicKey(&small.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, id string
		pem      []byte
		want     string // the key, or part of the error
	}{
		{"certificate", "", platform, "platform_certificate " + serial},
		{"certificate and its serial", serial, platform, "platform_certificate " + serial},
		{"serial in small letters", strings.ToLower(serial), platform, "platform_certificate " + serial},
		{"public key", publicKeyID, public, "public_key " + publicKeyID},
		{"public key, PKCS #1", publicKeyID, block("RSA PUBLIC KEY", x509.MarshalPKCS1PublicKey(&newPay().key.PublicKey)), "public_key " + publicKeyID},
		{"serial of another certificate", "5157F09EFDC096DE15EBE81A47057A7232F1B8E1", platform, "whose serial is " + serial},
		{"certificate as public key", publicKeyID, platform, "names a public key, but the file is a certificate"},
		{"public key without id", "", public, "needs its id PUB_KEY_ID_"},
		{"public key with a serial", serial, public, "needs its id PUB_KEY_ID_"},
		{"public key with half an id", "PUB_KEY_ID_", public, "needs its id PUB_KEY_ID_"},
		{"merchant certificate", "", readFile(t, "merchant.pem"), "merchant API certificate (商户API证书"},
		{"private key", publicKeyID, block("PRIVATE KEY", pkcs8), "this is a private key"},
		{"private key, PKCS #1", publicKeyID, block("RSA PRIVATE KEY", []byte("x")), "this is a private key"},
		{"elliptic key", publicKeyID, readFile(t, "ec_pub.pem"), "not an RSA key"},
		{"small key", publicKeyID, block("PUBLIC KEY", smallDER), "1024 bits"},
		{"empty", "", nil, "no PEM block"},
		{"DER", "", []byte("\x30\x82"), "no PEM block"},
		{"request", "", block("CERTIFICATE REQUEST", []byte("x")), "neither a CERTIFICATE nor a PUBLIC KEY"},
		{"broken certificate", "", block("CERTIFICATE", []byte("x")), "certificate: cannot be parsed"},
		{"broken public key", publicKeyID, block("PUBLIC KEY", []byte("x")), "public key: cannot be parsed"},
		{"two keys", "", append(append([]byte(nil), platform...), public...), "something follows"},
		{"huge", "", make([]byte, 1<<20), "larger than any"},
	} {
		key, err := wechatpay.ParseVerifyKey(tt.id, tt.pem)
		got := key.String()
		if err != nil {
			got = err.Error()
		}
		if !strings.Contains(got, tt.want) {
			t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestNewReportsEverything: every problem at once, with field and fix, and
// without a key.
func TestNewReportsEverything(t *testing.T) {
	t.Parallel()
	const secret = "SECRETsecretSECRET"
	platform := parseKey(t, "", readFile(t, "platform.pem"))
	_, err := wechatpay.New([]wechatpay.Merchant{
		{Name: "a/b", MchID: "19x", APIv3: [][]byte{[]byte(secret)}},
		{Name: "shop", MchID: "1", AppIDs: []string{"a b"}, Verify: []wechatpay.VerifyKey{platform, platform, {}}},
		{Name: "shop", MchID: "1", V2: wechatpay.V2{Keys: [][]byte{[]byte(apiv2Key), []byte(apiv2Key), []byte(secret + "\nxxxxxxxxxxxxx")}, Sign: "sha1"}},
		{Name: "none", MchID: "1"},
		{Name: "Shop_2", MchID: "1", V2: wechatpay.V2{Keys: [][]byte{[]byte(apiv2Key)}}},
	})
	want := []string{
		"merchant #1: name: must be 1 to 32 characters of a-z 0-9 -", "merchant #5: name: must be", "merchant #1: mchid: must be", "merchant #1: verification key: missing",
		"merchant #1: apiv3 key #1: has 18 bytes and must have exactly 32",
		`merchant "shop": appids #1`, `merchant "shop": apiv3 key: missing`,
		`merchant "shop": verification key #2: ` + platform.ID() + " is given twice", `merchant "shop": verification key #3: empty`,
		`merchant "shop": name: used twice`, `merchant "shop": v2 key #2: is given twice`,
		`merchant "shop": v2 key #3: has characters`, `merchant "shop": v2 sign: must be`,
		`merchant "none": keys: none`,
	}
	for _, w := range want {
		if err == nil || !strings.Contains(err.Error(), w) {
			t.Errorf("error misses %q", w)
		}
	}
	if n := strings.Count(fmt.Sprint(err), "\n") + 1; n != len(want) {
		t.Errorf("%d problems, want %d:\n%v", n, len(want), err)
	}
	if strings.Contains(fmt.Sprint(err), "SECRET") {
		t.Errorf("the error has a key in it: %v", err)
	}
	if _, err := wechatpay.New(nil); err == nil {
		t.Error("no merchants: no error")
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	env := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
	if v := judge(t, o, env); !v.accepted() {
		t.Fatalf("%+v", v)
	}
	used := func() map[string]time.Time {
		m := make(map[string]time.Time)
		for _, k := range o.Keys() {
			if !k.Used.IsZero() {
				m[string(k.Kind)+" "+k.ID] = k.Used
			}
		}
		return m
	}
	before := used()
	if len(before) != 2 {
		t.Fatalf("used keys: %v, want the public key and one APIv3 key", before)
	}

	broken := wallet(t)
	broken.APIv3 = [][]byte{[]byte("short")}
	if err := o.Replace([]wechatpay.Merchant{broken}); err == nil {
		t.Fatal("a broken set was taken")
	}
	if v := judge(t, o, env); !v.accepted() {
		t.Errorf("after a refused Replace: %+v", v)
	}

	rotated := wallet(t)
	rotated.APIv3 = [][]byte{[]byte("the-newest-key-of-32-characters!"), []byte(apiv3Key)}
	if err := o.Replace([]wechatpay.Merchant{rotated}); err != nil {
		t.Fatal(err)
	}
	if after := used(); fmt.Sprint(after) != fmt.Sprint(before) {
		t.Errorf("used keys after Replace: %v, want %v", after, before)
	}

	gone := shop(t)
	if err := o.Replace([]wechatpay.Merchant{gone}); err != nil {
		t.Fatal(err)
	}
	if v := judge(t, o, env); v.Reason != callback.ReasonKeyUnknown {
		t.Errorf("after the key is gone: %+v", v)
	}
}

// TestUsedMovesForward: opening a stored callback again takes nothing back.
func TestUsedMovesForward(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	late := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
	late.Received = late.Received.Add(time.Minute)
	early := late
	early.Received = early.Received.Add(-2 * time.Minute)
	for _, env := range []callback.Envelope{late, early} {
		if v := judge(t, o, env); !v.accepted() {
			t.Fatalf("%+v", v)
		}
	}
	for _, k := range o.Keys() {
		if k.ID == newPay().id && !k.Used.Equal(late.Received) {
			t.Errorf("used %v, want %v", k.Used, late.Received)
		}
	}
}

// TestReplaceUnderLoad swaps two sets of which each opens the message, while
// others open it: there is no moment in between.
func TestReplaceUnderLoad(t *testing.T) {
	t.Parallel()
	a, b := wallet(t), wallet(t)
	b.APIv3 = b.APIv3[:1]
	o := newOpener(t, a)
	env := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, paid))
	stop := make(chan struct{})
	var openers, replacer sync.WaitGroup
	replacer.Go(func() {
		for sets := [][]wechatpay.Merchant{{a}, {b}}; ; sets[0], sets[1] = sets[1], sets[0] {
			select {
			case <-stop:
				return
			default:
				if err := o.Replace(sets[0]); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 4 {
		openers.Go(func() {
			for range 200 {
				if _, err := o.Open(context.Background(), env); err != nil {
					t.Error(err)
				}
				o.Seal(env)
			}
		})
	}
	replacer.Go(func() {
		for {
			select {
			case <-stop:
				return
			default:
				// The sets have 6 and 5 keys.
				if n := len(o.Keys()); n != 6 && n != 5 {
					t.Errorf("%d keys", n)
				}
			}
		}
	})
	openers.Wait()
	close(stop)
	replacer.Wait()
}

// TestKeysDoNotPrint is promise P6 for the types that hold keys.
func TestKeysDoNotPrint(t *testing.T) {
	t.Parallel()
	m := wallet(t)
	o := newOpener(t, m)
	var out bytes.Buffer
	holders := []any{m, &m, []wechatpay.Merchant{m}, map[string]wechatpay.Merchant{"x": m}, struct{ M wechatpay.Merchant }{m}, m.V2, &m.V2, o}
	for _, h := range holders {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			fmt.Fprintf(&out, verb+"\n", h)
		}
		if h == any(o) {
			continue
		}
		if err := json.NewEncoder(&out).Encode(h); err != nil {
			t.Error(err)
		}
	}
	for _, handler := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(handler).Info("keys", "merchant", m, "v2", m.V2, "opener", o, "all", holders[2])
	}
	printed := out.String()
	for _, key := range []string{apiv3Key, oldAPIv3Key, apiv2Key} {
		for _, form := range []string{"%s", "%x", "%X", "%d"} {
			text := strings.Trim(fmt.Sprintf(form, []byte(key)), "[]")
			if strings.Contains(printed, text) {
				t.Errorf("key %s… printed with %s", key[:4], form)
			}
		}
		base64Form, err := json.Marshal([]byte(key))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(printed, strings.Trim(string(base64Form), `"`)) {
			t.Errorf("key %s… printed as base64", key[:4])
		}
	}
	if !strings.Contains(printed, "redacted") || !strings.Contains(printed, "1900000109") {
		t.Error("nothing useful printed")
	}
}

// TestRefusalsSayNothingOfTheSender is promise P6 for what is refused: no key,
// no payer, no text that a sender wrote, also where the message was opened.
func TestRefusalsSayNothingOfTheSender(t *testing.T) {
	t.Parallel()
	o := newOpener(t, wallet(t))
	const canary = "CANARY"
	plain := strings.NewReplacer("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "openid-CANARY", `"NATIVE"`, `"NATIVE","attach":"CANARY 13800138000"`).Replace(paid)
	opens := newPay().envelope(t, body(t, "TRANSACTION.SUCCESS", apiv3Key, plain))
	envs := []callback.Envelope{opens}
	for _, set := range []func(*callback.Envelope){
		func(e *callback.Envelope) { e.Signature = callback.Signature{} },
		func(e *callback.Envelope) { e.Signature.Serial = canary },
		func(e *callback.Envelope) { e.Signature.Type = canary },
		func(e *callback.Envelope) { e.Signature.Nonce = canary },
		func(e *callback.Envelope) { e.Signature.Timestamp = canary },
		func(e *callback.Envelope) { e.Signature.Value = canary },
		func(e *callback.Envelope) { e.Merchant = canary },
		func(e *callback.Envelope) { e.Body = []byte(canary) },
		func(e *callback.Envelope) { e.Received = e.Received.Add(time.Hour) },
	} {
		env := opens
		set(&env)
		envs = append(envs, env)
	}
	for _, b := range []string{
		`{"id":"CANARY 1","event_type":"CANARY"}`, `{"CANARY":1,"canary":1}`, "{CANARY}",
		string(body(t, "TRANSACTION.SUCCESS", apiv3Key, `{"out_trade_no":"CANARY 1","trade_state":"SUCCESS"}`)),
		string(body(t, "TRANSACTION.SUCCESS", apiv3Key, `CANARY`)),
		string(body(t, "REFUND.SUCCESS", apiv3Key, `{"refund_status":"CANARY 1"}`)),
	} {
		envs = append(envs, newPay().envelope(t, []byte(b)))
	}
	for _, b := range []string{
		"<CANARY>", xmlOf("xml", "sign", canary), xmlOf("xml", "sign", "", "req_info", canary),
		signed(wechatpay.SignMD5, with(notice, "total_fee", canary, "openid", canary)),
		refund(reqInfo(t, apiv2Key, "<root><refund_status>CANARY 1</refund_status></root>")),
	} {
		envs = append(envs, callback.Envelope{Merchant: "shop", Body: []byte(b)})
	}
	for i, env := range envs {
		n, err := o.Open(context.Background(), env)
		said := fmt.Sprintf("%+v %+v", n, err)
		if r := callback.AsRefusal(err); r != nil {
			said += r.Detail
			if r.Notification != nil {
				said += fmt.Sprintf("%+v", *r.Notification)
			}
		}
		for _, secret := range []string{canary, "openid", "13800138000", apiv3Key, apiv2Key} {
			if strings.Contains(said, secret) {
				t.Errorf("message %d: %q is in %s", i, secret, said)
			}
		}
	}
}

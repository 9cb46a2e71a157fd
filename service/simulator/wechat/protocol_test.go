package wechat_test

import (
	"crypto/rsa"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

func rsaKey(t testing.TB, key any) *rsa.PublicKey {
	t.Helper()
	k, ok := key.(*rsa.PublicKey)
	if !ok {
		t.Fatalf("%T is no RSA key", key)
	}
	return k
}

// WeChat Pay's own SDK reads every v3 message, whichever key signed it.
func TestSDKAcceptsMessages(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://localhost/wechatpay/shop")
	h := sdk(t, m)
	identity := map[wechat.Kind]string{
		wechat.Payment: "transaction_id", wechat.Combined: "combine_out_trade_no", wechat.Refund: "refund_id",
		wechat.RefundAbnormal: "refund_id", wechat.RefundClosed: "refund_id", wechat.ProfitSharing: "order_id",
		wechat.Transfer: "transfer_bill_no", wechat.Echo: "message", wechat.Unknown: "novelty_id",
		wechat.Unclassifiable: "settlement_no",
	}
	for _, kind := range wechat.Kinds() {
		if kind.V2() {
			continue
		}
		for share, serial := range map[float64]string{0: m.CertificateSerial, 1: m.PublicKeyID} {
			signer := *m
			signer.PublicKeyShare = share
			s := signer.Message(kind, wechat.NewOrder(1234)).Sign(wechat.None, time.Now())
			if got := s.Header.Get("Wechatpay-Serial"); got != serial {
				t.Errorf("%s: serial %s, want %s", kind, got, serial)
			}
			content, err := open(h, s)
			if err != nil {
				t.Errorf("%s signed by %s: %v", kind, serial, err)
				continue
			}
			if id, _ := content[identity[kind]].(string); id == "" {
				t.Errorf("%s: no %s in %v", kind, identity[kind], content)
			}
		}
	}
}

// The same SDK refuses what every fault makes of a message, and takes the sound ones.
func TestSDKRefusesFaults(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://localhost/wechatpay/shop")
	h := sdk(t, m)
	order := wechat.NewOrder(1234)
	for _, c := range []struct {
		fault  wechat.Fault
		accept bool
	}{
		{wechat.None, true},
		{wechat.SlowBody, true},
		{wechat.LostAnswer, true},
		// What is wrong with these is not in the signature.
		{wechat.WrongAmount, true},
		{wechat.ForeignMerchant, true},
		{wechat.WrongPath, true},
		{wechat.Forged, false},
		{wechat.Junk, false},
		{wechat.Oversize, false},
		{wechat.Probe, false},
		{wechat.ProbeBadBase64, false},
		{wechat.Stale, false},
		{wechat.UnknownSerial, false},
		{wechat.SignatureType, false},
		{wechat.HeaderStripped, false},
		{wechat.Unsigned, false},
		{wechat.Rewritten, false},
		{wechat.Undecryptable, false},
		{wechat.Malformed, false},
	} {
		s := m.Message(wechat.Payment, order).Sign(c.fault, time.Now())
		content, err := open(h, s)
		if (err == nil) != c.accept {
			t.Errorf("%q: accepted %t, want %t (%v)", c.fault, err == nil, c.accept, err)
		}
		switch c.fault {
		case wechat.Forged, wechat.UnknownSerial, wechat.Rewritten:
			if !strings.HasPrefix(err.Error(), "invalid notification") {
				t.Errorf("%q: it is not the signature that is wrong: %v", c.fault, err)
			}
		case wechat.Undecryptable, wechat.Malformed:
			if strings.HasPrefix(err.Error(), "invalid notification") {
				t.Errorf("%q: it is not the content that is wrong: %v", c.fault, err)
			}
		case wechat.WrongAmount:
			if total := content["amount"].(map[string]any)["total"]; total != 1235. {
				t.Errorf("wrong amount: total %v, want 1235", total)
			}
		case wechat.ForeignMerchant:
			if content["mchid"] == m.MchID {
				t.Error("foreign merchant: mchid is the merchant's own")
			}
		case wechat.WrongPath:
			if s.URL == m.NotifyURL {
				t.Error("wrong path: it is the right one")
			}
		case wechat.Oversize:
			if len(s.Body) <= 2<<20 {
				t.Errorf("oversize: only %d bytes", len(s.Body))
			}
		case wechat.Probe, wechat.ProbeBadBase64:
			if !strings.HasPrefix(s.Header.Get("Wechatpay-Signature"), "WECHATPAY/SIGNTEST/") {
				t.Error("a probe that is not marked as one")
			}
		}
	}
}

// What a proxy spoils is the signature, not the resource: a holder of the
// APIv3 key can still see that the message is genuine.
func TestSpoiledMessagesStayGenuine(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://localhost/wechatpay/shop")
	for _, f := range []wechat.Fault{
		wechat.Probe, wechat.HeaderStripped, wechat.Unsigned, wechat.Rewritten, wechat.UnknownSerial, wechat.Forged,
	} {
		var e struct {
			Resource struct{ Ciphertext, Nonce, AssociatedData string }
		}
		s := m.Message(wechat.Payment, wechat.NewOrder(1)).Sign(f, time.Now())
		body := strings.ReplaceAll(string(s.Body), "associated_data", "AssociatedData")
		if err := json.Unmarshal([]byte(body), &e); err != nil {
			t.Fatal(err)
		}
		_, err := openGCM(m.APIv3Key, e.Resource.Nonce, e.Resource.AssociatedData, e.Resource.Ciphertext)
		if genuine := err == nil; genuine == (f == wechat.Forged) {
			t.Errorf("%s: genuine %t", f, genuine)
		}
	}
}

func TestV2Messages(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://localhost/wechatpay/shop")
	for _, c := range []struct {
		kind   wechat.Kind
		fault  wechat.Fault
		accept bool
	}{
		{wechat.PaymentMD5, wechat.None, true},
		{wechat.PaymentHMAC, wechat.None, true},
		{wechat.RefundV2, wechat.None, true},
		{wechat.PaymentMD5, wechat.Forged, false},
		{wechat.PaymentHMAC, wechat.Forged, false},
		{wechat.RefundV2, wechat.Forged, false},
		{wechat.PaymentMD5, wechat.Unsigned, false},
		{wechat.PaymentHMAC, wechat.Malformed, false},
		{wechat.RefundV2, wechat.Malformed, false},
		{wechat.PaymentMD5, wechat.WrongAmount, true},
	} {
		o := wechat.NewOrder(1234)
		s := m.Message(c.kind, o).Sign(c.fault, time.Now())
		fields, err := openV2(m.APIv2Key, s.Body)
		if (err == nil) != c.accept {
			t.Errorf("%s %q: accepted %t, want %t (%v)", c.kind, c.fault, err == nil, c.accept, err)
			continue
		}
		total := map[wechat.Fault]string{wechat.WrongAmount: "1235"}[c.fault] // else 1234
		if c.accept && (fields["out_trade_no"] != o.OutTradeNo || fields["transaction_id"] != o.TransactionID ||
			fields["total_fee"] != orElse(total, "1234")) {
			t.Errorf("%s: %v does not tell of %+v", c.kind, fields, o)
		}
		for name := range s.Header {
			if strings.HasPrefix(name, "Wechatpay") {
				t.Errorf("%s carries %s", c.kind, name)
			}
		}
	}
}

func orElse(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// A re-send has the same id, and is sealed and signed anew.
func TestEverySendingIsSignedAnew(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://localhost/wechatpay/shop").Message(wechat.Payment, wechat.NewOrder(1))
	now := time.Now()
	a, b := m.Sign(wechat.None, now), m.Sign(wechat.None, now.Add(34*time.Minute))
	for _, name := range []string{"Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature"} {
		if a.Header.Get(name) == b.Header.Get(name) {
			t.Errorf("%s is the same in both sendings", name)
		}
	}
	created := regexp.MustCompile(`^\{"id":"[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-a[0-9a-f]{3}-[0-9a-f]{12}","create_time":"[^"]*\+08:00"`)
	if x, y := created.Find(a.Body), created.Find(b.Body); x == nil || string(x) != string(y) {
		t.Errorf("id and create_time differ: %s and %s", x, y)
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://localhost/wechatpay/shop")
	dir := filepath.Join(t.TempDir(), "keys")
	f, err := m.WriteKeys(dir)
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		if info, err := file.Info(); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: mode %v, want 0600", file.Name(), info.Mode().Perm())
		}
	}
	if key, _ := os.ReadFile(f.APIv3Key); string(key) != m.APIv3Key || len(key) != 32 {
		t.Error("the APIv3 key file is not the 32 characters")
	}
	if !regexp.MustCompile(`^[0-9A-F]{40}$`).MatchString(m.CertificateSerial) {
		t.Errorf("certificate serial %s is not 40 hex digits", m.CertificateSerial)
	}
	again, err := wechat.ReadMerchant(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, share := range []float64{0, 1} {
		again.PublicKeyShare = share
		s := again.Message(wechat.Payment, wechat.NewOrder(1)).Sign(wechat.None, time.Now())
		if _, err := open(sdk(t, m), s); err != nil {
			t.Errorf("the account read back signs otherwise: %v", err)
		}
	}
	if _, err := wechat.ReadMerchant(t.TempDir()); err == nil {
		t.Error("an account out of nothing")
	}
}

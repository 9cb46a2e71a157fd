package main

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/wechat"
)

// TestOneCallback is the main job: accepted, repeated, altered by one bit.
func TestOneCallback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	order := wechat.NewOrder(1288)
	message := w.wechat.Message(wechat.Payment, order)

	if status, body := w.post(t, message.Sign(wechat.None, time.Now())); status != http.StatusNoContent || body != "" {
		t.Fatalf("first: %d %q", status, body)
	}
	if status, _ := w.post(t, message.Sign(wechat.None, time.Now())); status != http.StatusNoContent {
		t.Fatalf("repeated: %d", status)
	}
	altered := message.Sign(wechat.None, time.Now())
	altered.Body[len(altered.Body)/2] ^= 1
	if status, body := w.post(t, altered); status != http.StatusUnauthorized || !strings.Contains(body, `"FAIL"`) {
		t.Fatalf("altered: %d %q", status, body)
	}

	_, seen := w.get(t, "/merchants/shop/orders/"+order.OutTradeNo)
	if !strings.Contains(seen, `"state":"paid"`) || !strings.Contains(seen, order.TransactionID) {
		t.Errorf("order: %s", seen)
	}
	_, text := w.get(t, "/metrics")
	const processed = "wechatpay_callback_processed_total"
	for outcome, want := range map[string]float64{"accepted": 1, "duplicate": 1, "failed": 1} {
		if got := metric(t, text, processed, `merchant="shop"`, `outcome="`+outcome+`"`); got != want {
			t.Errorf("%s %s = %v, want %v", processed, outcome, got, want)
		}
	}
	w.end(t)
	records := w.handled(t)
	if len(records) != 3 {
		t.Fatalf("%d records, want 3", len(records))
	}
	for i, want := range []string{"accepted", "duplicate", "failed"} {
		if records[i]["wechatpay.status"] != want {
			t.Errorf("record %d says %v, want %s", i, records[i]["wechatpay.status"], want)
		}
	}
	if records[1]["wechatpay.out_trade_no"] != order.OutTradeNo || records[1]["wechatpay.arrival"] != 2.0 {
		t.Errorf("second record: %v", records[1])
	}
}

// TestEveryFault sends what can go wrong outside and pins how each is judged.
// The messages come from the simulator, which reads the protocol on its own.
func TestEveryFault(t *testing.T) {
	t.Parallel()
	cases := []struct {
		kind    wechat.Kind
		fault   wechat.Fault
		status  int
		reasons []callback.Reason // any of these; none: accepted
		class   callback.Class
	}{
		{wechat.Payment, wechat.None, 204, nil, ""},
		{wechat.Combined, wechat.None, 204, nil, ""},
		{wechat.Refund, wechat.None, 204, nil, ""},
		{wechat.RefundAbnormal, wechat.None, 204, nil, ""},
		{wechat.RefundClosed, wechat.None, 204, nil, ""},
		{wechat.ProfitSharing, wechat.None, 204, nil, ""},
		{wechat.Transfer, wechat.None, 204, nil, ""},
		{wechat.Echo, wechat.None, 204, nil, ""},
		{wechat.Unknown, wechat.None, 204, nil, ""},
		{wechat.PaymentMD5, wechat.None, 200, nil, ""},
		{wechat.PaymentHMAC, wechat.None, 200, nil, ""},
		{wechat.RefundV2, wechat.None, 200, nil, ""},
		{wechat.Payment, wechat.SlowBody, 204, nil, ""},
		{wechat.Unclassifiable, wechat.None, 204, []callback.Reason{callback.ReasonUnclassified}, callback.Proven},
		{wechat.Payment, wechat.Forged, 401, []callback.Reason{callback.ReasonSignatureInvalid}, callback.Unproven},
		{wechat.PaymentMD5, wechat.Forged, 401, []callback.Reason{callback.ReasonSignatureInvalid}, callback.Unproven},
		{wechat.RefundV2, wechat.Forged, 401, []callback.Reason{callback.ReasonDecryptFailed}, callback.Unproven},
		{wechat.Payment, wechat.Oversize, 413, []callback.Reason{callback.ReasonTooLarge}, callback.Noise},
		{wechat.Payment, wechat.Probe, 401, []callback.Reason{callback.ReasonProbe}, callback.Probe},
		{wechat.Payment, wechat.ProbeBadBase64, 401, []callback.Reason{callback.ReasonProbe}, callback.Probe},
		{wechat.Payment, wechat.Stale, 401, []callback.Reason{callback.ReasonTimestampStale}, callback.Proven},
		{wechat.Payment, wechat.UnknownSerial, 401, []callback.Reason{callback.ReasonKeyUnknown}, callback.Proven},
		{wechat.Payment, wechat.SignatureType, 401, []callback.Reason{callback.ReasonSignatureType}, callback.Proven},
		{wechat.Payment, wechat.HeaderStripped, 401, []callback.Reason{callback.ReasonHeadersMissing}, callback.Proven},
		{wechat.Payment, wechat.Unsigned, 401, []callback.Reason{callback.ReasonUnsigned}, callback.Proven},
		{wechat.PaymentMD5, wechat.Unsigned, 401, []callback.Reason{callback.ReasonUnsigned}, callback.Noise},
		{wechat.Payment, wechat.Rewritten, 401, []callback.Reason{callback.ReasonSignatureInvalid}, callback.Proven},
		{wechat.Payment, wechat.WrongPath, 404, []callback.Reason{callback.ReasonUnknownMerchant}, callback.Proven},
		{wechat.Payment, wechat.Undecryptable, 500, []callback.Reason{callback.ReasonDecryptFailed}, callback.Proven},
		{wechat.Payment, wechat.Malformed, 400, []callback.Reason{callback.ReasonMalformed}, callback.Proven},
		{wechat.Payment, wechat.ForeignMerchant, 500, []callback.Reason{callback.ReasonMerchantMismatch}, callback.Proven},
		{wechat.PaymentHMAC, wechat.ForeignMerchant, 500, []callback.Reason{callback.ReasonMerchantMismatch}, callback.Proven},
	}
	for _, c := range cases {
		t.Run(string(c.kind)+" "+string(c.fault), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			message := w.wechat.Message(c.kind, wechat.NewOrder(100))
			status, body := w.post(t, message.Sign(c.fault, time.Now()))
			if status != c.status {
				t.Errorf("answered %d %q, want %d", status, body, c.status)
			}
			w.end(t)
			records := w.handled(t)
			if len(records) != 1 {
				t.Fatalf("%d records for one callback", len(records))
			}
			record := records[0]
			if len(c.reasons) == 0 {
				if record["wechatpay.status"] != "accepted" || record["error.type"] != nil {
					t.Errorf("record %v", record)
				}
				return
			}
			if record["error.type"] != string(c.reasons[0]) || record["wechatpay.class"] != string(c.class) {
				t.Errorf("judged %v, %v; want %s, %s", record["error.type"], record["wechatpay.class"], c.reasons[0], c.class)
			}
		})
	}
}

// TestWrongAmount registers an order ahead, and WeChat says another amount.
func TestWrongAmount(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	order := wechat.NewOrder(100)
	if status := w.register(t, order.OutTradeNo, 100); status != http.StatusCreated {
		t.Fatalf("register: %d", status)
	}
	if status := w.register(t, order.OutTradeNo, 101); status != http.StatusConflict {
		t.Errorf("registered with two amounts: %d", status)
	}
	message := w.wechat.Message(wechat.Payment, order)
	if status, _ := w.post(t, message.Sign(wechat.WrongAmount, time.Now())); status != http.StatusNoContent {
		t.Errorf("quarantined callbacks are acknowledged, got %d", status)
	}
	if _, seen := w.get(t, "/merchants/shop/orders/"+order.OutTradeNo); !strings.Contains(seen, `"state":"expected"`) {
		t.Errorf("the order was moved by a wrong amount: %s", seen)
	}
	w.end(t)
	if r := w.handled(t); len(r) != 1 || r[0]["error.type"] != string(callback.ReasonAmountMismatch) {
		t.Errorf("records %v", r)
	}
}

func TestOrderRequired(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) {
		m := c.Merchants["shop"]
		m.Orders = "required"
		c.Merchants["shop"] = m
	})
	order := wechat.NewOrder(100)
	message := w.wechat.Message(wechat.Payment, order)
	if status, _ := w.post(t, message.Sign(wechat.None, time.Now())); status != http.StatusInternalServerError {
		t.Errorf("unknown order: %d, want 500 so that WeChat sends again", status)
	}
	if status := w.register(t, order.OutTradeNo, 100); status != http.StatusCreated {
		t.Fatalf("register: %d", status)
	}
	if status, _ := w.post(t, message.Sign(wechat.None, time.Now())); status != http.StatusNoContent {
		t.Errorf("the re-send was not accepted: %d", status)
	}
}

// TestCopiesAtOnce is promise P2 through the door: 32 copies at one instant.
func TestCopiesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	message := w.wechat.Message(wechat.Payment, wechat.NewOrder(100))
	sendings := make([]wechat.Sending, 32)
	for i := range sendings {
		sendings[i] = message.Sign(wechat.None, time.Now())
	}
	var wg sync.WaitGroup
	for _, s := range sendings {
		wg.Go(func() {
			if status, _ := w.post(t, s); status != http.StatusNoContent {
				t.Errorf("a copy was answered %d", status)
			}
		})
	}
	wg.Wait()
	_, text := w.get(t, "/metrics")
	accepted := metric(t, text, "wechatpay_callback_processed_total", `outcome="accepted"`)
	duplicates := metric(t, text, "wechatpay_callback_processed_total", `outcome="duplicate"`)
	if accepted != 1 || duplicates != 31 {
		t.Errorf("accepted %v, duplicates %v; want 1 and 31", accepted, duplicates)
	}
}

// TestStopLosesNothing stops the service under load: every success that was
// answered is in the database, and what was not answered is WeChat's to re-send.
func TestStopLosesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	const senders, each = 8, 40
	acknowledged := make(chan string, senders*each)
	var wg sync.WaitGroup
	started := make(chan struct{}, senders*each)
	for range senders {
		wg.Go(func() {
			for range each {
				message := w.wechat.Message(wechat.Payment, wechat.NewOrder(100))
				s := message.Sign(wechat.None, time.Now())
				r, _ := http.NewRequest(http.MethodPost, s.URL, bytes.NewReader(s.Body))
				r.Header = s.Header
				answer, err := http.DefaultClient.Do(r)
				started <- struct{}{}
				if err != nil {
					return // the door is closed
				}
				_ = answer.Body.Close()
				if answer.StatusCode == http.StatusNoContent {
					acknowledged <- message.ID
				}
			}
		})
	}
	for range senders * 4 {
		<-started
	}
	w.end(t)
	wg.Wait()
	close(acknowledged)
	if len(acknowledged) == 0 {
		t.Fatal("nothing was acknowledged; this test shows nothing")
	}
	again := reopen(t, w.config)
	for id := range acknowledged {
		found, err := again.Find(t.Context(), id)
		if err != nil || len(found) == 0 || found[0].Outcome != callback.Accepted {
			t.Errorf("acknowledged and lost: %s (%v)", id, err)
		}
	}
}

// TestKeysReload swaps a key file under the running service.
func TestKeysReload(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	w.config.path = writeConfig(t, w.config)
	changed := w.config // before the watch, to which it belongs from now on
	w.watchKeys(t.Context(), 50*time.Millisecond)
	keyFile := changed.Merchants["shop"].APIv3Keys[0].File
	send := func(key string) int {
		account := *w.wechat
		account.APIv3Key = key
		status, _ := w.post(t, account.Message(wechat.Payment, wechat.NewOrder(100)).Sign(wechat.None, time.Now()))
		return status
	}
	const fresh = "abcdefghijklmnopqrstuvwxyz012345"
	if status := send(fresh); status != http.StatusInternalServerError {
		t.Fatalf("a key that is not configured: %d", status)
	}
	if err := os.WriteFile(keyFile, []byte("too short"), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bad file is named in the log", func() bool {
		return strings.Contains(w.records.String(), "the old ones stay at work") && strings.Contains(w.records.String(), "apiv3_keys.0")
	})
	if status := send(w.wechat.APIv3Key); status != http.StatusNoContent {
		t.Errorf("the old key stopped working: %d", status)
	}
	if err := os.WriteFile(keyFile, []byte(fresh), 0o600); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new key works", func() bool { return send(fresh) == http.StatusNoContent })

	// A key that the configuration names only now is watched from now on; what a
	// reload does not apply is told.
	const added, newest = "ABCDEFGHIJKLMNOPQRSTUVWXYZ012345", "01234567890123456789012345678901"
	addedFile := filepath.Join(filepath.Dir(keyFile), "added.key")
	m := changed.Merchants["shop"]
	m.APIv3Keys, m.Orders = []Secret{{File: addedFile}}, "required"
	changed.Merchants = map[string]Merchant{"shop": m}
	for _, key := range []string{added, newest} {
		if err := os.WriteFile(addedFile, []byte(key), 0o600); err != nil {
			t.Fatal(err)
		}
		writeConfig(t, changed)
		eventually(t, "the added key works", func() bool { return send(key) == http.StatusNoContent })
	}
	if !strings.Contains(w.records.String(), "restart wxnotify to apply them") {
		t.Error("a setting that needs a restart was passed over in silence")
	}
	for _, key := range []string{fresh, added, newest} {
		if strings.Contains(w.records.String(), key) {
			t.Error("a key was logged")
		}
	}
}

// TestNothingSecretLeaves is promise P6 through the whole service: canaries go
// in, and are looked for in everything that comes out and on the disk.
func TestNothingSecretLeaves(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config) { c.Log.Level = "debug" })
	order := wechat.NewOrder(100)
	canaries := []string{order.OpenID, w.wechat.APIv3Key, w.wechat.APIv2Key, testToken}
	var out strings.Builder
	for _, kind := range wechat.Kinds() {
		for _, fault := range []wechat.Fault{
			wechat.None, wechat.Probe, wechat.Stale, wechat.UnknownSerial, wechat.HeaderStripped, wechat.Unsigned, wechat.Rewritten,
			wechat.WrongPath, wechat.Undecryptable, wechat.Malformed, wechat.ForeignMerchant, wechat.Forged, wechat.WrongAmount, wechat.Oversize,
		} {
			if !fault.Fits(kind) {
				continue
			}
			_, body := w.post(t, w.wechat.Message(kind, order).Sign(fault, time.Now()))
			out.WriteString(body)
		}
	}
	for _, path := range []string{"/metrics", "/readyz", "/merchants/shop/orders/" + order.OutTradeNo} {
		_, body := w.get(t, path)
		out.WriteString(body)
	}
	dir := filepath.Dir(w.config.Store.Path)
	onDisk := func() (all []byte) {
		files, err := filepath.Glob(filepath.Join(dir, "wxnotify.*"))
		if err != nil || len(files) < 2 {
			t.Fatalf("no database files in %s: %v", dir, err)
		}
		for _, f := range files {
			content, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, content...)
		}
		return all
	}
	disk := onDisk() // the write-ahead log as well
	w.end(t)
	disk = append(disk, onDisk()...)
	for _, canary := range canaries {
		for place, text := range map[string][]byte{"answers": []byte(out.String()), "records": []byte(w.records.String()), "disk": disk} {
			if bytes.Contains(text, []byte(canary)) {
				t.Errorf("%s… came out in %s", canary[:6], place)
			}
		}
	}
	if !bytes.Contains(disk, []byte(order.OutTradeNo)) {
		t.Error("the order number is not on disk either; this test looks in the wrong place")
	}
}

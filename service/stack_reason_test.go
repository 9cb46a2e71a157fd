//go:build stack

package main

import (
	"bytes"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/pem"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/wechat"
)

// cause makes a callback fail for one reason, by what somebody outside can do.
type cause func(t *testing.T, r *reporter, w *world)

// spoilt sends one message of the kind with the fault.
func spoilt(kind wechat.Kind, fault wechat.Fault) cause {
	return func(t *testing.T, _ *reporter, w *world) {
		t.Helper()
		w.post(t, w.wechat.Message(kind, wechat.NewOrder(100)).Sign(fault, time.Now()))
	}
}

// strangers sends it as somebody who knows the notify_url and no key.
func strangers(kind wechat.Kind, fault wechat.Fault) cause {
	return func(t *testing.T, _ *reporter, w *world) {
		t.Helper()
		stranger := newAccount(w.wechat.Name)
		stranger.NotifyURL = w.wechat.NotifyURL
		w.post(t, stranger.Message(kind, wechat.NewOrder(100)).Sign(fault, time.Now()))
	}
}

// broken spoils the service's database first, from another process, and then
// sends a sound payment.
func broken(spoil func(t *testing.T, path string)) cause {
	return func(t *testing.T, r *reporter, w *world) {
		t.Helper()
		spoil(t, r.config.Store.Path)
		spoilt(wechat.Payment, wechat.None)(t, r, w)
	}
}

// provenCauses is one cause for each reason that can be proven.
var provenCauses = map[callback.Reason]cause{
	callback.ReasonUnsigned:         spoilt(wechat.Payment, wechat.Unsigned),
	callback.ReasonHeadersMissing:   spoilt(wechat.Payment, wechat.HeaderStripped),
	callback.ReasonUnknownMerchant:  spoilt(wechat.Payment, wechat.WrongPath),
	callback.ReasonKeyUnknown:       spoilt(wechat.Payment, wechat.UnknownSerial),
	callback.ReasonSignatureInvalid: spoilt(wechat.Payment, wechat.Rewritten),
	callback.ReasonSignatureType:    spoilt(wechat.Payment, wechat.SignatureType),
	callback.ReasonTimestampStale:   spoilt(wechat.Payment, wechat.Stale),
	callback.ReasonDecryptFailed:    spoilt(wechat.Payment, wechat.Undecryptable),
	callback.ReasonMalformed:        spoilt(wechat.Payment, wechat.Malformed),
	callback.ReasonMerchantMismatch: spoilt(wechat.Payment, wechat.ForeignMerchant),
	callback.ReasonUnclassified:     spoilt(wechat.Unclassifiable, wechat.None),
	callback.ReasonUnsupported:      unanswerable,
	callback.ReasonAmountMismatch:   wrongAmount,
	callback.ReasonConflict:         paidTwice,
	callback.ReasonOrderUnknown:     spoilt(wechat.Payment, wechat.None), // the merchant registers its orders ahead
	callback.ReasonStoreUnavailable: broken(moveAway),
	callback.ReasonDeadline:         broken(slowDown),
	callback.ReasonInternal:         broken(refuseRows),
	callback.ReasonOverloaded:       flooded,
}

// disastrous reasons hit every merchant of a service: each needs its own.
var disastrous = []callback.Reason{
	callback.ReasonStoreUnavailable, callback.ReasonDeadline, callback.ReasonInternal, callback.ReasonOverloaded,
}

// unprovenCauses is one cause for each reason that strangers can bring about.
var unprovenCauses = map[callback.Reason]cause{
	callback.ReasonHeadersMissing:   strangers(wechat.Payment, wechat.HeaderStripped),
	callback.ReasonKeyUnknown:       strangers(wechat.Payment, wechat.UnknownSerial),
	callback.ReasonSignatureInvalid: strangers(wechat.Payment, wechat.Forged),
	callback.ReasonSignatureType:    strangers(wechat.Payment, wechat.SignatureType),
	callback.ReasonDecryptFailed:    strangers(wechat.RefundV2, wechat.Forged),
}

// reasonsOf are the reasons that a class can have, by the registry.
func reasonsOf(class callback.Class) (all []callback.Reason) {
	for _, reason := range callback.Reasons() {
		if slices.Contains(reason.Classes(), class) {
			all = append(all, reason)
		}
	}
	return all
}

// named is the merchant whose callback fails for the reason.
func named(class callback.Class, reason callback.Reason) string {
	return string(class) + "-" + strings.ReplaceAll(string(reason), "_", "-")
}

// provenReasons brings every proven reason about once, and each is paged.
func provenReasons(t *testing.T, s *stack) {
	var ordinary []string
	for _, reason := range reasonsOf(callback.Proven) {
		if !slices.Contains(disastrous, reason) {
			ordinary = append(ordinary, named(callback.Proven, reason))
		}
	}
	shared := s.serve(t, "proven", ordinary, func(c *Config) {
		name := named(callback.Proven, callback.ReasonOrderUnknown)
		m := c.Merchants[name]
		m.Orders = "required"
		c.Merchants[name] = m
		name = named(callback.Proven, callback.ReasonUnsupported)
		m = c.Merchants[name]
		m.Keys = append(m.Keys, VerifyKey{ID: ownKeyID, File: ownKey(t).file})
		c.Merchants[name] = m
	})
	for _, reason := range reasonsOf(callback.Proven) {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			merchant, r := named(callback.Proven, reason), shared
			if slices.Contains(disastrous, reason) {
				r = s.serve(t, merchant, []string{merchant}, nil)
			}
			s.fails(t, r, merchant, reason, callback.Proven, provenCauses[reason])
		})
	}
}

// unprovenReasons does the same for strangers. In one environment all of them
// would be one incident, told once; so each has its own.
func unprovenReasons(t *testing.T, s *stack) {
	for _, reason := range reasonsOf(callback.Unproven) {
		t.Run(string(reason), func(t *testing.T) {
			t.Parallel()
			merchant := named(callback.Unproven, reason)
			r := s.serve(t, merchant, []string{merchant}, nil)
			s.fails(t, r, merchant, reason, callback.Unproven, unprovenCauses[reason])
		})
	}
}

// fails makes one failure and waits until it is told.
func (s *stack) fails(t *testing.T, r *reporter, merchant string, reason callback.Reason, class callback.Class, happen cause) {
	t.Helper()
	if happen == nil {
		t.Fatalf("nobody knows how to bring about %s, %s", class, reason)
	}
	w := r.world(merchant)
	happen(t, r, w)
	_, text := w.get(t, "/metrics")
	if metric(t, text, "wechatpay_callback_processed_total", `merchant="`+merchant+`"`,
		`error_type="`+string(reason)+`"`, `class="`+string(class)+`"`) == 0 {
		t.Fatalf("no callback of %s failed for %s, %s:\n%s", merchant, class, reason, r.said.String())
	}
	s.paged(t, time.Minute, r.environment, merchant, reason, class)
}

// ownKey signs what the simulator has no kind for, as WeChat Pay would.
var ownKey = func() func(*testing.T) signing {
	fresh := sync.OnceValues(func() (signing, error) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return signing{}, err
		}
		spki, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
		return signing{key: key, public: pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: spki})}, err
	})
	return func(t *testing.T) signing {
		t.Helper()
		s, err := fresh()
		if err != nil {
			t.Fatal(err)
		}
		s.file = filepath.Join(t.TempDir(), "own.pem")
		if err := os.WriteFile(s.file, s.public, 0o600); err != nil {
			t.Fatal(err)
		}
		return s
	}
}()

type signing struct {
	key    *rsa.PrivateKey
	public []byte
	file   string
}

const ownKeyID = "PUB_KEY_ID_0100000000002026112300000000000001"

// unanswerable sends a callback that wants business data in the answer.
func unanswerable(t *testing.T, _ *reporter, w *world) {
	t.Helper()
	sound := w.wechat.Message(wechat.Unknown, wechat.NewOrder(100)).Sign(wechat.None, time.Now())
	body := bytes.Replace(sound.Body, []byte("NOVELTY.ARRIVED"), []byte("CROSS_BORDER_PAY.GET_MCH_INFO"), 1)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, sound.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	referenceSign(t, request, ownKey(t).key, ownKeyID, body)
	do(t, request)
}

// wrongAmount announces an order, and WeChat Pay says another amount.
func wrongAmount(t *testing.T, _ *reporter, w *world) {
	t.Helper()
	order := wechat.NewOrder(100)
	w.register(t, order.OutTradeNo, order.Total)
	w.post(t, w.wechat.Message(wechat.Payment, order).Sign(wechat.WrongAmount, time.Now()))
}

// paidTwice pays one order by two transactions.
func paidTwice(t *testing.T, _ *reporter, w *world) {
	t.Helper()
	first, second := wechat.NewOrder(100), wechat.NewOrder(100)
	second.OutTradeNo = first.OutTradeNo
	for _, order := range []wechat.Order{first, second} {
		w.post(t, w.wechat.Message(wechat.Payment, order).Sign(wechat.None, time.Now()))
	}
}

// moveAway takes the database's file from under the service.
func moveAway(t *testing.T, path string) {
	t.Helper()
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
}

// slowDown makes every row take longer than any answer may.
func slowDown(t *testing.T, path string) {
	t.Helper()
	execute(t, path, `CREATE VIEW slow AS
		WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 1000000000) SELECT count(*) AS c FROM n`,
		`CREATE TRIGGER slowdown BEFORE INSERT ON callbacks BEGIN SELECT c FROM slow; END`)
}

// refuseRows makes the database refuse what is new, and take what is left of it.
func refuseRows(t *testing.T, path string) {
	t.Helper()
	execute(t, path, `CREATE TRIGGER refuse BEFORE INSERT ON callbacks WHEN NEW.out_trade_no <> ''
		BEGIN SELECT RAISE(ABORT, 'refused'); END`)
}

// execute changes the database beside the service that uses it.
func execute(t *testing.T, path string, statements ...string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, statement := range statements {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// flood is more callbacks at once than may wait for the database: a queue of
// 4096, and a batch on its way.
const flood = 4096 + 256 + 64

// flooded sends a flood of copies while the database is slow.
func flooded(t *testing.T, r *reporter, w *world) {
	t.Helper()
	slowDown(t, r.config.Store.Path)
	s := w.wechat.Message(wechat.Payment, wechat.NewOrder(100)).Sign(wechat.None, time.Now())
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 30 * time.Second}
	var all sync.WaitGroup
	for range flood {
		all.Go(func() {
			request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, bytes.NewReader(s.Body))
			if err != nil {
				t.Error(err)
				return
			}
			request.Header = s.Header.Clone()
			if answer, err := client.Do(request); err == nil { // who is not let in at all is no matter
				_ = answer.Body.Close()
			}
		})
	}
	all.Wait()
}

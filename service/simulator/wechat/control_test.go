package wechat_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

func contextWithCancel(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	return ctx, cancel
}

// console is a control surface and what one does with it.
type console struct {
	t        *testing.T
	platform *wechat.Platform
	handler  http.Handler
}

func newConsole(t *testing.T) console {
	r := newReceiver(t)
	p := wechat.New(wechat.Options{Speed: 1000})
	t.Cleanup(p.Close)
	return console{t, p, p.Control(context.Background(), r.merchant)}
}

func (c console) call(method, path, body string, status int) string {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
	answer, _ := io.ReadAll(w.Result().Body)
	if w.Code != status {
		c.t.Fatalf("%s %s %s: %d %s, want %d", method, path, body, w.Code, answer, status)
	}
	return string(answer)
}

type sent struct {
	Messages []struct {
		ID            string `json:"id"`
		OutTradeNo    string `json:"out_trade_no"`
		TransactionID string `json:"transaction_id"`
		Fault         string `json:"fault"`
	} `json:"messages"`
}

func (c console) send(path, body string) (s sent) {
	c.t.Helper()
	if err := json.Unmarshal([]byte(c.call(http.MethodPost, path, body, http.StatusAccepted)), &s); err != nil {
		c.t.Fatal(err)
	}
	return s
}

func TestControl(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	c.call(http.MethodGet, "/healthz", "", http.StatusOK)
	if usage := c.call(http.MethodGet, "/", "", http.StatusOK); !strings.Contains(usage, "POST /payments") {
		t.Errorf("usage %q", usage)
	}
	one := c.send("/payments", "").Messages[0]
	c.send("/payments", `{"merchant":"shop","kind":"payment_v2_hmac","amount":5,"count":2}`)
	c.send("/payments", `{"out_trade_no":"T1","amount":99,"fault":"probe","copies":1}`)
	refund := c.send("/refunds", `{"out_trade_no":"T1","amount":9,"kind":"refund_abnormal","delay":"1s"}`).Messages[0]
	if refund.OutTradeNo != "T1" {
		t.Errorf("refund of %+v", refund)
	}
	c.call(http.MethodPost, "/faults", `{"faults":{"wrong_path":1}}`, http.StatusOK)
	if m := c.send("/payments", "").Messages[0]; m.Fault != "wrong_path" {
		t.Errorf("fault %q, want that of /faults", m.Fault)
	}
	if m := c.send("/payments", `{"fault":""}`).Messages[0]; m.Fault != "" {
		t.Errorf("fault %q, want none as asked", m.Fault)
	}
	c.platform.Close() // waits
	var ledger struct {
		Report     wechat.Report
		Unexpected []wechat.Line
		Latest     []wechat.Entry
	}
	if err := json.Unmarshal([]byte(c.call(http.MethodGet, "/ledger?latest=3", "", http.StatusOK)), &ledger); err != nil {
		t.Fatal(err)
	}
	if r := ledger.Report; r.Messages != 7 || r.Acknowledged != 7 || len(ledger.Unexpected) != 0 || len(ledger.Latest) != 3 {
		t.Errorf("ledger %+v", ledger)
	}
	var e wechat.Entry
	if err := json.Unmarshal([]byte(c.call(http.MethodGet, "/ledger?id="+one.ID, "", http.StatusOK)), &e); err != nil {
		t.Fatal(err)
	}
	if e.OutTradeNo != one.OutTradeNo || e.TransactionID != one.TransactionID || e.Sendings[0].Answer.Status != 204 {
		t.Errorf("entry %+v of %+v", e, one)
	}
	c.call(http.MethodGet, "/ledger?id=nobody", "", http.StatusNotFound)
}

func TestControlRefusesNonsense(t *testing.T) {
	t.Parallel()
	c := newConsole(t)
	for _, q := range [][2]string{
		{"/payments", `{`},
		{"/payments", `{"colour":"red"}`},
		{"/payments", `{"merchant":"nobody"}`},
		{"/payments", `{"kind":"gift"}`},
		{"/payments", `{"amount":-1}`},
		{"/payments", `{"count":100000}`},
		{"/payments", `{"fault":"gremlins"}`},
		{"/payments", `{"kind":"payment_v2_md5","fault":"probe"}`},
		{"/payments", `{"delay":"soon"}`},
		{"/payments", `{"copies":9}`},
		{"/refunds", `{"out_trade_no":"never"}`},
		{"/faults", `{"faults":{"gremlins":1}}`},
		{"/faults", `{"faults":{"probe":2}}`},
		{"/faults", `{"copies":-1}`},
	} {
		if answer := c.call(http.MethodPost, q[0], q[1], http.StatusBadRequest); !strings.Contains(answer, `"error"`) {
			t.Errorf("%s: %s", q[1], answer)
		}
	}
	if r := c.platform.Ledger().Report(); r.Sendings != 0 {
		t.Errorf("something was sent: %s", r)
	}
}

// TestControlSetsTheMix: what is ordered while a mix runs holds for its next
// messages, instead of its own shares.
func TestControlSetsTheMix(t *testing.T) {
	t.Parallel()
	ctx, cancel := contextWithCancel(t)
	came := make(chan struct{})
	p := wechat.New(wechat.Options{Transport: answering(func(*http.Request) (int, string) {
		select {
		case came <- struct{}{}:
		case <-ctx.Done():
		}
		return http.StatusNoContent, ""
	})})
	m := merchantAt(t, "http://shop/wechatpay/shop")
	c := console{t, p, p.Control(ctx, m)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = p.Run(ctx, wechat.Mix{
			Merchants: []*wechat.Merchant{m}, Kinds: map[wechat.Kind]float64{wechat.Payment: 1}, Rate: 200,
			Shares: wechat.Shares{Faults: map[wechat.Fault]float64{wechat.Forged: 1}},
		}) // ends with ctx
	}()
	defer func() { cancel(); <-ended; p.Close() }()
	for range 20 {
		<-came
	}
	if r := p.Ledger().Report(); r.Strangers < 20 || r.Messages > 0 {
		t.Errorf("before anything is ordered: %d strangers, %d messages", r.Strangers, r.Messages)
	}
	c.call(http.MethodPost, "/faults", `{"faults":{}}`, http.StatusOK)
	late := time.After(10 * time.Second)
	for p.Ledger().Report().Messages == 0 {
		select {
		case <-came:
		case <-late:
			t.Fatal("the mix goes on with its own shares")
		}
	}
}

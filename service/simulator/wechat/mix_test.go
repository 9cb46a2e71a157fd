package wechat_test

import (
	"context"
	"errors"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

// A receiver that follows the protocol sees no surprise in any traffic, and the
// ledger's numbers are the receiver's own.
func TestLedgerAgreesWithTheReceiver(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	// A busy machine must not look like a slow receiver.
	p := wechat.New(wechat.Options{Speed: 2000, SlowBody: 50 * time.Millisecond, AnswerLimit: time.Minute})
	defer p.Close()
	var orders, shown atomic.Int64
	mix := wechat.Everyday(150, r.merchant)
	mix.For = 1500 * time.Millisecond
	mix.Before = func(_ context.Context, m *wechat.Merchant, o wechat.Order) error {
		if m != r.merchant || o.OutTradeNo == "" || o.Total <= 0 {
			return errors.New("no order")
		}
		orders.Add(1)
		return nil
	}
	mix.Progress = func(wechat.Report) { shown.Add(1) }
	for f := range mix.Faults { // a hard day
		mix.Faults[f] = 0.03
	}
	report, err := p.Run(t.Context(), mix)
	if err != nil {
		t.Fatal(err)
	}
	if lines := report.Unexpected(); len(lines) != 0 {
		t.Errorf("unexpected: %+v", lines)
	}
	if report.Pending != 0 || report.GivenUp != 0 || report.Messages != report.Acknowledged || report.Messages < 50 {
		t.Errorf("not drained: %s", report)
	}
	accepted, repeats := r.counts()
	if accepted != report.Acknowledged {
		t.Errorf("receiver accepted %d messages, the ledger says %d", accepted, report.Acknowledged)
	}
	if repeats < report.Repeats || repeats > report.Repeats+report.LostAnswers {
		t.Errorf("receiver saw %d repeats, the ledger says %d and %d lost answers", repeats, report.Repeats, report.LostAnswers)
	}
	var sum int64
	for _, l := range report.Table() {
		sum += l.Count
	}
	if sum != report.Sendings || report.Strangers == 0 || orders.Load() == 0 || shown.Load() == 0 {
		t.Errorf("table has %d sendings; %d orders, %d progress; %s", sum, orders.Load(), shown.Load(), report)
	}
}

// A receiver that believes everything is found out.
func TestGullibleReceiverIsFoundOut(t *testing.T) {
	t.Parallel()
	p := wechat.New(wechat.Options{Speed: 1e6, Transport: answering(func(*http.Request) (int, string) { return 200, "" })})
	defer p.Close()
	m := merchantAt(t, "http://shop/wechatpay/shop")
	want := 0
	for _, f := range []wechat.Fault{wechat.Probe, wechat.Forged, wechat.Stale, wechat.Unsigned, wechat.Junk} {
		_, err := p.Send(t.Context(), m.Message(wechat.Payment, wechat.NewOrder(1)), wechat.Plan{Fault: f})
		if err != nil {
			t.Fatal(err)
		}
		want++
	}
	if got := len(p.Ledger().Report().Unexpected()); got != want {
		t.Errorf("%d unexpected lines, want %d: %s", got, want, p.Ledger().Report())
	}
}

func TestReportText(t *testing.T) {
	t.Parallel()
	p := wechat.New(wechat.Options{Speed: 1e6, Stories: 2, Transport: answering(func(r *http.Request) (int, string) {
		if r.URL.Path == "/down" {
			return 503, ""
		}
		return 204, ""
	})})
	defer p.Close()
	shop, down := merchantAt(t, "http://shop/up"), merchantAt(t, "http://shop/down")
	var last *wechat.Message
	for _, c := range []struct {
		m    *wechat.Message
		plan wechat.Plan
	}{
		{shop.Message(wechat.Payment, wechat.NewOrder(1)), wechat.Plan{Copies: 1}},
		{shop.Message(wechat.Refund, wechat.NewOrder(1)), wechat.Plan{}},
		{shop.Message(wechat.Payment, wechat.NewOrder(1)), wechat.Plan{Fault: wechat.LostAnswer}},
		{shop.Message(wechat.Payment, wechat.NewOrder(1)), wechat.Plan{Fault: wechat.Forged}},
		{down.Message(wechat.Payment, wechat.NewOrder(1)), wechat.Plan{Fault: wechat.Probe, Times: 2}},
	} {
		if _, err := p.Send(t.Context(), c.m, c.plan); err != nil {
			t.Fatal(err)
		}
		last = c.m
	}
	golden(t, "ledger.txt", p.Ledger().Report().String())
	if latest := p.Ledger().Latest(9); len(latest) != 2 || latest[0].ID != last.ID || latest[0].State != wechat.GivenUp {
		t.Errorf("latest %+v, want the last two messages", latest)
	}
}

// Nobody announces an order that only a forger knows of.
func TestStrangersHaveNoOrders(t *testing.T) {
	t.Parallel()
	p := wechat.New(wechat.Options{Transport: answering(func(*http.Request) (int, string) { return 401, "" })})
	r, err := p.Run(t.Context(), wechat.Mix{
		Merchants: []*wechat.Merchant{merchantAt(t, "http://shop/x")}, Kinds: map[wechat.Kind]float64{wechat.Payment: 1},
		Rate: 200, For: 50 * time.Millisecond, Shares: wechat.Shares{Faults: map[wechat.Fault]float64{wechat.Forged: 1}},
		Before: func(context.Context, *wechat.Merchant, wechat.Order) error { return errors.New("announced") },
	})
	if err != nil || r.Strangers == 0 || r.Messages != 0 || len(r.Unexpected()) != 0 {
		t.Errorf("%v: %s", err, r)
	}
}

func TestMixEnds(t *testing.T) {
	t.Parallel()
	m := merchantAt(t, "http://shop/x")
	fine := answering(func(*http.Request) (int, string) {
		return 200, "<xml><return_code>SUCCESS</return_code></xml>"
	})
	mix := wechat.Mix{Merchants: []*wechat.Merchant{m}, Kinds: map[wechat.Kind]float64{wechat.Payment: 1}, Rate: 500}

	t.Run("by Stop", func(t *testing.T) {
		t.Parallel()
		p := wechat.New(wechat.Options{Transport: fine})
		stop := make(chan struct{})
		mix := mix
		mix.Stop = stop
		mix.Before = func(context.Context, *wechat.Merchant, wechat.Order) error {
			select {
			case <-stop:
			default:
				close(stop)
			}
			return nil
		}
		if r, err := p.Run(t.Context(), mix); err != nil || r.Pending != 0 || r.Messages == 0 {
			t.Errorf("%v: %s", err, r)
		}
	})
	t.Run("by a hook's error", func(t *testing.T) {
		t.Parallel()
		p := wechat.New(wechat.Options{Transport: fine})
		broken, mix := errors.New("no database"), mix
		mix.Before = func(context.Context, *wechat.Merchant, wechat.Order) error { return broken }
		if r, err := p.Run(t.Context(), mix); !errors.Is(err, broken) || r.Messages != 0 {
			t.Errorf("%v: %s", err, r)
		}
	})
	t.Run("by its context", func(t *testing.T) {
		t.Parallel()
		p := wechat.New(wechat.Options{Transport: fine})
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := p.Run(ctx, mix); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
	t.Run("before it begins", func(t *testing.T) {
		t.Parallel()
		if _, err := wechat.New(wechat.Options{}).Run(t.Context(), wechat.Mix{}); err == nil {
			t.Error("a mix of nothing")
		}
	})
}

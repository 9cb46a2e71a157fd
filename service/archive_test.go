package main

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

// TestResolve ends a payment of a wrong amount by a person's word, beside the
// running service.
func TestResolve(t *testing.T) {
	t.Parallel()
	for decision, state := range map[string]string{"--accept": "paid", "--reject": "expected"} {
		t.Run(decision, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, nil)
			config := writeConfig(t, w.config)
			if code, out, _ := invoke(t.Context(), "resolve", "-c", config); code != exitOK || !strings.Contains(out, "Nothing is outstanding") {
				t.Errorf("exit %d: %s", code, out)
			}
			order := wechat.NewOrder(1288)
			w.register(t, order.OutTradeNo, 1288)
			message := w.wechat.Message(wechat.Payment, order)
			if status, _ := w.post(t, message.Sign(wechat.WrongAmount, time.Now())); status != http.StatusNoContent {
				t.Fatalf("quarantined: %d", status)
			}
			_, list, _ := invoke(t.Context(), "resolve", "-c", config)
			for _, shown := range []string{order.OutTradeNo, "amount_mismatch", "CNY 12.89", "decide with --accept or --reject"} {
				if !strings.Contains(list, shown) {
					t.Errorf("the list does not show %q:\n%s", shown, list)
				}
			}
			id := strings.Fields(strings.Split(list, "\n")[1])[0]
			code, out, errs := invoke(t.Context(), "resolve", id, decision, "--reason", "asked WeChat Pay", "--by", "ann", "-c", config)
			if code != exitOK {
				t.Fatalf("exit %d: %s%s", code, out, errs)
			}
			if _, seen := w.get(t, "/merchants/shop/orders/"+order.OutTradeNo); !strings.Contains(seen, `"state":"`+state+`"`) {
				t.Errorf("after %s: %s", decision, seen)
			}
			if code, _, errs := invoke(t.Context(), "resolve", id, decision, "--reason", "again", "-c", config); code != exitFailed || !strings.Contains(errs, "nothing is outstanding") {
				t.Errorf("resolved twice: exit %d: %s", code, errs)
			}
		})
	}
}

// TestReplay runs stored callbacks through today's keys, by each id they have.
func TestReplay(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	order := wechat.NewOrder(1288)
	for kind, id := range map[wechat.Kind]string{wechat.Payment: order.OutTradeNo, wechat.PaymentHMAC: order.TransactionID} {
		o := order
		if kind.V2() {
			o = wechat.NewOrder(1288)
			id = o.TransactionID
		}
		w.post(t, w.wechat.Message(kind, o).Sign(wechat.None, time.Now()))
		code, out, errs := invoke(t.Context(), "replay", id, "-c", writeConfig(t, w.config))
		if code != exitOK || !strings.Contains(out, "then: accepted") || !strings.Contains(out, "now:  verified: payment SUCCESS, out_trade_no "+o.OutTradeNo) {
			t.Errorf("%s: exit %d\n%s%s", kind, code, out, errs)
		}
		arrival := strings.Fields(out)[0]
		if _, again, _ := invoke(t.Context(), "replay", arrival, "-c", writeConfig(t, w.config)); again != out {
			t.Errorf("by its arrival id %s:\n%s", arrival, again)
		}
	}
	w.post(t, w.wechat.Message(wechat.Payment, wechat.NewOrder(1)).Sign(wechat.Stale, time.Now()))
	if code, _, errs := invoke(t.Context(), "replay", "nobody", "-c", writeConfig(t, w.config)); code != exitFailed || !strings.Contains(errs, "nothing is stored") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

package wechat_test

import (
	"testing"

	"wxnotify/service/simulator/wechat"
)

// Messages signed ahead reach each receiver whole, and the next one too.
func TestSignAhead(t *testing.T) {
	t.Parallel()
	r := newReceiver(t)
	o := wechat.LoadOptions{Merchant: r.merchant, Count: 20, Senders: 4, Copies: 1}
	ahead, err := wechat.SignAhead(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	for round := range int64(2) {
		report, err := wechat.Load(t.Context(), wechat.LoadOptions{Merchant: r.merchant, Senders: 4, Copies: 1, Ahead: ahead})
		if err != nil {
			t.Fatal(err)
		}
		accepted, repeats := r.counts()
		if accepted != 20 || repeats != 20+40*round || report.Sendings != 40 {
			t.Errorf("round %d: accepted %d and %d again, report %+v", round, accepted, repeats, report)
		}
		for outcome, n := range report.Outcomes {
			if l := report.Latencies[outcome]; !outcome.Acknowledged || n == 0 || l.P50 <= 0 || l.P50 > l.P99 || l.P99 > l.Max {
				t.Errorf("round %d: %s: %d, %+v", round, outcome, n, l)
			}
		}
	}
	for _, wrong := range []wechat.LoadOptions{
		{Merchant: r.merchant, Ahead: ahead}, // without the copies
		{Ahead: ahead, Copies: 1},
	} {
		if _, err := wechat.Load(t.Context(), wrong); err == nil {
			t.Errorf("no error for %+v", wrong)
		}
	}
	if _, err := wechat.SignAhead(t.Context(), wechat.LoadOptions{Merchant: r.merchant, For: 1}); err == nil {
		t.Error("signed for a time")
	}
}

package telemetry_test

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// everything makes w say all that it can say: outcomes, reasons, gauges.
func everything(t *testing.T, w *watched) {
	t.Helper()
	serve := func(of world, env callback.Envelope) {
		h := w.HTTP(httpAccept{w.chain(of), env})
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/wechatpay/shop", strings.NewReader("x")))
	}
	refunded := payment()
	refunded.EventType, refunded.RefundID, refunded.OutRefundNo = "REFUND.SUCCESS", "50000000382019052709732678859", "R1"
	serve(world{opens(payment()), accepts(callback.Commit{Trail: callback.Trail{Arrival: 1}, Event: "evt_1"})}, envelopeV3())
	serve(world{opens(refunded), accepts(callback.Commit{Trail: callback.Trail{Arrival: 2}, Duplicate: true})}, envelopeV3())
	serve(world{opens(paymentV2()), accepts(callback.Commit{Trail: callback.Trail{Spooled: true}})}, envelopeV2())
	for _, reason := range callback.Reasons() {
		for _, class := range reason.Classes() {
			serve(failing(reason, class), envelopeV3())
		}
	}
	for range 100 { // until strangers are held back, and then heard again
		serve(failing(callback.ReasonUnsigned, callback.Noise), envelopeV3())
	}
	deadline := time.Now().Add(5 * time.Second)
	for before := len(w.handled(t)); len(w.handled(t)) == before; {
		if time.Now().After(deadline) {
			t.Fatal("strangers are never heard again")
		}
		serve(failing(callback.ReasonUnsigned, callback.Noise), envelopeV3())
	}
	_ = telemetry.Pages(w.Telemetry, "dingtalk", func(context.Context, string) error { return nil })
	w.WatchIncidents(func() (told, untold int64) { return 1, 0 })
	_, _, end := w.Commit(t.Context(), 3, time.Millisecond)
	end(nil)
	sampled := make(chan struct{}, 3)
	w.Watch(t.Context(), ledger{
		snapshot: func(context.Context) (callback.Snapshot, error) {
			defer func() { sampled <- struct{}{} }()
			return aSnapshot(), nil
		},
		local: func() callback.Local {
			defer func() { sampled <- struct{}{} }()
			return callback.Local{SpoolUsed: 1, DiskFree: 2}
		},
	}, keyring(func() []callback.KeyState {
		defer func() { sampled <- struct{}{} }()
		return someKeys()
	}))
	for range 3 {
		<-sampled
	}
	for w.collect(t)[telemetry.KeyUsed] == nil || w.collect(t)[telemetry.SpoolUsed] == nil || w.collect(t)[telemetry.StoreRows] == nil {
		if time.Now().After(deadline) {
			t.Fatal("sampled numbers never arrive")
		}
	}
}

package pager_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/pager"
)

// TestWebhookSignature checks as a receiver would who has read the documentation
// only: HMAC-SHA256 over the timestamp, a dot and the body, in hex.
func TestWebhookSignature(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		got := &capture{}
		h := pager.Webhook{URL: "https://sms.example/in?key=k", Secret: "hook-secret", Client: &http.Client{Transport: inProcess{got}}}
		for _, m := range []string{"opened", "digest", "foreign"} {
			if err := h.Send(t.Context(), samples()[m]); err != nil {
				t.Fatal(err)
			}
			mac := hmac.New(sha256.New, []byte("hook-secret"))
			fmt.Fprintf(mac, "%s.%s", got.header.Get("Wxnotify-Timestamp"), got.body)
			if want := hex.EncodeToString(mac.Sum(nil)); got.header.Get("Wxnotify-Signature") != want {
				t.Errorf("%s: signature %q, want %q", m, got.header.Get("Wxnotify-Signature"), want)
			}
			if stamp := got.header.Get("Wxnotify-Timestamp"); stamp != fmt.Sprint(time.Now().Unix()) {
				t.Errorf("%s: timestamp %q", m, stamp)
			}
			time.Sleep(time.Hour)
		}
		h.Secret = ""
		if err := h.Send(t.Context(), samples()["drill"]); err != nil || got.header.Get("Wxnotify-Signature") != "" {
			t.Errorf("unsigned: %v, %q", err, got.header.Get("Wxnotify-Signature"))
		}
	})
}

// TestWebhookVector: worked out by somebody else, for those who write a receiver.
//
//	printf '1795373530.{"id":"1"}' | openssl dgst -sha256 -hmac hook-secret -hex
func TestWebhookVector(t *testing.T) {
	t.Parallel()
	mac := hmac.New(sha256.New, []byte("hook-secret"))
	fmt.Fprint(mac, `1795373530.{"id":"1"}`)
	if got := hex.EncodeToString(mac.Sum(nil)); got != "1b3c57b176be2f78834905eb35bf4f744d83dc40c2899bdee57cdafc03aaa0b1" {
		t.Errorf("%s", got)
	}
}

// TestWebhookStatus: 2xx is taken, anything else is not.
func TestWebhookStatus(t *testing.T) {
	t.Parallel()
	for status, taken := range map[int]bool{200: true, 202: true, 204: true, 301: false, 307: false, 400: false, 401: false, 404: false, 429: false, 500: false, 503: false} {
		asked := 0
		h := pager.Webhook{URL: "https://sms.example/in", Client: &http.Client{Transport: inProcess{http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			asked++
			w.Header().Set("Location", "https://elsewhere.example/")
			w.WriteHeader(status)
		})}}}
		if err := h.Send(t.Context(), samples()["opened"]); (err == nil) != taken || asked != 1 {
			t.Errorf("%d: error %v, asked %d times", status, err, asked)
		}
	}
}

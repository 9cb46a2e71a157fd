package merchant_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"wxnotify/service/simulator/merchant"
)

// private is the order interface of a service, as far as a merchant sees it.
type private struct {
	mu     sync.Mutex
	orders map[string]map[string]any
}

func (p *private) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer secret" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.PathValue("merchant") != "shop" {
		http.NotFound(w, r)
		return
	}
	known := p.orders[r.PathValue("order")]
	if r.Method == http.MethodGet {
		if known == nil {
			http.NotFound(w, r)
			return
		}
		known["state"], known["transaction_id"], known["refunded"] = "paid", "4200", 34
		_ = json.NewEncoder(w).Encode(known)
		return
	}
	body, _ := io.ReadAll(r.Body)
	var o map[string]any
	if json.Unmarshal(body, &o) != nil || len(o) != 2 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if known != nil && known["amount"] != o["amount"] {
		w.WriteHeader(http.StatusConflict)
		return
	}
	p.orders[r.PathValue("order")] = o
	w.WriteHeader(http.StatusNoContent)
}

func newBackend(t *testing.T) *merchant.Backend {
	t.Helper()
	p := &private{orders: map[string]map[string]any{}}
	mux := http.NewServeMux()
	mux.Handle("/merchants/{merchant}/orders/{order}", p)
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return &merchant.Backend{Base: server.URL, Merchant: "shop", Token: "secret", Client: server.Client()}
}

func TestOrderIsPlacedAndReadBack(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	o, err := b.Place(t.Context(), 1234)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.OutTradeNo) < 6 || len(o.OutTradeNo) > 32 {
		t.Errorf("out_trade_no %q: WeChat Pay allows 6 to 32 characters", o.OutTradeNo)
	}
	if err := b.Register(t.Context(), o); err != nil {
		t.Errorf("registering again: %v", err)
	}
	got, err := b.Lookup(t.Context(), o.OutTradeNo)
	if err != nil {
		t.Fatal(err)
	}
	want := merchant.Standing{State: "paid", Amount: 1234, Currency: "CNY", TransactionID: "4200", Refunded: 34}
	if got != want {
		t.Errorf("standing %+v, want %+v", got, want)
	}
}

func TestRefusalsAreTold(t *testing.T) {
	t.Parallel()
	b := newBackend(t)
	known := merchant.Order{OutTradeNo: "T 1/2", Amount: 1, Currency: "CNY"} // needs escaping
	if err := b.Register(t.Context(), known); err != nil {
		t.Fatal(err)
	}
	other := known
	other.Amount = 2
	if err := b.Register(t.Context(), other); !errors.Is(err, merchant.ErrConflict) {
		t.Errorf("another amount: %v, want ErrConflict", err)
	}
	if _, err := b.Lookup(t.Context(), "T2"); !errors.Is(err, merchant.ErrUnknown) {
		t.Errorf("unknown order: %v, want ErrUnknown", err)
	}
	stranger := *b
	stranger.Token = "wrong"
	if err := stranger.Register(t.Context(), known); err == nil || strings.Contains(err.Error(), "wrong") {
		t.Errorf("wrong token: %v, want an error that does not quote it", err)
	}
	b.Base = "http://127.0.0.1:1"
	if err := b.Register(t.Context(), known); err == nil {
		t.Error("no service, no error")
	}
}

package web_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/web"
)

type book struct {
	created bool
	err     error
	order   callback.Order
}

func (b *book) RegisterOrder(_ context.Context, o callback.Order) (bool, error) {
	b.order = o
	return b.created, b.err
}

func (b *book) Order(context.Context, string, string) (callback.Order, error) { return b.order, b.err }

func private(b *book, ready web.Readiness) http.Handler {
	return web.NewPrivate(web.PrivateOptions{
		Orders:    b,
		Ready:     func(context.Context) web.Readiness { return ready },
		Metrics:   http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "metrics\n") }),
		Merchants: []string{"shop"},
		Token:     "s3cret",
	})
}

func TestRegisterOrder(t *testing.T) {
	t.Parallel()
	const path, body = "/merchants/shop/orders/T2026-0001", `{"amount":1234,"currency":"CNY"}`
	cases := []struct {
		name, path, body, token string
		book                    book
		status                  int
		says                    string
	}{
		{"new", path, body, "s3cret", book{created: true}, 201, `"state":"expected"`},
		{"known", path, body, "s3cret", book{}, 200, `"amount":1234`},
		{"currency is CNY unless said", path, `{"amount":1}`, "s3cret", book{}, 200, `"currency":"CNY"`},
		{"another amount", path, body, "s3cret", book{err: callback.ErrOrderConflict}, 409, "another amount"},
		{"database down", path, body, "s3cret", book{err: errors.New("secret dsn")}, 503, "send it again"},
		{"no token", path, body, "", book{}, 401, "bearer token"},
		{"wrong token", path, body, "s3creT", book{}, 401, "bearer token"},
		{"unknown merchant", "/merchants/nobody/orders/T2026-0001", body, "s3cret", book{}, 404, "no such merchant"},
		{"short number", "/merchants/shop/orders/T1", body, "s3cret", book{}, 400, "out_trade_no: want"},
		{"no amount", path, `{}`, "s3cret", book{}, 400, "amount: want"},
		{"fraction", path, `{"amount":12.5}`, "s3cret", book{}, 400, "body: want"},
		{"unknown field", path, `{"amount":1,"amout":2}`, "s3cret", book{}, 400, "body: want"},
		{"currency", path, `{"amount":1,"currency":"yuan"}`, "s3cret", book{}, 400, "currency: want"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodPut, c.path, strings.NewReader(c.body))
			if c.token != "" {
				r.Header.Set("Authorization", "Bearer "+c.token)
			}
			got := serve(private(&c.book, web.Readiness{}), r)
			text := dump(t, got)
			if got.StatusCode != c.status || !strings.Contains(text, c.says) {
				t.Errorf("answered %q, want %d with %q", text, c.status, c.says)
			}
			if strings.Contains(text, "secret") {
				t.Errorf("an inner error came out: %q", text)
			}
		})
	}
}

func TestOrdersAreClosedWithoutAToken(t *testing.T) {
	t.Parallel()
	h := web.NewPrivate(web.PrivateOptions{Orders: &book{}, Metrics: http.NotFoundHandler(), Merchants: []string{"shop"}})
	r := httptest.NewRequest(http.MethodPut, "/merchants/shop/orders/T2026-0001", strings.NewReader(`{"amount":1}`))
	r.Header.Set("Authorization", "Bearer ")
	if got := serve(h, r); got.StatusCode != http.StatusForbidden {
		t.Errorf("status %d", got.StatusCode)
	}
}

func TestLookAtOrder(t *testing.T) {
	t.Parallel()
	paid := callback.Order{
		Merchant: "shop", OutTradeNo: "T2026-0001", Amount: callback.Money{Minor: 5, Currency: "CNY"},
		State: callback.OrderPaid, TransactionID: "4200", PaidAt: time.Unix(1, 0).UTC(),
	}
	cases := map[string]struct {
		book   book
		status int
		says   string
	}{
		"paid":    {book{order: paid}, 200, `"state":"paid","transaction_id":"4200","paid_at":"1970-01-01T00:00:01Z"`},
		"unknown": {book{err: callback.ErrNotFound}, 404, "no such order"},
		"down":    {book{err: errors.New("x")}, 503, "ask again"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest(http.MethodGet, "/merchants/shop/orders/T2026-0001", nil)
			r.Header.Set("Authorization", "Bearer s3cret")
			got := serve(private(&c.book, web.Readiness{}), r)
			if text := dump(t, got); got.StatusCode != c.status || !strings.Contains(text, c.says) {
				t.Errorf("answered %q, want %d with %q", text, c.status, c.says)
			}
		})
	}
}

func TestHealth(t *testing.T) {
	t.Parallel()
	degraded := web.Readiness{Ready: true, Degraded: map[string]string{"database": "unavailable"}}
	cases := []struct {
		path   string
		ready  web.Readiness
		status int
		says   string
	}{
		{"/healthz", web.Readiness{}, 200, `"alive":true`},
		{"/readyz", web.Readiness{Ready: true}, 200, `{"ready":true}`},
		{"/readyz", degraded, 200, `"database":"unavailable"`},
		{"/readyz", web.Readiness{}, 503, `"ready":false`},
		{"/metrics", web.Readiness{}, 200, "metrics"},
		{"/wechatpay/shop", web.Readiness{}, 404, "Not Found"},
	}
	for _, c := range cases {
		t.Run(c.path, func(t *testing.T) {
			t.Parallel()
			got := serve(private(&book{}, c.ready), httptest.NewRequest(http.MethodGet, c.path, nil))
			if text := dump(t, got); got.StatusCode != c.status || !strings.Contains(text, c.says) {
				t.Errorf("answered %q, want %d with %q", text, c.status, c.says)
			}
		})
	}
}

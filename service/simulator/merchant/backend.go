// Package merchant is a stand-in for a merchant's own back end: it makes orders
// (商户订单), announces them to the service before they are paid, and asks what
// became of them. It speaks plain HTTP and knows nothing of WeChat Pay.
package merchant

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// Backend is one merchant's system.
type Backend struct {
	Base     string       // of the service's private listener, such as http://127.0.0.1:9090
	Merchant string       // the merchant's name there
	Token    string       // bearer token
	Client   *http.Client // nil: one with a 5 s limit
}

// Order is what the merchant expects to be paid.
type Order struct {
	OutTradeNo string `json:"-"` // 商户订单号
	Amount     int64  `json:"amount"`
	Currency   string `json:"currency"` // ISO 4217
}

// Standing is what the service knows of an order. Amounts are in minor units.
type Standing struct {
	State         string `json:"state"`
	Amount        int64  `json:"amount"`
	Currency      string `json:"currency"`
	TransactionID string `json:"transaction_id"` // empty until paid
	Refunded      int64  `json:"refunded"`
}

// What can be tested for in an error of a Backend.
var (
	ErrConflict = errors.New("the order is known with another amount")
	ErrUnknown  = errors.New("no such order or merchant")
)

// Place makes an order of amount 分 (CNY) and announces it.
func (b *Backend) Place(ctx context.Context, amount int64) (Order, error) {
	o := Order{OutTradeNo: "M" + time.Now().UTC().Format("20060102") + rand.Text()[:16], Amount: amount, Currency: "CNY"}
	return o, b.Register(ctx, o)
}

// Register announces an order. Doing so twice is harmless.
func (b *Backend) Register(ctx context.Context, o Order) error {
	body, err := json.Marshal(o)
	if err != nil {
		return fmt.Errorf("register order: %w", err)
	}
	if _, err := b.call(ctx, http.MethodPut, o.OutTradeNo, body); err != nil {
		return fmt.Errorf("register order: %w", err)
	}
	return nil
}

// Lookup asks what became of an order.
func (b *Backend) Lookup(ctx context.Context, outTradeNo string) (Standing, error) {
	body, err := b.call(ctx, http.MethodGet, outTradeNo, nil)
	if err != nil {
		return Standing{}, fmt.Errorf("look up order: %w", err)
	}
	var s Standing
	if err := json.Unmarshal(body, &s); err != nil {
		return Standing{}, errors.New("look up order: the answer is no standing")
	}
	return s, nil
}

// call makes one request about an order and returns the answer of a success.
func (b *Backend) call(ctx context.Context, method, outTradeNo string, body []byte) ([]byte, error) {
	to, err := url.JoinPath(b.Base, "merchants", url.PathEscape(b.Merchant), "orders", url.PathEscape(outTradeNo))
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequestWithContext(ctx, method, to, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+b.Token)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := cmp.Or(b.Client, &http.Client{Timeout: 5 * time.Second}).Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	switch {
	case err != nil:
		return nil, err
	case res.StatusCode == http.StatusConflict:
		return nil, ErrConflict
	case res.StatusCode == http.StatusNotFound:
		return nil, ErrUnknown
	case res.StatusCode/100 != 2:
		return nil, fmt.Errorf("the service answered %s", res.Status)
	}
	return answer, nil
}

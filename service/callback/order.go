package callback

import (
	"errors"
	"time"
)

// ErrOrderConflict says that an order is already known with another amount.
var ErrOrderConflict = errors.New("order is already known with another amount or currency")

// ErrNotFound says that the store has nothing under that name.
var ErrNotFound = errors.New("not found")

// Order is a merchant's order (商户订单) as far as callbacks tell of it.
type Order struct {
	Merchant      string
	OutTradeNo    string
	Amount        Money
	State         OrderState
	TransactionID string
	Refunded      int64 // minor units returned so far
	Registered    bool  // known ahead, by the merchant's own word
	PaidAt        time.Time
	UpdatedAt     time.Time
}

// OrderState is where an order stands. States only move forward, in this order.
type OrderState string

// The states of an order.
const (
	OrderExpected       OrderState = "expected"
	OrderPaid           OrderState = "paid"
	OrderPartlyRefunded OrderState = "partly_refunded"
	OrderRefunded       OrderState = "refunded"
)

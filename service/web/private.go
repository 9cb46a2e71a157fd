package web

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"time"

	"github.com/labstack/echo/v4"

	"wxnotify/service/callback"
)

// Orders is the book of orders known ahead.
type Orders interface {
	RegisterOrder(ctx context.Context, o callback.Order) (created bool, err error)
	Order(ctx context.Context, merchant, outTradeNo string) (callback.Order, error)
}

// Readiness is what /readyz tells. The service is ready while a callback can be
// answered and recorded somewhere durable; a dead database alone is a detail:
// we must stay in the path to answer 503 and to record that we did.
type Readiness struct {
	Ready    bool              `json:"ready"`
	Degraded map[string]string `json:"degraded,omitempty"`
}

// PrivateOptions configure the private door. Orders, Ready and Metrics are required.
type PrivateOptions struct {
	Orders  Orders
	Ready   func(ctx context.Context) Readiness
	Metrics http.Handler
	// Merchants are the configured names; orders of others are refused.
	Merchants []string
	// Token is the bearer token for orders. Empty: the order routes are closed.
	Token string
	// Alerts takes Alertmanager's posts, for who has AlertsToken. Without a token
	// the route is closed; nil: there is none.
	Alerts      echo.HandlerFunc
	AlertsToken string
}

// NewPrivate builds the private door. It belongs on loopback or an internal network.
func NewPrivate(o PrivateOptions) http.Handler {
	p := &desk{orders: o.Orders, merchants: map[string]bool{}}
	for _, m := range o.Merchants {
		p.merchants[m] = true
	}
	e := newEcho()
	e.HTTPErrorHandler = problemHandler
	e.GET("/healthz", func(c echo.Context) error { return c.JSON(http.StatusOK, map[string]bool{"alive": true}) })
	e.GET("/readyz", func(c echo.Context) error {
		r := o.Ready(c.Request().Context())
		if !r.Ready {
			return c.JSON(http.StatusServiceUnavailable, r)
		}
		return c.JSON(http.StatusOK, r)
	})
	e.GET("/metrics", echo.WrapHandler(o.Metrics))
	if o.Alerts == nil {
		e.POST("/alerts", func(echo.Context) error {
			return echo.NewHTTPError(http.StatusNotFound, "alerts are not taken: no channel is configured (pager.dingtalk, pager.email, pager.webhook), or pager.mode is embedded")
		})
	} else {
		e.POST("/alerts", o.Alerts, bearer(o.AlertsToken, "alerts are not taken: set pager.alertmanager.token (file or env)"))
	}
	orders := e.Group("/merchants/:merchant/orders", bearer(o.Token, "orders are closed: set private.token (file or env) to open them"), p.known)
	orders.PUT("/:out_trade_no", p.register)
	orders.GET("/:out_trade_no", p.look)
	return e
}

// desk serves orders.
type desk struct {
	orders    Orders
	merchants map[string]bool
}

// problem is an error answer in the form of RFC 9457.
type problem struct {
	Title  string `json:"title"`
	Status int    `json:"status"`
	Detail string `json:"detail"`
}

func problemHandler(err error, c echo.Context) {
	if c.Response().Committed {
		return
	}
	status, detail := http.StatusInternalServerError, "see the service's log"
	var he *echo.HTTPError
	if errors.As(err, &he) {
		status, detail = he.Code, fmt.Sprint(he.Message)
	}
	body, _ := json.Marshal(problem{http.StatusText(status), status, detail})
	_ = c.Blob(status, "application/problem+json", append(body, '\n'))
}

// bearer lets in who knows the token. Both sides are hashed first, so that the
// comparison takes the same time for every length.
// bearer lets in who has the token; closed says why nobody has one.
func bearer(token, closed string) echo.MiddlewareFunc {
	want := sha256.Sum256([]byte("Bearer " + token))
	return func(next echo.HandlerFunc) echo.HandlerFunc {
		return func(c echo.Context) error {
			if token == "" {
				return echo.NewHTTPError(http.StatusForbidden, closed)
			}
			got := sha256.Sum256([]byte(c.Request().Header.Get("Authorization")))
			if subtle.ConstantTimeCompare(got[:], want[:]) != 1 {
				c.Response().Header().Set("WWW-Authenticate", `Bearer realm="wxnotify"`)
				return echo.NewHTTPError(http.StatusUnauthorized, "bearer token missing or wrong")
			}
			return next(c)
		}
	}
}

func (p *desk) known(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !p.merchants[c.Param("merchant")] {
			return echo.NewHTTPError(http.StatusNotFound, "no such merchant is configured")
		}
		return next(c)
	}
}

// orderNumber is what WeChat Pay allows as out_trade_no (商户订单号).
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791856
var orderNumber = regexp.MustCompile(`^[0-9A-Za-z_\-|*]{6,32}$`)

var currencyCode = regexp.MustCompile(`^[A-Z]{3}$`)

// register makes an order known ahead: PUT with {"amount":1234,"currency":"CNY"},
// the amount in the currency's minor unit. 201 when new, 200 when it was known
// with the same amount, 409 when with another.
func (p *desk) register(c echo.Context) error {
	o, err := readOrder(c)
	if err != nil {
		return echo.NewHTTPError(http.StatusBadRequest, err.Error())
	}
	created, err := p.orders.RegisterOrder(c.Request().Context(), o)
	switch {
	case errors.Is(err, callback.ErrOrderConflict):
		return echo.NewHTTPError(http.StatusConflict, callback.ErrOrderConflict.Error())
	case err != nil:
		return echo.NewHTTPError(http.StatusServiceUnavailable, "the order could not be stored; send it again")
	case created:
		return c.JSON(http.StatusCreated, orderView(o))
	}
	return c.JSON(http.StatusOK, orderView(o))
}

func readOrder(c echo.Context) (callback.Order, error) {
	body := struct {
		Amount   int64  `json:"amount"`
		Currency string `json:"currency"`
	}{Currency: "CNY"}
	d := json.NewDecoder(io.LimitReader(c.Request().Body, 4<<10))
	d.DisallowUnknownFields()
	if err := d.Decode(&body); err != nil {
		return callback.Order{}, errors.New(`body: want {"amount":1234,"currency":"CNY"}, the amount in minor units (分)`)
	}
	number := c.Param("out_trade_no")
	switch {
	case !orderNumber.MatchString(number):
		return callback.Order{}, errors.New("out_trade_no: want 6 to 32 characters of 0-9 A-Z a-z _ - | *")
	case body.Amount <= 0:
		return callback.Order{}, errors.New("amount: want a positive whole number of minor units (分)")
	case !currencyCode.MatchString(body.Currency):
		return callback.Order{}, errors.New("currency: want three capital letters (ISO 4217), such as CNY")
	}
	return callback.Order{
		Merchant:   c.Param("merchant"),
		OutTradeNo: number,
		Amount:     callback.Money{Minor: body.Amount, Currency: body.Currency},
		State:      callback.OrderExpected,
		Registered: true,
	}, nil
}

// look shows an order as far as callbacks tell of it.
func (p *desk) look(c echo.Context) error {
	o, err := p.orders.Order(c.Request().Context(), c.Param("merchant"), c.Param("out_trade_no"))
	switch {
	case errors.Is(err, callback.ErrNotFound):
		return echo.NewHTTPError(http.StatusNotFound, "no such order")
	case err != nil:
		return echo.NewHTTPError(http.StatusServiceUnavailable, "the order could not be read; ask again")
	}
	return c.JSON(http.StatusOK, orderView(o))
}

type order struct {
	Merchant      string     `json:"merchant"`
	OutTradeNo    string     `json:"out_trade_no"`
	Amount        int64      `json:"amount"`
	Currency      string     `json:"currency"`
	State         string     `json:"state"`
	TransactionID string     `json:"transaction_id,omitempty"`
	Refunded      int64      `json:"refunded,omitempty"`
	PaidAt        *time.Time `json:"paid_at,omitempty"`
}

func orderView(o callback.Order) order {
	v := order{
		Merchant: o.Merchant, OutTradeNo: o.OutTradeNo,
		Amount: o.Amount.Minor, Currency: o.Amount.Currency,
		State: string(o.State), TransactionID: o.TransactionID, Refunded: o.Refunded,
	}
	if !o.PaidAt.IsZero() {
		v.PaidAt = &o.PaidAt
	}
	return v
}

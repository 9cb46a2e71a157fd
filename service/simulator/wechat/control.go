package wechat

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// usage is what GET / answers.
const usage = `simulated WeChat Pay (微信支付)

POST /payments  send payments; all members are optional
                {"merchant":"shop","kind":"payment","amount":1234,"out_trade_no":"T1","count":1,
                 "fault":"probe","times":1,"copies":0,"delay":"30s"}
                without "fault" the shares of /faults decide; before there are any, nothing goes wrong
POST /refunds   refund a payment sent from here
                {"out_trade_no":"T1","amount":1234,"kind":"refund","fault":"","times":1,"copies":0,"delay":"0s"}
POST /faults    how often things go wrong, as shares of 1, from now on: with these payments,
                and with the mix of --rate
                {"faults":{"probe":0.01,"lost_answer":0.02},"copies":0.1,"late":0.05}
GET  /ledger    counts, and the latest messages (?latest=20)
GET  /ledger?id=ID  the story of one message
GET  /healthz   200
`

// Control is an HTTP surface for people and scripts, which speaks JSON:
//
//   - POST /payments sends payments (or, by "kind", any other message) and
//     answers 202 with their numbers at once;
//   - POST /refunds refunds a payment that was sent from here: "kind" is refund,
//     refund_abnormal, refund_closed or refund_v2;
//   - POST /faults sets the [Shares] for what follows, also of a running [Mix];
//   - GET /ledger answers the [Report] and the latest entries, with ?id= one entry;
//   - GET /healthz answers 200; GET / explains all of this.
//
// Amounts are in 分, "delay" is a Go duration on WeChat Pay's clock. What is not
// understood is a 400 with {"error": …}. Sending goes on until ctx ends. The
// first merchant is the default.
func (p *Platform) Control(ctx context.Context, merchants ...*Merchant) http.Handler {
	c := &control{ctx: ctx, platform: p, merchants: merchants, orders: map[string]*Message{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, usage) })
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("GET /ledger", c.ledger)
	mux.HandleFunc("POST /payments", c.payments)
	mux.HandleFunc("POST /refunds", c.refunds)
	mux.HandleFunc("POST /faults", c.faults)
	return mux
}

type control struct {
	ctx       context.Context // of the sendings, which outlive the requests
	platform  *Platform
	merchants []*Merchant

	mu     sync.Mutex
	orders map[string]*Message // payments sent from here, by out_trade_no
	oldest []string
}

// remembered bounds the payments that can still be refunded, and the messages
// of one request.
const remembered = 10_000

// order is what a request asks to send.
type order struct {
	Merchant   string `json:"merchant"`
	Kind       Kind   `json:"kind"`
	Amount     int64  `json:"amount"`
	OutTradeNo string `json:"out_trade_no"`
	Count      int    `json:"count"`
	Fault      *Fault `json:"fault"`
	Times      int    `json:"times"`
	Copies     int    `json:"copies"`
	Delay      string `json:"delay"`
}

// sentOut names one message that is on its way.
type sentOut struct {
	ID            string `json:"id"`
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Fault         Fault  `json:"fault,omitempty"`
}

func (c *control) payments(w http.ResponseWriter, r *http.Request) {
	q := order{Kind: Payment, Amount: 1234, Count: 1}
	if !read(w, r, &q) {
		return
	}
	merchant := c.merchant(q.Merchant)
	if merchant == nil || q.Amount <= 0 || q.Count < 1 || q.Count > remembered || q.OutTradeNo != "" && q.Count > 1 {
		refuseRequest(w, errors.New("unknown merchant, or amount or count out of range"))
		return
	}
	messages := make([]*Message, q.Count)
	for i := range messages {
		o := NewOrder(q.Amount)
		if q.OutTradeNo != "" {
			o.OutTradeNo = q.OutTradeNo
		}
		messages[i] = merchant.Message(q.Kind, o)
	}
	c.dispatch(w, q, messages)
}

func (c *control) refunds(w http.ResponseWriter, r *http.Request) {
	q := order{Kind: Refund}
	if !read(w, r, &q) {
		return
	}
	c.mu.Lock()
	paid := c.orders[q.OutTradeNo]
	c.mu.Unlock()
	if paid == nil || !q.Kind.Refunded() || q.Amount < 0 || q.Amount > paid.Order.Total {
		refuseRequest(w, errors.New("no such payment sent from here, or not a refund of it"))
		return
	}
	o, fresh := paid.Order, NewOrder(paid.Order.Total)
	o.OutRefundNo, o.RefundID = fresh.OutRefundNo, fresh.RefundID // each refund has its own
	if q.Amount > 0 {
		o.Refund = q.Amount
	}
	c.dispatch(w, q, []*Message{paid.merchant.Message(q.Kind, o)})
}

// dispatch starts the sending of messages as q asks, all or none.
func (c *control) dispatch(w http.ResponseWriter, q order, messages []*Message) {
	plans := make([]Plan, len(messages))
	answer := make([]sentOut, len(messages))
	for i, m := range messages {
		plan, err := c.plan(q, m.Kind)
		if err != nil {
			refuseRequest(w, err)
			return
		}
		plans[i], answer[i] = plan, sentOut{m.ID, m.Order.OutTradeNo, m.Order.TransactionID, plan.Fault}
	}
	for i, m := range messages {
		c.remember(m)
		c.platform.sending.Go(func() { c.platform.deliver(c.ctx, m, plans[i]) })
	}
	reply(w, http.StatusAccepted, map[string]any{"messages": answer})
}

func (c *control) plan(q order, k Kind) (Plan, error) {
	if !k.Known() {
		return Plan{}, fmt.Errorf("no kind %q", k)
	}
	var plan Plan
	switch ordered := c.platform.shares.Load(); {
	case q.Fault != nil:
		plan.Fault = *q.Fault
	case ordered != nil:
		plan = ordered.plan(k)
	}
	plan.Times = q.Times
	if q.Copies > 0 {
		plan.Copies = q.Copies
	}
	if q.Delay != "" {
		d, err := time.ParseDuration(q.Delay)
		if err != nil {
			return Plan{}, errors.New("delay is not a duration")
		}
		plan.Delay = d
	}
	return plan, plan.check(k)
}

func (c *control) remember(m *Message) {
	if !m.Kind.Paid() {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.oldest) == remembered {
		delete(c.orders, c.oldest[0])
		c.oldest = c.oldest[1:]
	}
	c.orders[m.Order.OutTradeNo] = m
	c.oldest = append(c.oldest, m.Order.OutTradeNo)
}

func (c *control) faults(w http.ResponseWriter, r *http.Request) {
	var s Shares
	if !read(w, r, &s) {
		return
	}
	sum := 0.0
	for f, share := range s.Faults {
		if !f.Known() || share < 0 {
			refuseRequest(w, fmt.Errorf("no fault %q, or no share", f))
			return
		}
		sum += share
	}
	if sum > 1 || s.Copies < 0 || s.Copies > 1 || s.Late < 0 || s.Late > 1 {
		refuseRequest(w, errors.New("shares are between 0 and 1, all faults together too"))
		return
	}
	c.platform.shares.Store(&s)
	reply(w, http.StatusOK, s)
}

func (c *control) ledger(w http.ResponseWriter, r *http.Request) {
	l := c.platform.ledger
	if id := r.URL.Query().Get("id"); id != "" {
		if e, ok := l.Entry(id); ok {
			reply(w, http.StatusOK, e)
			return
		}
		reply(w, http.StatusNotFound, map[string]string{"error": "no such message, or too long ago"})
		return
	}
	latest, err := strconv.Atoi(r.URL.Query().Get("latest"))
	if err != nil {
		latest = 20
	}
	report := l.Report()
	reply(w, http.StatusOK, map[string]any{
		"report": report, "unexpected": report.Unexpected(), "latest": l.Latest(latest),
	})
}

// merchant finds an account by name; without one, the first.
func (c *control) merchant(name string) *Merchant {
	for _, m := range c.merchants {
		if name == "" || name == m.Name {
			return m
		}
	}
	return nil
}

func read(w http.ResponseWriter, r *http.Request, to any) bool {
	in := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10))
	in.DisallowUnknownFields()
	if err := in.Decode(to); err != nil && !errors.Is(err, io.EOF) {
		refuseRequest(w, err)
		return false
	}
	return true
}

func refuseRequest(w http.ResponseWriter, err error) {
	reply(w, http.StatusBadRequest, map[string]string{"error": err.Error()})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the other side has gone; nobody to tell
}

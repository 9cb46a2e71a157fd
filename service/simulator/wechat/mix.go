package wechat

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"
)

// Shares says how often things go wrong, each 0 to 1 of all messages.
type Shares struct {
	Faults map[Fault]float64 `json:"faults"`
	Copies float64           `json:"copies"` // sent twice at the same instant
	Late   float64           `json:"late"`   // held back for up to a minute of WeChat Pay's time
}

// plan draws how one message is sent. A fault that cannot happen to the kind
// does not.
func (s Shares) plan(k Kind) Plan {
	p := Plan{Fault: draw(s.Faults, 1)}
	if !p.Fault.Fits(k) {
		p.Fault = None
	}
	if rand.Float64() < s.Copies {
		p.Copies = 1
	}
	if rand.Float64() < s.Late {
		p.Delay = rand.N(time.Minute)
	}
	return p
}

// draw picks a key by its weight out of total; the zero key when none is hit.
func draw[K comparable](weights map[K]float64, total float64) (hit K) {
	at := rand.Float64() * total
	for k, w := range weights {
		if at -= w; at < 0 {
			return k
		}
	}
	return hit
}

// Mix is the traffic of a day: many messages of many kinds.
type Mix struct {
	// Shares hold until others are set at the platform's Control.
	Shares
	Merchants []*Merchant
	Kinds     map[Kind]float64 // weights
	Rate      float64          // messages per second, real
	For       time.Duration    // real; 0 means until Stop
	// Stop, when closed, ends the sending of new messages; what has been begun is
	// brought to its end.
	Stop <-chan struct{}
	// Before is called before a payment is sent for the first time, so that the
	// merchant can announce the order. Its error ends the mix.
	Before func(context.Context, *Merchant, Order) error
	// Progress is called about once a second.
	Progress func(Report)
}

// Everyday is a realistic mix for these merchants at rate messages a second:
// mostly payments, some refunds, a little of everything else, and more trouble
// than an ordinary day has.
func Everyday(rate float64, merchants ...*Merchant) Mix {
	return Mix{
		Merchants: merchants, Rate: rate,
		Kinds: map[Kind]float64{
			Payment: 60, PaymentMD5: 6, PaymentHMAC: 6, Refund: 8, RefundV2: 2, RefundAbnormal: 1, RefundClosed: 1,
			Combined: 4, ProfitSharing: 4, Transfer: 4, Echo: 1, Unknown: 2, Unclassifiable: 1,
		},
		Shares: Shares{Copies: 0.1, Late: 0.05, Faults: map[Fault]float64{
			Probe: 0.02, ProbeBadBase64: 0.01, LostAnswer: 0.03, Forged: 0.02, Junk: 0.02, Oversize: 0.002,
			Stale: 0.01, UnknownSerial: 0.01, SignatureType: 0.005, HeaderStripped: 0.01, Unsigned: 0.005,
			Rewritten: 0.01, WrongPath: 0.01, Undecryptable: 0.005, ForeignMerchant: 0.005, Malformed: 0.005,
			WrongAmount: 0.01, SlowBody: 0.005,
		}},
	}
}

// Run sends a mix and then drains: it returns when every message has been
// acknowledged or given up, or when ctx ends.
func (p *Platform) Run(ctx context.Context, mix Mix) (Report, error) {
	if mix.Rate <= 0 || len(mix.Merchants) == 0 || len(mix.Kinds) == 0 {
		return Report{}, errors.New("a mix needs merchants, kinds and a rate")
	}
	sending, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if mix.For > 0 {
		defer time.AfterFunc(mix.For, func() { stop(nil) }).Stop()
	}
	if mix.Progress != nil {
		defer p.watch(mix.Progress)()
	}
	s := shopper{mix: mix, ordered: &p.shares, open: map[*Merchant][]Order{}}
	var begun sync.WaitGroup
	start := time.Now()
	for n := 0; await(sending, mix.Stop, start.Add(time.Duration(float64(n)*float64(time.Second)/mix.Rate))); n++ {
		m, plan := s.next()
		begun.Go(func() {
			if mix.Before != nil && m.Kind.Paid() && !plan.Fault.Stranger() {
				if err := mix.Before(ctx, m.merchant, m.Order); err != nil {
					stop(err)
					return
				}
			}
			_, err := p.Send(ctx, m, plan)
			stopOn(stop, err)
		})
	}
	begun.Wait()
	err := context.Cause(sending)
	if ctx.Err() == nil && errors.Is(err, context.Canceled) {
		err = nil // it was the planned end
	}
	return p.ledger.Report(), err
}

func stopOn(stop context.CancelCauseFunc, err error) {
	if err != nil {
		stop(err)
	}
}

// await waits for a moment and reports whether it came before the end did.
func await(ctx context.Context, end <-chan struct{}, t time.Time) bool {
	timer := time.NewTimer(time.Until(t))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-end:
		return false
	case <-timer.C:
		return ctx.Err() == nil
	}
}

// watch reports progress until the returned function is called.
func (p *Platform) watch(progress func(Report)) (end func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				progress(p.ledger.Report())
			case <-done:
				return
			}
		}
	}()
	return func() { close(done); <-ended }
}

// shopper makes the messages of a mix. It refunds what was paid.
type shopper struct {
	mix     Mix
	ordered *atomic.Pointer[Shares] // instead of the mix's, once there are any
	open    map[*Merchant][]Order   // paid soundly and not refunded
}

// refundable bounds the orders that wait for their refund.
const refundable = 256

func (s *shopper) next() (*Message, Plan) {
	merchant := s.mix.Merchants[rand.IntN(len(s.mix.Merchants))]
	total := 0.0
	for _, w := range s.mix.Kinds {
		total += w
	}
	kind := draw(s.mix.Kinds, total)
	order := NewOrder(1 + rand.Int64N(50_000))
	if open := s.open[merchant]; kind.Refunded() {
		if len(open) == 0 {
			kind = Payment
		} else {
			order, s.open[merchant] = open[0], open[1:]
			order.Refund = 1 + rand.Int64N(order.Total)
		}
	}
	shares := s.mix.Shares
	if ordered := s.ordered.Load(); ordered != nil {
		shares = *ordered
	}
	plan := shares.plan(kind)
	if kind.Paid() && (plan.Fault == None || plan.Fault == LostAnswer) && len(s.open[merchant]) < refundable {
		s.open[merchant] = append(s.open[merchant], order)
	}
	return merchant.Message(kind, order), plan
}

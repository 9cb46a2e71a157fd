package wechat

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Platform is WeChat Pay as merchants see it. Make one with [New].
type Platform struct {
	speed   float64
	lines   [maxCopies]line
	ledger  *Ledger
	sending sync.WaitGroup
	shares  atomic.Pointer[Shares] // set at Control; nil: never
}

// maxCopies is how often one message can be sent at the same instant.
const maxCopies = 8

// Options are how a Platform behaves.
type Options struct {
	// Speed compresses the pauses between sendings: 60 makes a minute of WeChat
	// Pay's schedule last a second. Default 1. Header times stay real.
	Speed float64
	// AnswerLimit is how long an answer may take, in real time. Default 5 s.
	AnswerLimit time.Duration
	// SlowBody is how long a slow body takes, in real time. Default 1 s.
	SlowBody time.Duration
	// Stories is the number of messages whose story the ledger keeps. Default 1000.
	Stories int
	// Transport replaces the network, for tests of the platform itself.
	Transport http.RoundTripper
}

// New makes a platform. Close ends its connections.
func New(o Options) *Platform {
	p := &Platform{speed: cmp.Or(o.Speed, 1), ledger: newLedger(cmp.Or(o.Stories, 1000))}
	for i := range p.lines {
		// One line for each copy: copies never wait for one another.
		l := newLine(256)
		l.limit, l.drip = cmp.Or(o.AnswerLimit, l.limit), cmp.Or(o.SlowBody, l.drip)
		if o.Transport != nil {
			l.transport = o.Transport
		}
		p.lines[i] = l
	}
	return p
}

// Ledger is what the platform sent and was answered.
func (p *Platform) Ledger() *Ledger { return p.ledger }

// Close waits for the sendings under way and ends the connections. End the
// context of the sendings first.
func (p *Platform) Close() {
	p.sending.Wait()
	for _, l := range p.lines {
		l.close()
	}
}

// Plan is how one message is sent.
type Plan struct {
	Fault Fault
	// Times is how many sendings carry the fault; default 1.
	Times int
	// Copies is how many further copies of the first sending go out at the same
	// instant, each signed by itself and on its own connection; 0 to 7.
	Copies int
	// Delay holds the first sending back, on WeChat Pay's clock, so that later
	// messages overtake it.
	Delay time.Duration
}

func (p Plan) check(k Kind) error {
	switch {
	case !p.Fault.Known() || !p.Fault.Fits(k):
		return fmt.Errorf("fault %q does not happen to a %s", p.Fault, k)
	case p.Copies < 0 || p.Copies >= maxCopies:
		return fmt.Errorf("%d copies: up to %d are possible", p.Copies, maxCopies-1)
	}
	return nil
}

// Send sends one message and sends it again on the schedule until it is
// acknowledged, given up, or ctx ends; then it stays pending. A stranger's is
// sent once. The error is about the plan only.
func (p *Platform) Send(ctx context.Context, m *Message, plan Plan) (State, error) {
	if err := plan.check(m.Kind); err != nil {
		return "", err
	}
	p.sending.Add(1)
	defer p.sending.Done()
	return p.deliver(ctx, m, plan), nil
}

func (p *Platform) deliver(ctx context.Context, m *Message, plan Plan) State {
	if plan.Fault.Stranger() {
		p.ledger.begin(m, Strange)
		p.once(ctx, m, plan.Fault, First, plan.Copies, 0)
		return Strange
	}
	p.ledger.begin(m, Pending)
	if !p.pause(ctx, plan.Delay) {
		return Pending
	}
	nature, due, copies := First, time.Duration(0), plan.Copies
	for i := 0; ; i++ {
		fault := None
		if i < max(plan.Times, 1) {
			fault = plan.Fault
		}
		if p.once(ctx, m, fault, nature, copies, due) {
			p.ledger.end(m, Acknowledged)
			return Acknowledged
		}
		if ctx.Err() != nil {
			return Pending
		}
		if i == len(schedule) {
			p.ledger.end(m, GivenUp)
			return GivenUp
		}
		if !p.pause(ctx, schedule[i]) {
			return Pending
		}
		nature, due, copies = Resend, due+schedule[i], 0
	}
}

// once makes one sending and its copies, and reports whether any of them was
// acknowledged.
func (p *Platform) once(ctx context.Context, m *Message, f Fault, sound Nature, copies int, due time.Duration) bool {
	acknowledged := make(chan bool, copies+1)
	start := make(chan struct{})
	for i := range copies + 1 {
		nature := sound
		if i > 0 {
			nature = Copy
		}
		if f != None {
			nature = Nature(f)
		}
		sending := m.Sign(f, time.Now())
		go func() {
			<-start // all of them signed: nothing sets the copies apart
			at := time.Now()
			answer := p.lines[i].post(ctx, sending, f, m.Kind.V2())
			p.ledger.sent(m, Sent{At: at, Due: due, Nature: nature, Answer: answer})
			acknowledged <- answer.Acknowledged
		}()
	}
	close(start)
	one := false
	for range copies + 1 {
		one = <-acknowledged || one
	}
	return one
}

// pause waits for d of WeChat Pay's time and reports whether it passed.
func (p *Platform) pause(ctx context.Context, d time.Duration) bool {
	return await(ctx, nil, time.Now().Add(time.Duration(float64(d)/p.speed)))
}

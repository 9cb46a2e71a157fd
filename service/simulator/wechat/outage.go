package wechat

import (
	"cmp"
	"container/heap"
	"context"
	"errors"
	"net/http"
	"sync"
	"time"
)

// OutageKind is what an outage looks like from WeChat Pay.
type OutageKind string

// The kinds of outage.
const (
	// Down refuses connections: nothing is really sent while it lasts.
	Down OutageKind = "down"
	// Failing is a target that is there and fails, by itself or by
	// [OutageOptions.Switch]: everything is really sent.
	Failing OutageKind = "failing"
)

// OutageOptions describe an outage of the merchant's service and the payments
// around it. All durations are virtual: pauses take no time.
type OutageOptions struct {
	Merchant *Merchant
	For      time.Duration // how long it lasts
	Rate     float64       // payments per second, evenly spaced
	Kind     OutageKind    // default Down
	// LostAnswers is the share, 0 to 1, of the sendings during the outage that
	// reach the target while their answer does not reach WeChat Pay.
	LostAnswers float64
	// After is how long payments go on after the end. Default 5 minutes.
	After   time.Duration
	Senders int // concurrent sendings; default 64
	// Switch is called with true before the first payment and with false at the
	// end of the outage, or of the run, with no sending under way.
	Switch func(down bool)
	// Progress is called about twice a second of real time.
	Progress func(OutageProgress)
	// Transport replaces the network, for tests.
	Transport http.RoundTripper
}

// OutageProgress is where an outage stands.
type OutageProgress struct {
	Virtual        time.Duration // since its beginning
	Notifications  int64
	Unacknowledged int
	Oldest         time.Duration // age of the oldest unacknowledged notification
	Sent           int64         // really sent
}

// lookahead is the shortest pause before a re-send: whatever happens within it
// cannot depend on one another, so that it can be sent concurrently.
var lookahead = schedule[0]

// Outage plays an outage as a discrete-event simulation in virtual time:
// payments arrive at a steady rate during and after it, what is not
// acknowledged is sent again on the schedule, until everything is acknowledged
// or given up. Signatures and answers are real; only waiting is not. When ctx
// ends it returns what happened so far, and the context's error.
func Outage(ctx context.Context, o OutageOptions) (OutageReport, error) {
	o.Kind, o.Senders, o.After = cmp.Or(o.Kind, Down), cmp.Or(o.Senders, 64), cmp.Or(o.After, 5*time.Minute)
	if o.Merchant == nil || o.For <= 0 || o.Rate <= 0 || o.LostAnswers < 0 || o.LostAnswers > 1 {
		return OutageReport{}, errors.New("an outage needs a merchant, a length, a rate, and a share of lost answers between 0 and 1")
	}
	s := &outage{o: o, line: newLine(o.Senders), report: OutageReport{
		Kind: o.Kind, For: o.For, Rate: o.Rate, LostAnswers: o.LostAnswers, Outcomes: map[Outcome]int64{},
	}}
	s.line.transport = cmp.Or(o.Transport, s.line.transport)
	defer s.line.close()
	err := s.run(ctx)
	return s.finish(), err
}

type outage struct {
	o       OutageOptions
	line    line
	report  OutageReport
	now     time.Duration
	arrived int64     // payments so far
	waiting byDue     // not acknowledged
	seconds []int32   // sendings in each virtual second
	lost    float64   // fraction of a lost answer that is due
	shown   time.Time // last progress
	started time.Time
}

// parcel is a notification on its way.
type parcel struct {
	message *Message      // made when it is first really sent
	arrived time.Duration // first sending
	due     time.Duration // next sending
	tries   int           // sendings so far
	landed  bool          // the target has had it, though WeChat Pay may not know
	fault   Fault
	outcome Outcome
}

func (s *outage) run(ctx context.Context) error {
	s.started = time.Now()
	over := false
	end := func() {
		if !over && s.o.Switch != nil {
			s.o.Switch(false)
		}
		over = true
	}
	defer end() // a run that is cut short leaves nothing broken behind
	if s.o.Switch != nil {
		s.o.Switch(true)
	}
	for {
		next, more := s.peek()
		if !more {
			return nil
		}
		if next >= s.o.For {
			end()
		}
		until := next + lookahead
		if !over {
			until = min(until, s.o.For)
		}
		batch := s.take(until)
		s.send(ctx, batch, over)
		if err := ctx.Err(); err != nil {
			return err
		}
		for _, p := range batch {
			s.settle(p)
		}
		s.now = until
		s.progress()
	}
}

// arrival is when the n-th payment arrives.
func (s *outage) arrival(n int64) time.Duration {
	return time.Duration(float64(n) / s.o.Rate * float64(time.Second))
}

// peek is when the next sending is due, if there is one.
func (s *outage) peek() (time.Duration, bool) {
	next := s.arrival(s.arrived)
	paying := next < s.o.For+s.o.After
	if len(s.waiting) > 0 && (!paying || s.waiting[0].due < next) {
		return s.waiting[0].due, true
	}
	return next, paying
}

// take removes everything that is due before until.
func (s *outage) take(until time.Duration) []*parcel {
	var batch []*parcel
	for len(s.waiting) > 0 && s.waiting[0].due < until {
		batch = append(batch, heap.Pop(&s.waiting).(*parcel))
	}
	for at := s.arrival(s.arrived); at < min(until, s.o.For+s.o.After); at = s.arrival(s.arrived) {
		batch = append(batch, &parcel{arrived: at, due: at})
		s.arrived++
	}
	return batch
}

// send makes the sendings of a batch, the real ones concurrently.
func (s *outage) send(ctx context.Context, batch []*parcel, over bool) {
	work := make(chan *parcel)
	var senders sync.WaitGroup
	for range min(s.o.Senders, len(batch)) {
		senders.Go(func() {
			for p := range work {
				if ctx.Err() != nil {
					continue // nothing of this batch will be booked
				}
				p.outcome = s.line.post(ctx, p.message.Sign(p.fault, time.Now()), p.fault, false).Outcome
			}
		})
	}
	for _, p := range batch {
		if p.fault = None; !over && s.loses() {
			p.fault = LostAnswer
		} else if !over && s.o.Kind == Down {
			p.outcome = Outcome{Failure: NotConnected}
			continue
		}
		if p.message == nil {
			p.message = s.o.Merchant.Message(Payment, NewOrder(1234))
		}
		s.report.Sent++
		work <- p
	}
	close(work)
	senders.Wait()
}

// loses spreads the lost answers evenly over the sendings.
func (s *outage) loses() bool {
	s.lost += s.o.LostAnswers
	if s.lost < 1 {
		return false
	}
	s.lost--
	return true
}

// settle books what came of one sending.
func (s *outage) settle(p *parcel) {
	r := &s.report
	r.Sendings++
	r.Outcomes[p.outcome]++
	second := int(p.due / time.Second)
	for len(s.seconds) <= second {
		s.seconds = append(s.seconds, 0)
	}
	s.seconds[second]++
	p.tries++
	if p.landed && (p.outcome.Acknowledged || p.outcome.Failure == Unread) {
		r.Duplicates++
	}
	p.landed = p.landed || p.outcome.Failure == Unread
	age := p.due - p.arrived
	switch {
	case p.outcome.Acknowledged:
		r.Acknowledged++
		r.Oldest = max(r.Oldest, age)
		if p.arrived < s.o.For {
			r.Drain = max(r.Drain, p.due-s.o.For)
		}
		return
	case p.tries > len(schedule):
		r.GivenUp++
		r.Oldest = max(r.Oldest, age)
		return
	}
	p.due += schedule[p.tries-1]
	heap.Push(&s.waiting, p)
	r.Backlog = max(r.Backlog, len(s.waiting))
}

func (s *outage) progress() {
	if s.o.Progress == nil || time.Since(s.shown) < 500*time.Millisecond {
		return
	}
	s.shown = time.Now()
	oldest := s.now
	for _, p := range s.waiting {
		oldest = min(oldest, p.arrived)
	}
	s.o.Progress(OutageProgress{
		Virtual: s.now, Notifications: s.arrived, Unacknowledged: len(s.waiting), Oldest: s.now - oldest, Sent: s.report.Sent,
	})
}

func (s *outage) finish() OutageReport {
	r := s.report
	r.Notifications, r.Pending, r.Elapsed = s.arrived, s.arrived-r.Acknowledged-r.GivenUp, time.Since(s.started)
	for second, n := range s.seconds {
		if n > r.Peak {
			r.Peak, r.PeakAt = n, time.Duration(second)*time.Second
		}
	}
	return r
}

// byDue is a heap of parcels, the earliest first.
type byDue []*parcel

func (q byDue) Len() int           { return len(q) }
func (q byDue) Less(i, j int) bool { return q[i].due < q[j].due }
func (q byDue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *byDue) Push(p any)        { *q = append(*q, p.(*parcel)) }
func (q *byDue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}

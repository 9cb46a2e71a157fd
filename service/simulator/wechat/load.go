package wechat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// LoadOptions are a measurement. Give Count or For.
type LoadOptions struct {
	Merchant *Merchant
	Kind     Kind          // default Payment
	Senders  int           // concurrent messages; default 1
	Count    int           // messages
	For      time.Duration // how long to send
	// Rate is messages per second, whether answers come or not (open loop): then
	// latency counts from the moment a message was due, so that a receiver that
	// stalls cannot hide it. 0 sends as fast as answers come.
	Rate float64
	// Copies is how many further copies of each message go out at the same instant.
	Copies int
	// Presigned signs all messages before the clock starts; see [Ahead]. It needs
	// Count.
	Presigned bool
	// Ahead is messages that [SignAhead] has signed for these options.
	Ahead *Ahead
	// Transport replaces the network, for tests.
	Transport http.RoundTripper
}

// LoadReport is what a load did and saw.
type LoadReport struct {
	Messages, Sendings int64
	Elapsed            time.Duration
	Rate               float64 // sendings answered per second
	P50, P99, Max      time.Duration
	Outcomes           map[Outcome]int64
	Latencies          map[Outcome]Latency
}

// Latency is how long the answers of one kind took, from being sent: what was due
// may have waited for a sender before.
type Latency struct{ P50, P99, Max time.Duration }

// loadCopies bounds how often a load sends one message at the same instant.
const loadCopies = 16

// checked are the options with their defaults, if they make sense.
func (o LoadOptions) checked() (LoadOptions, error) {
	o.Kind, o.Senders = cmp.Or(o.Kind, Payment), max(o.Senders, 1)
	if o.Ahead != nil {
		o.Count = len(o.Ahead.sendings)
	}
	switch {
	case o.Merchant == nil:
		return o, errors.New("a load needs a merchant")
	case o.Count <= 0 && (o.For <= 0 || o.Presigned):
		return o, errors.New("a load needs a count, or unless presigned a time")
	case o.Copies < 0 || o.Copies >= loadCopies:
		return o, fmt.Errorf("%d copies: up to %d are possible", o.Copies, loadCopies-1)
	case o.Ahead != nil && len(o.Ahead.sendings[0]) != o.Copies+1:
		return o, fmt.Errorf("%d copies: signed ahead are %d", o.Copies, len(o.Ahead.sendings[0])-1)
	}
	return o, nil
}

// Load sends messages, each once, and measures the answers. When ctx ends it
// returns what was measured so far.
func Load(ctx context.Context, o LoadOptions) (LoadReport, error) {
	o, err := o.checked()
	if err != nil {
		return LoadReport{}, err
	}
	l := &load{o: o, outcomes: map[Outcome]*latencies{}}
	for range o.Copies + 1 {
		line := newLine(o.Senders)
		line.transport = cmp.Or(o.Transport, line.transport)
		l.lines = append(l.lines, line)
		defer line.close()
	}
	if o.Presigned && o.Ahead == nil {
		if l.o.Ahead, err = SignAhead(ctx, o); err != nil {
			return LoadReport{}, err
		}
	}
	return l.run(ctx), nil
}

type load struct {
	o     LoadOptions
	lines []line

	next     atomic.Int64
	messages atomic.Int64
	latency  latencies
	mu       sync.Mutex
	outcomes map[Outcome]*latencies
}

func (l *load) run(ctx context.Context) LoadReport {
	start := time.Now()
	var senders sync.WaitGroup
	for range l.o.Senders {
		senders.Go(func() {
			for l.one(ctx, start) {
			}
		})
	}
	senders.Wait()
	r := LoadReport{
		Messages: l.messages.Load(), Elapsed: time.Since(start),
		Outcomes: map[Outcome]int64{}, Latencies: map[Outcome]Latency{},
		Sendings: l.latency.count, P50: l.latency.quantile(0.5), P99: l.latency.quantile(0.99), Max: l.latency.max,
	}
	answered := int64(0)
	for o, some := range l.outcomes {
		r.Outcomes[o] = some.count
		r.Latencies[o] = Latency{some.quantile(0.5), some.quantile(0.99), some.max}
		if o.Status != 0 {
			answered += some.count
		}
	}
	r.Rate = float64(answered) / r.Elapsed.Seconds()
	return r
}

// one sends the next message and reports whether there was one.
func (l *load) one(ctx context.Context, start time.Time) bool {
	n := l.next.Add(1) - 1
	if l.o.Count > 0 && n >= int64(l.o.Count) {
		return false
	}
	var sendings []Sending
	if l.o.Ahead != nil {
		sendings = l.o.Ahead.sendings[n]
	} else {
		sendings = l.o.sign()
	}
	due := time.Now()
	if l.o.Rate > 0 {
		due = start.Add(time.Duration(float64(n) / l.o.Rate * float64(time.Second)))
		if !await(ctx, nil, due) {
			return false
		}
	}
	if ctx.Err() != nil || l.o.For > 0 && due.Sub(start) >= l.o.For {
		return false
	}
	l.messages.Add(1)
	var copies sync.WaitGroup
	for i, s := range sendings {
		copies.Go(func() {
			a := l.lines[i].post(ctx, s, None, l.o.Kind.V2())
			l.latency.add(time.Since(due))
			l.of(a.Outcome).add(a.Elapsed)
		})
	}
	copies.Wait()
	return true
}

// of are the latencies of one outcome.
func (l *load) of(o Outcome) *latencies {
	l.mu.Lock()
	defer l.mu.Unlock()
	some := l.outcomes[o]
	if some == nil {
		some = new(latencies)
		l.outcomes[o] = some
	}
	return some
}

// WriteTo writes the report for people.
func (r LoadReport) WriteTo(w io.Writer) (int64, error) {
	n, err := fmt.Fprintf(w, "messages %d, sendings %d in %s: %.0f answers/s\nlatency  p50 %s, p99 %s, max %s\nanswers  %s\n",
		r.Messages, r.Sendings, r.Elapsed.Round(time.Millisecond), r.Rate, r.P50, r.P99, r.Max, outcomes(r.Outcomes))
	return int64(n), err
}

// String is the report as WriteTo writes it.
func (r LoadReport) String() string { return text(r) }

// outcomes lists counts in a fixed order.
func outcomes(counts map[Outcome]int64) string {
	var parts []string
	for o, n := range counts {
		parts = append(parts, fmt.Sprintf("%s: %d", o, n))
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

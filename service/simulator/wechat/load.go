package wechat

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
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
	// Presigned signs all messages before the clock starts, so that making
	// signatures (which takes far longer than checking them) is not measured.
	// It needs Count.
	Presigned bool
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
}

// presignLimit keeps the oldest signature inside the 5 minutes that receivers
// accept, with time left for sending.
const presignLimit = 3 * time.Minute

// Load sends messages, each once, and measures the answers. When ctx ends it
// returns what was measured so far.
func Load(ctx context.Context, o LoadOptions) (LoadReport, error) {
	o.Kind, o.Senders = cmp.Or(o.Kind, Payment), max(o.Senders, 1)
	switch {
	case o.Merchant == nil:
		return LoadReport{}, errors.New("a load needs a merchant")
	case o.Count <= 0 && (o.For <= 0 || o.Presigned):
		return LoadReport{}, errors.New("a load needs a count, or unless presigned a time")
	case o.Copies < 0 || o.Copies >= maxCopies:
		return LoadReport{}, fmt.Errorf("%d copies: up to %d are possible", o.Copies, maxCopies-1)
	}
	l := &load{o: o, outcomes: map[Outcome]int64{}}
	for range o.Copies + 1 {
		line := newLine(o.Senders)
		line.transport = cmp.Or(o.Transport, line.transport)
		l.lines = append(l.lines, line)
		defer line.close()
	}
	if o.Presigned {
		if err := l.presign(ctx); err != nil {
			return LoadReport{}, err
		}
	}
	return l.run(ctx), nil
}

type load struct {
	o     LoadOptions
	lines []line
	ready [][]Sending // presigned messages

	next     atomic.Int64
	messages atomic.Int64
	latency  latencies
	mu       sync.Mutex
	outcomes map[Outcome]int64
}

func (l *load) sign() []Sending {
	m := l.o.Merchant.Message(l.o.Kind, NewOrder(1234))
	sendings := make([]Sending, l.o.Copies+1)
	for i := range sendings {
		sendings[i] = m.Sign(None, time.Now())
	}
	return sendings
}

func (l *load) presign(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, presignLimit)
	defer cancel()
	l.ready = make([][]Sending, l.o.Count)
	var signers sync.WaitGroup
	for first := range runtime.GOMAXPROCS(0) {
		signers.Go(func() {
			for i := first; i < l.o.Count && ctx.Err() == nil; i += runtime.GOMAXPROCS(0) {
				l.ready[i] = l.sign()
			}
		})
	}
	signers.Wait()
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("sign %d messages ahead: %w", l.o.Count, err)
	}
	return nil
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
		Messages: l.messages.Load(), Elapsed: time.Since(start), Outcomes: l.outcomes,
		Sendings: l.latency.count, P50: l.latency.quantile(0.5), P99: l.latency.quantile(0.99), Max: l.latency.max,
	}
	answered := int64(0)
	for o, n := range r.Outcomes {
		if o.Status != 0 {
			answered += n
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
	if l.ready != nil {
		sendings, l.ready[n] = l.ready[n], nil
	} else {
		sendings = l.sign()
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
			l.mu.Lock()
			defer l.mu.Unlock()
			l.outcomes[a.Outcome]++
		})
	}
	copies.Wait()
	return true
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

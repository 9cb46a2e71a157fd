package pager

import (
	"context"
	"time"

	"wxnotify/service/callback"
)

var drillKey = callback.IncidentKey{Rule: "drill"}

// practise owes every channel the day's drill.
func (p *Pager) practise(now time.Time) {
	if p.opts.Drill == nil || now.Before(p.drill) {
		return
	}
	p.drill = p.opts.Drill(now)
	for _, c := range p.couriers {
		c.owed[drillKey] = drillPage(now)
	}
}

func drillPage(now time.Time) Page {
	return Page{Incident: callback.Incident{IncidentKey: drillKey, Opened: now, Latest: now}, Occasion: Drill}
}

// Report is what became of a message on one channel.
type Report struct {
	Channel string
	Took    time.Duration
	Err     error
}

// Test sends a drill through every channel.
func Test(ctx context.Context, routes []Route) []Report {
	now := time.Now()
	return Deliver(ctx, routes, Message{Pages: []Page{drillPage(now)}, Written: now})
}

// Deliver sends a message through every channel at once, whatever their limits,
// one attempt each, and reports when all have ended.
func Deliver(ctx context.Context, routes []Route, m Message) []Report {
	reports := make([]Report, len(routes))
	done := make(chan struct{})
	for n, r := range routes {
		go func() {
			began := time.Now()
			err := newCourier(r).send(ctx, m)
			reports[n] = Report{r.Name, time.Since(began), err}
			done <- struct{}{}
		}()
	}
	for range routes {
		<-done
	}
	return reports
}

//go:build linux

package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"wxnotify/service/simulator/wechat"
)

// steadyRate is the fixed rate, per second, at which latencies are compared.
const steadyRate = 500

// steady compares latencies when there is time for everything: an open loop, so
// that a pause counts for all that was due in it.
func (l *laboratory) steady(p plan, at place, t *table) {
	l.Helper()
	run := func(s subject) float64 {
		r := l.measure(s, at, wechat.LoadOptions{Senders: crowd, Count: p.steady, Rate: steadyRate})
		fmt.Fprintf(os.Stderr, "%-10s %d/s, %-23s p50 %s, p99 %s\n", at.name, steadyRate, s, r.P50, r.P99)
		return r.P99.Seconds() * 1e3
	}
	with, without := run(on), run(off)
	t.add(fmt.Sprintf("p99 at %d/s, telemetry on ÷ off", steadyRate), at.name, atMost(1.1), "×", with/without)
	t.add(fmt.Sprintf("p99 at %d/s, telemetry on", steadyRate), at.name, goal{}, " ms", with)
}

// How a flood comes in: three times what the program takes, from so many senders
// that nearly all of it gets through to the program when it is due.
const (
	flooding     = 3
	floodSenders = 6000
)

// A program has recovered when this many callbacks in a row are accepted, each in
// this time.
const (
	wellInARow = 10
	wellWithin = 100 * time.Millisecond
)

// overload offers more than the program can take and looks at what it does with
// it, and how long it needs afterwards.
func (l *laboratory) overload(p plan, at place, capacity float64, t *table, o *overloads) {
	l.Helper()
	load := wechat.LoadOptions{Senders: floodSenders, Count: p.flood, Rate: flooding * capacity}
	l.signed(l.options(load))
	var recovery time.Duration
	r := l.during(on, at, func(*program) wechat.LoadReport {
		over := time.Now().Add(time.Duration(float64(p.flood) / load.Rate * float64(time.Second)))
		report := l.send(load)
		recovery = max(l.recovered().Sub(over), 0)
		return report
	})
	f := rush{engine: at.name, offered: load.Rate, capacity: capacity, reading: r, recovery: recovery}
	o.all = append(o.all, f)
	fmt.Fprintf(os.Stderr, "%s\n", strings.ReplaceAll(f.line(), "\t", "  "))
	accepted, shed := f.of(http.StatusNoContent), f.of(http.StatusServiceUnavailable)
	t.add("overload at 3× capacity: accepted per second ÷ capacity", at.name, atLeast(0.8), "×", float64(accepted.n)/r.Elapsed.Seconds()/capacity)
	if shed.n > 0 {
		t.add("overload at 3× capacity: p99 of the answers 503", at.name, atMost(50), " ms", shed.P99.Seconds()*1e3)
	}
	t.add("overload at 3× capacity: time to recover", at.name, atMost(2), " s", recovery.Seconds())
	t.add("overload at 3× capacity: peak memory", at.name, goal{}, " MiB", r.peak)
}

// recovered waits until the program is well again, and is when that began.
func (l *laboratory) recovered() time.Time {
	l.Helper()
	late := time.Now().Add(time.Minute)
	for began, well := time.Now(), 0; ; {
		report, err := wechat.Load(l.Context(), l.options(wechat.LoadOptions{Count: 1, Presigned: true}))
		switch {
		case err != nil:
			l.Fatal(err)
		case time.Now().After(late):
			l.Errorf("not well a minute after an overload: %s", report)
			return late
		case report.Outcomes[wechat.Outcome{Acknowledged: true, Status: http.StatusNoContent}] == 0 || report.Max > wellWithin:
			began, well = time.Now(), 0
		default:
			if well++; well == wellInARow {
				return began
			}
		}
	}
}

// rush is one overload.
type rush struct {
	reading
	engine            string
	offered, capacity float64 // per second
	recovery          time.Duration
}

// ended are the sendings with one status, 0 for none.
type ended struct {
	n int64
	wechat.Latency
}

func (f rush) of(status int) (a ended) {
	for outcome, n := range f.Outcomes {
		if outcome.Status == status {
			a.n += n
			a.P50, a.P99 = max(a.P50, f.Latencies[outcome].P50), max(a.P99, f.Latencies[outcome].P99)
			a.Max = max(a.Max, f.Latencies[outcome].Max)
		}
	}
	return a
}

func (f rush) line() string {
	ms := func(d time.Duration) string { return fmt.Sprintf("%.0f", d.Seconds()*1e3) }
	accepted, shed, none := f.of(http.StatusNoContent), f.of(http.StatusServiceUnavailable), f.of(0)
	var why []string
	for _, reason := range shedding {
		if n := f.failures[reason]; n > 0 {
			why = append(why, fmt.Sprintf("%s %.0f", reason, n))
		}
	}
	return fmt.Sprintf("%s\t%.0f\t%.0f\t%d\t%s / %s\t%d\t%s / %s\t%d\t%.0f\t%.2f\t%s", f.engine, f.offered, f.Rate,
		accepted.n, ms(accepted.P50), ms(accepted.P99), shed.n, ms(shed.P50), ms(shed.P99), none.n, f.peak, f.recovery.Seconds(), strings.Join(why, ", "))
}

type overloads struct{ all []rush }

func (o *overloads) print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "engine\toffered/s\tanswered/s\t204\tp50 / p99 ms\t503\tp50 / p99 ms\tno answer\tpeak MiB\trecovery s\treasons")
	for _, f := range o.all {
		fmt.Fprintln(out, f.line())
	}
	_ = out.Flush()
	if !slices.ContainsFunc(o.all, func(f rush) bool { return f.of(http.StatusServiceUnavailable).n > 0 }) {
		fmt.Fprintln(w, "Nothing was shed: no answer was 503.")
	}
}

//go:build linux

package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
)

// goal is what a measure aims at; see service/docs/performance.md.
type goal struct {
	atLeast bool
	value   float64 // 0: none
}

func atLeast(v float64) goal { return goal{true, v} }
func atMost(v float64) goal  { return goal{false, v} }

func (g goal) String() string {
	switch {
	case g.value == 0:
		return "–"
	case g.atLeast:
		return fmt.Sprintf("≥ %g", g.value)
	}
	return fmt.Sprintf("≤ %g", g.value)
}

// met judges by the median.
func (g goal) met(v float64) string {
	switch {
	case g.value == 0:
		return "–"
	case g.atLeast == (v >= g.value) || v == g.value:
		return "yes"
	}
	return "no"
}

// row is one measure on one engine, with a value for each pair of runs.
type row struct {
	measure, engine string
	goal            goal
	unit            string
	values          []float64
}

// table collects rows in the order in which they first appear.
type table struct{ rows []*row }

func (t *table) add(measure, engine string, g goal, unit string, value float64) {
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.measure == measure && r.engine == engine })
	if i < 0 {
		i = len(t.rows)
		t.rows = append(t.rows, &row{measure: measure, engine: engine, goal: g, unit: unit})
	}
	t.rows[i].values = append(t.rows[i].values, value)
}

// WriteTo writes the measures one after the other, each with all its engines.
func (t *table) WriteTo(w io.Writer) (int64, error) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "measure\tgoal\tmin\tmedian\tmax\tmet")
	seen := map[string]bool{}
	for _, first := range t.rows {
		if seen[first.measure] {
			continue
		}
		seen[first.measure] = true
		fmt.Fprintf(out, "%s\t\t\t\t\t\n", first.measure)
		for _, r := range t.rows {
			if r.measure != first.measure {
				continue
			}
			middle := median(r.values)
			fmt.Fprintf(out, "  %s\t%s\t%s\t%s\t%s\t%s\n", r.engine, r.goal,
				r.show(slices.Min(r.values)), r.show(middle), r.show(slices.Max(r.values)), r.goal.met(middle))
		}
	}
	return 0, out.Flush()
}

// show writes a value with as many digits as it deserves.
func (r *row) show(v float64) string {
	switch {
	case v >= 100:
		return fmt.Sprintf("%.0f%s", v, r.unit)
	case v >= 10:
		return fmt.Sprintf("%.1f%s", v, r.unit)
	}
	return fmt.Sprintf("%.2f%s", v, r.unit)
}

// figures are the medians behind the ratios.
type figures struct{ all map[string][]reading }

func (f *figures) add(engine string, senders int, s subject, r reading) {
	if f.all == nil {
		f.all = map[string][]reading{}
	}
	key := fmt.Sprintf("%s\t%d\t%s", engine, senders, s)
	f.all[key] = append(f.all[key], r)
}

// capacity is what a place takes from a crowd, with telemetry on, per second; 0
// if nobody has measured it.
func (f *figures) capacity(engine string) float64 {
	var rates []float64
	for _, r := range f.all[fmt.Sprintf("%s\t%d\t%s", engine, crowd, on)] {
		rates = append(rates, r.Rate)
	}
	if rates == nil {
		return 0
	}
	return median(rates)
}

func (f *figures) print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "engine\tsenders\tprogram\tper second\tp50 ms\tp99 ms\tCPU µs\tpeak MiB")
	keys := make([]string, 0, len(f.all))
	for key := range f.all {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		middle := func(of func(reading) float64) float64 {
			var values []float64
			for _, r := range f.all[key] {
				values = append(values, of(r))
			}
			return median(values)
		}
		fmt.Fprintf(out, "%s\t%.0f\t%.2f\t%.2f\t%.0f\t%.0f\n", key,
			middle(func(r reading) float64 { return r.Rate }),
			middle(func(r reading) float64 { return r.P50.Seconds() * 1e3 }),
			middle(func(r reading) float64 { return r.P99.Seconds() * 1e3 }),
			middle(func(r reading) float64 { return r.cpu.Seconds() * 1e6 }),
			middle(func(r reading) float64 { return r.peak }))
	}
	_ = out.Flush()
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// telemetryLoss compares what was sent with what the sink got.
type telemetryLoss struct {
	lines []string
	lost  bool
}

func (d *telemetryLoss) add(engine string, r reading) {
	records, requests := r.got.Events["wechatpay.callback.handled"], r.got.ServerSpans
	d.lost = d.lost || records < r.Sendings || requests < r.Sendings || r.dropped > 0
	d.lines = append(d.lines, fmt.Sprintf("%s\t%d\t%d\t%d\t%d\t%d\t%.0f", engine, r.Sendings, records, requests, r.got.Spans, r.got.Points, r.dropped))
}

func (d *telemetryLoss) print(w io.Writer) {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "engine\tcallbacks\trecords got\tserver spans got\tspans got\tpoints got\tdropped, by its own count")
	fmt.Fprintln(out, strings.Join(d.lines, "\n"))
	_ = out.Flush()
	if d.lost {
		fmt.Fprintln(w, "TELEMETRY WAS LOST: the price of telemetry above is too low.")
	}
}

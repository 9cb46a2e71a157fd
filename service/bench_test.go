//go:build linux

package main

import (
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
	"wxnotify/service/store/storetest/server"
)

var (
	benchEngines = flag.String("bench-engines", "SQLite,PostgreSQL,MariaDB", "the engines that BenchmarkService measures")
	benchParts   = flag.String("bench-parts", "throughput,steady,overload", "the parts of the table that BenchmarkService fills")
	benchLong    = flag.Bool("bench-long", false, "measure memory over 500,000 callbacks, instead of the table")
	benchProfile = flag.String("bench-profile", "", "folder for CPU profiles of wxnotify under load, instead of the table")
)

// plan is how much is measured.
type plan struct {
	pairs      int // how often the subjects are measured in turn
	many, one  int // callbacks from 64 senders, and from 1
	copiesEach int // further copies of each, in the measure of duplicates
	steady     int // at a fixed rate
	flood      int // at three times the capacity
	floods     int // how often
}

// The machine may be shared and noisy: a ratio within a pair holds, an absolute
// time does not.
var (
	full  = plan{pairs: 3, many: 12_000, one: 1500, copiesEach: 15, steady: 3000, flood: 40_000, floods: 3}
	short = plan{pairs: 3, many: 4000, one: 500, copiesEach: 15, steady: 1000, flood: 12_000, floods: 1}
)

// crowd is how many senders there are, other than one.
const crowd = 64

// BenchmarkService measures wxnotify beside what a competent team writes by hand
// (see [reference]), on every engine with the same durability: distinct,
// presigned payments from senders on the same cores, a fresh database each time.
// It prints one table; `make bench` runs it. What is measured how is written in
// service/docs/performance.md.
func BenchmarkService(b *testing.B) {
	for b.Loop() {
		l := newLaboratory(b, *benchProfile)
		all := places(b)
		switch {
		case *benchProfile != "":
			l.profiles(all)
		case *benchLong:
			l.long(all)
		default:
			l.compare(all)
		}
	}
	b.ReportMetric(0, "ns/op") // one operation is the whole measurement
}

// compare fills the table and prints it.
func (l *laboratory) compare(all []place) {
	l.Helper()
	p, began := full, time.Now()
	if testing.Short() {
		p = short
	}
	var t table
	var f figures
	var lost telemetryLoss
	var o overloads
	parts := strings.Split(*benchParts, ",")
	each := func(part string, times int, measure func(place)) {
		for _, at := range all {
			for range times {
				if slices.Contains(parts, part) {
					measure(at)
				}
			}
		}
	}
	each("throughput", p.pairs, func(at place) { l.round(p, at, &t, &f, &lost) })
	each("steady", p.pairs, func(at place) { l.steady(p, at, &t) })
	each("overload", p.floods, func(at place) {
		if f.capacity(at.name) == 0 {
			f.add(at.name, crowd, on, l.measure(on, at, wechat.LoadOptions{Senders: crowd, Count: p.many}))
		}
		l.overload(p, at, f.capacity(at.name), &t, &o)
	})
	fmt.Printf("\n\n%d CPUs, %s, %d pairs of runs, %d callbacks from %d senders, %d from one\n\n",
		runtime.NumCPU(), runtime.Version(), p.pairs, p.many, crowd, p.one)
	_, _ = t.WriteTo(os.Stdout)
	fmt.Print("\nmedians of the runs\n")
	f.print(os.Stdout)
	fmt.Print("\ntelemetry that arrived, of the runs with 64 senders\n")
	lost.print(os.Stdout)
	fmt.Print("\noverload, open loop; latency from being sent\n")
	o.print(os.Stdout)
	fmt.Printf("\nit took %s\n", time.Since(began).Round(time.Second))
}

// places starts the engines that were asked for.
func places(b *testing.B) (all []place) {
	b.Helper()
	wanted := strings.Split(*benchEngines, ",")
	for _, name := range wanted {
		if _, known := goals[name]; !known {
			b.Fatalf("no engine %q: there are SQLite, PostgreSQL and MariaDB", name)
		}
	}
	if slices.Contains(wanted, "SQLite") {
		all = append(all, place{name: "SQLite"})
	}
	for _, e := range server.Engines() {
		if !slices.Contains(wanted, string(e)) {
			fmt.Printf("\nNOT MEASURED: %s\n", e)
			continue
		}
		s, err := server.New(e)
		if err != nil {
			b.Errorf("NOT MEASURED: %s does not start: %v", e, err)
			continue
		}
		b.Cleanup(func() {
			if err := s.Close(); err != nil {
				b.Error(err)
			}
		})
		all = append(all, place{string(e), s})
	}
	return all
}

// goals by engine: throughput beside the reference, with telemetry on and off.
var goals = map[string]struct{ on, off goal }{
	"SQLite":     {atLeast(3.5), atLeast(5)},
	"PostgreSQL": {atLeast(2.4), atLeast(3)},
	"MariaDB":    {atLeast(2), goal{}},
}

// round measures every subject once, one after the other.
func (l *laboratory) round(p plan, at place, t *table, f *figures, d *telemetryLoss) {
	l.Helper()
	run := func(s subject, senders, count, copies int) reading {
		began := time.Now()
		r := l.measure(s, at, wechat.LoadOptions{Senders: senders, Count: count, Copies: copies})
		fmt.Fprintf(os.Stderr, "%-10s %2d senders × %2d copies, %-23s %6.0f/s, %4.0f µs CPU, %4.0f MiB (%s)\n",
			at.name, senders, copies+1, s, r.Rate, r.cpu.Seconds()*1e6, r.peak, time.Since(began).Round(100*time.Millisecond))
		return r
	}
	rsa := verification(l.B)
	perRSA := func(r reading) float64 { return r.cpu.Seconds() / rsa.Seconds() }

	hand, with, without := run(byHand, crowd, p.many, 0), run(on, crowd, p.many, 0), run(off, crowd, p.many, 0)
	t.add("throughput from 64 senders ÷ reference, telemetry on", at.name, goals[at.name].on, "×", with.Rate/hand.Rate)
	t.add("throughput from 64 senders ÷ reference, telemetry off", at.name, goals[at.name].off, "×", without.Rate/hand.Rate)
	hand1, with1, without1 := run(byHand, 1, p.one, 0), run(on, 1, p.one, 0), run(off, 1, p.one, 0)
	t.add("throughput from 1 sender ÷ reference, telemetry on", at.name, atLeast(1), "×", with1.Rate/hand1.Rate)
	t.add("throughput from 1 sender ÷ reference, telemetry off", at.name, goal{}, "×", without1.Rate/hand1.Rate)
	t.add("process CPU for a callback ÷ RSA-2048 verification, telemetry on", at.name, atMost(4), "×", perRSA(with))
	t.add("process CPU for a callback ÷ RSA-2048 verification, telemetry off", at.name, atMost(3), "×", perRSA(without))
	t.add("the same of the reference", at.name, goal{}, "×", perRSA(hand))
	t.add("throughput from 64 senders, telemetry on ÷ off", at.name, atLeast(0.85), "×", with.Rate/without.Rate)
	again := run(on, crowd/(p.copiesEach+1), p.many/(p.copiesEach+1), p.copiesEach)
	t.add("throughput of 16 copies each ÷ distinct, telemetry on", at.name, atLeast(1.2), "×", again.Rate/with.Rate)
	t.add("peak memory from 64 senders, telemetry on", at.name, atMost(128), " MiB", with.peak)
	t.add("bare RSA-2048 verification", "CPU", goal{}, " µs", rsa.Seconds()*1e6)

	f.add(at.name, crowd, byHand, hand)
	f.add(at.name, crowd, on, with)
	f.add(at.name, crowd, off, without)
	f.add(at.name, 1, byHand, hand1)
	f.add(at.name, 1, on, with1)
	f.add(at.name, 1, off, without1)
	d.add(at.name, with)
}

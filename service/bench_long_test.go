//go:build linux

package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"time"

	"wxnotify/service/simulator/wechat"
)

// A long run is in pieces, after each of which the memory is read. It signs as it
// goes, which takes most of the machine: half a million signatures would be too
// old to be accepted before the last is made.
const (
	piece  = 25_000
	pieces = 20
)

// long watches the memory over 500,000 callbacks with telemetry on.
func (l *laboratory) long(all []place) {
	l.Helper()
	for _, at := range all {
		var now []float64
		r := l.during(on, at, func(p *program) (whole wechat.LoadReport) {
			began := time.Now()
			for range pieces {
				report, err := wechat.Load(l.Context(), l.options(wechat.LoadOptions{Senders: crowd, Count: piece}))
				if err != nil {
					l.Fatal(err)
				}
				for outcome, n := range report.Outcomes {
					if outcome.Status != http.StatusNoContent {
						l.Fatalf("%d sendings ended as %s", n, outcome)
					}
				}
				whole.Sendings += report.Sendings
				now = append(now, p.memory(l.B, "VmRSS"))
				fmt.Fprintf(os.Stderr, "%-10s %6d callbacks, %.0f MiB\n", at.name, whole.Sendings, now[len(now)-1])
			}
			whole.Elapsed = time.Since(began)
			return whole
		})
		half := len(now) / 2
		fmt.Printf("\n%s: %d callbacks in %s; MiB after each %d:", at.name, r.Sendings, r.Elapsed.Round(time.Second), piece)
		for _, m := range now {
			fmt.Printf(" %.0f", m)
		}
		fmt.Printf("\n  peak %.0f MiB; second half ÷ first half, medians: %.2f×; records got %d, dropped %.0f\n",
			r.peak, median(now[half:])/median(now[:half]), r.got.Events["wechatpay.callback.handled"], r.dropped)
	}
}

// profiled callbacks are many, so that the start of the program is little.
const profiledCallbacks = 20_000

// profiles writes where the CPU time goes, from a crowd.
func (l *laboratory) profiles(all []place) {
	l.Helper()
	if err := os.MkdirAll(l.profile, 0o750); err != nil {
		l.Fatal(err)
	}
	for _, at := range all {
		for _, s := range []subject{on, off} {
			r := l.measure(s, at, wechat.LoadOptions{Senders: crowd, Count: profiledCallbacks})
			said := fmt.Sprintf("%s, %s: %.0f/s, %.0f µs CPU each", at.name, s, r.Rate, r.cpu.Seconds()*1e6)
			l.flame(l.profileName(s, at), said)
			fmt.Print("\n", said)
		}
	}
	fmt.Printf("\nprofiles and flame graphs are in %s: go tool pprof -http :8081 FILE\n", l.profile)
}

// flame draws a profile beside its file.
func (l *laboratory) flame(profile, title string) {
	l.Helper()
	traces, err := exec.Command("go", "tool", "pprof", "-traces", profile).Output()
	if err != nil {
		l.Fatal(err)
	}
	graph, err := readTraces(bytes.NewReader(traces))
	if err != nil {
		l.Fatal(err)
	}
	picture, err := os.Create(strings.TrimSuffix(profile, ".pprof") + ".svg")
	if err != nil {
		l.Fatal(err)
	}
	if err := errors.Join(graph.svg(picture, title), picture.Close()); err != nil {
		l.Fatal(err)
	}
}

package store_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"wxnotify/service/store"
)

// measures are what is taken on both databases: figures by name.
var measures = []func(g *garden, p *plot) map[string]float64{
	func(g *garden, p *plot) map[string]float64 { return g.speed(p, 1, 400) },
	func(g *garden, p *plot) map[string]float64 { return g.speed(p, 64, 6000) },
	(*garden).reading,
}

// speed is latency and throughput of Record.
func (g *garden) speed(p *plot, senders, n int) map[string]float64 {
	g.Helper()
	took, all := g.accept(p, senders, n)
	name := fmt.Sprintf("accept, %d sender", senders)
	if senders > 1 {
		name += "s"
	}
	return map[string]float64{
		name + ": p50, ms": millis(percentile(took, 50)),
		name + ": p99, ms": millis(percentile(took, 99)),
		name + ": µs each": all.Seconds() / float64(n) * 1e6,
	}
}

// accept records distinct payments, each sender one after the other.
func (g *garden) accept(p *plot, senders, n int) (took []time.Duration, all time.Duration) {
	g.Helper()
	took = make([]time.Duration, n)
	var next atomic.Int64
	var sending sync.WaitGroup
	began := time.Now()
	for range senders {
		sending.Go(func() {
			for i := next.Add(1) - 1; i < int64(n); i = next.Add(1) - 1 {
				e, at := payment(), time.Now()
				if r, err := p.db.Record(context.Background(), e); err != nil || r.Duplicate() {
					g.Errorf("receipt %+v, %v", r, err)
					return
				}
				took[i] = time.Since(at)
			}
		})
	}
	sending.Wait()
	return took, time.Since(began)
}

// reading is how long it takes to ask.
func (g *garden) reading(p *plot) map[string]float64 {
	g.Helper()
	ctx, figures := g.Context(), make(map[string]float64)
	ask := func(name string, times int, do func(i int) error) {
		took := make([]time.Duration, times)
		for i := range took {
			at := time.Now()
			if err := do(i); err != nil {
				g.Fatalf("%s: %v", name, err)
			}
			took[i] = time.Since(at)
		}
		figures[name+", ms"] = millis(percentile(took, 50))
	}
	find := func(key func(ids) string) func(int) error {
		return func(i int) error {
			found, err := p.db.Find(ctx, key(p.ids[i]))
			if err == nil && len(found) == 0 {
				return fmt.Errorf("%s is not found", key(p.ids[i]))
			}
			return err
		}
	}
	ask("sampler: Snapshot", 15, func(int) error { _, err := p.db.Snapshot(ctx); return err })
	ask("Find by notification id", len(p.ids), find(func(i ids) string { return i.NotificationID }))
	ask("Find by out_trade_no (商户订单号)", len(p.ids), find(func(i ids) string { return i.OutTradeNo }))
	ask("Find by transaction_id (微信支付订单号)", len(p.ids), find(func(i ids) string { return i.TransactionID }))
	ask("Callback by id", len(p.ids), func(i int) error { _, err := p.db.Callback(ctx, p.ids[i].Callback); return err })
	ask("Incidents, nothing new", 15, func(int) error { _, err := p.db.Incidents(ctx); return err })
	ask("Outstanding (未入账)", 15, func(int) error { _, err := p.db.Outstanding(ctx, 100); return err })
	return figures
}

// retention purges a day at a time beside the ingest, in turns with ingest alone.
func (g *garden) retention() {
	g.Helper()
	for round := range growthRounds {
		for _, purging := range []bool{false, true} {
			ctx, cancel := context.WithCancel(g.Context())
			deleted, ended := make(chan int64, 1), time.Duration(0)
			began := time.Now()
			if purging {
				go func() {
					n, err := g.grown.db.Purge(ctx, g.eldest.Add(time.Duration(round+1)*24*time.Hour))
					if err != nil && ctx.Err() == nil {
						g.Error(err)
					}
					ended = time.Since(began)
					deleted <- n
				}()
			}
			paced := g.paced(g.grown, 150, 6*time.Second)
			full, all := g.accept(g.grown, 64, 6000)
			if purging {
				select { // it may have been so slow that the ingest was over first
				case n := <-deleted:
					deleted <- n
				case <-time.After(time.Minute):
				}
				cancel()
				n := <-deleted
				fmt.Printf("%s: purged %d rows in %s\n", g.engine, n, ended.Round(time.Millisecond))
				g.table.add(g.engine, "purged beside ingest, rows/s", round, true, float64(n)/ended.Seconds())
			}
			cancel()
			for name, value := range map[string]float64{
				"purging or not, at 150/s: p50, ms":     millis(percentile(paced, 50)),
				"purging or not, at 150/s: p99, ms":     millis(percentile(paced, 99)),
				"purging or not, at 150/s: slowest, ms": millis(percentile(paced, 100)),
				"purging or not, 64 senders: p99, ms":   millis(percentile(full, 99)),
				"purging or not, 64 senders: µs each":   all.Seconds() / float64(len(full)) * 1e6,
			} {
				g.table.add(g.engine, name, round, purging, value)
			}
		}
	}
}

// paced records payments that come at a fixed rate, however long they take.
func (g *garden) paced(p *plot, rate int, lasting time.Duration) []time.Duration {
	g.Helper()
	took := make([]time.Duration, int(lasting.Seconds()*float64(rate)))
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var sending sync.WaitGroup
	for i := range took {
		due := <-tick.C
		sending.Go(func() {
			if _, err := p.db.Record(context.Background(), payment()); err != nil {
				g.Error(err)
			}
			took[i] = time.Since(due)
		})
	}
	sending.Wait()
	return took
}

// restart kills a process in the middle of its writing and opens the store anew.
func (g *garden) restart(p *plot) map[string]float64 {
	g.Helper()
	where := p.folder
	if p.URL != "" {
		where = p.URL + " " + p.folder
	}
	const receipts = 3000
	c := exec.Command(os.Args[0])
	c.Env, c.Stderr = append(os.Environ(), crasherEnv+"="+where), os.Stderr
	out, err := c.StdoutPipe()
	if err != nil {
		g.Fatal(err)
	}
	if err := c.Start(); err != nil {
		g.Fatal(err)
	}
	var memory float64
	lines := bufio.NewScanner(out)
	for n := 0; lines.Scan(); n++ {
		if n == receipts {
			memory = peak(c.Process.Pid)
			_ = c.Process.Kill()
		}
	}
	_ = c.Wait() // it was killed
	if memory == 0 {
		g.Fatal("it ended by itself")
	}
	began := time.Now()
	db, err := store.Open(g.Context(), p.Options)
	if err != nil {
		g.Fatal(err)
	}
	if _, err := db.Record(g.Context(), payment()); err != nil {
		g.Error(err)
	}
	ready := time.Since(began)
	if err := db.Close(context.Background()); err != nil {
		g.Error(err)
	}
	return map[string]float64{"start after kill -9: first Record, ms": millis(ready), "memory of a process with 8 senders, MiB": memory}
}

// peak is the most memory that a process has had, in MiB.
func peak(pid int) (size float64) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, "VmHWM: %f kB", &size); err == nil {
			return size / 1024
		}
	}
	return 0
}

func millis(d time.Duration) float64 { return d.Seconds() * 1e3 }

func percentile(all []time.Duration, p int) time.Duration {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[min(len(sorted)*p/100, len(sorted)-1)]
}

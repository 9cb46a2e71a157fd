package storetest

import (
	"fmt"
	"sync"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/store"
)

// once: any number of copies, one transition and one event (P2).
func once(t *testing.T, e Engine) {
	t.Run("a storm of copies", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, func(o *store.Options) { o.Destinations = []string{"shop", "books"} })
		const keys, copies = 8, 256
		var all sync.WaitGroup
		receipts := make([][]callback.Receipt, keys)
		for k := range keys {
			receipts[k] = make([]callback.Receipt, copies)
			for c := range copies {
				all.Go(func() {
					r, err := b.record(Arrive(Payment(fmt.Sprint(k), 100)))
					if err != nil {
						t.Errorf("key %d: %v", k, err)
					}
					receipts[k][c] = r
				})
			}
		}
		all.Wait()
		for k := range keys {
			firsts, arrivals := 0, make(map[int]bool)
			for _, r := range receipts[k] {
				if !r.Duplicate() {
					firsts++
				}
				arrivals[r.Trail().Arrival] = true
				if r.Event() != Payment(fmt.Sprint(k), 100).Event() {
					t.Errorf("key %d: event %q", k, r.Event())
				}
			}
			if firsts != 1 || len(arrivals) != copies || !arrivals[1] || !arrivals[copies] {
				t.Errorf("key %d: %d transitions, %d different arrival numbers", k, firsts, len(arrivals))
			}
		}
		for query, want := range map[string]int64{
			`SELECT count(*) FROM callbacks`:                               keys * copies,
			`SELECT count(*) FROM callbacks WHERE outcome = 'accepted'`:    keys,
			`SELECT count(*) FROM notifications`:                           keys,
			`SELECT count(*) FROM orders WHERE state = 'paid'`:             keys,
			`SELECT count(*) FROM outbox`:                                  keys * 2,
			`SELECT count(DISTINCT event_id) FROM outbox`:                  keys,
			`SELECT count(*) FROM notifications WHERE standing='accepted'`: keys,
		} {
			if n := b.count(query); n != want {
				t.Errorf("%s: %d, want %d", query, n, want)
			}
		}
	})
	t.Run("copies under other ids and times", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		b.accept(Payment("1", 100))
		again := Payment("1", 100)
		again.ID = "EV-another"
		if r := b.accept(again); !r.Duplicate() {
			t.Errorf("the same payment under another id: %+v", r)
		}
	})
	t.Run("earlier arrivals are linked", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		var traces []string
		for i := range 3 {
			entry := Arrive(Payment("1", 100))
			traces = append(traces, entry.Envelope.Trace)
			r, err := b.record(entry)
			if err != nil {
				t.Fatal(err)
			}
			var want []string
			if i > 0 {
				want = traces[:1]
			}
			if i > 1 {
				want = []string{traces[0], traces[i-1]}
			}
			if got := r.Trail().Earlier; fmt.Sprint(got) != fmt.Sprint(want) || r.Trail().Arrival != i+1 {
				t.Errorf("arrival %d: %d, earlier %v, want %v", i+1, r.Trail().Arrival, got, want)
			}
		}
	})
	t.Run("no destination, no outbox", func(t *testing.T) {
		t.Parallel()
		b := start(t, e, func(o *store.Options) { o.Destinations = nil })
		if r := b.accept(Payment("1", 100)); r.Event() == "" {
			t.Error("no event id")
		}
		if n := b.count(`SELECT count(*) FROM outbox`); n != 0 {
			t.Errorf("%d outbox rows", n)
		}
	})
	t.Run("two stores on one database", func(t *testing.T) {
		t.Parallel()
		b := start(t, e)
		o := b.opts
		o.SpoolPath = ""
		twin := open(t, e, o)
		var all sync.WaitGroup
		var mu sync.Mutex
		firsts := 0
		for i := range 64 {
			all.Go(func() {
				r, err := []*bench{b, twin}[i%2].record(Arrive(Payment(fmt.Sprint(i/16), 100)))
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Error(err)
				} else if !r.Duplicate() {
					firsts++
				}
			})
		}
		all.Wait()
		if n := b.count(`SELECT count(*) FROM outbox`); firsts != 4 || n != 4 {
			t.Errorf("%d transitions, %d events of 4 payments", firsts, n)
		}
	})
}

package telemetry

import (
	"context"
	"sync/atomic"
	"time"

	"wxnotify/service/callback"
)

const (
	sampleEvery  = 5 * time.Second
	sampleWithin = 2 * time.Second
	// staleAfter is when a number in memory is too old to be shown. Its series
	// ends then: an absent gauge can page, a stale zero cannot.
	staleAfter = 30 * time.Second
)

// Ledger is the store, as far as the gauges need it.
type Ledger interface {
	Snapshot(ctx context.Context) (callback.Snapshot, error)
	Local() callback.Local
}

// Keyring knows the configured keys.
type Keyring interface {
	Keys() []callback.KeyState
}

// Watch asks the store and the keys for numbers every 5 s, until ctx ends or
// Shutdown. It returns at once. The gauges read only what is in memory, so a
// database that hangs never stops an export; and what a store knows without its
// database, and the keys, are asked separately, so they do not hang with it.
func (t *Telemetry) Watch(ctx context.Context, store Ledger, keys Keyring) {
	t.memory.watching.Store(&reading[struct{}]{at: time.Now()})
	t.sample(ctx, func(ctx context.Context) {
		began := time.Now()
		limited, cancel := context.WithTimeout(ctx, sampleWithin)
		defer cancel()
		snapshot, err := store.Snapshot(limited)
		switch {
		case err != nil && ctx.Err() != nil:
			return // the service stops, and the store with it: nobody's fault
		case err != nil:
			t.notices.warn("the store's numbers could not be read", "cause", mask(clip(err.Error(), 512)))
			return
		}
		t.memory.snapshot.Store(&reading[tally]{began, t.tally(snapshot)})
	})
	t.sample(ctx, func(context.Context) {
		began := time.Now()
		t.memory.local.Store(&reading[callback.Local]{began, store.Local()})
	})
	t.sample(ctx, func(context.Context) {
		began := time.Now()
		t.memory.keys.Store(&reading[[]callback.KeyState]{began, keys.Keys()})
	})
}

// sample runs ask now and every 5 s. One that hangs delays only itself.
func (t *Telemetry) sample(ctx context.Context, ask func(context.Context)) {
	ctx, cancel := context.WithCancel(ctx)
	context.AfterFunc(t.background, cancel)
	t.done.Go(func() {
		defer cancel()
		tick := time.NewTicker(sampleEvery)
		defer tick.Stop()
		for ctx.Err() == nil { // a tick may be due when ctx ends
			t.guarded(ctx, ask)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
}

// guarded keeps a panicking source from taking the service down.
func (t *Telemetry) guarded(ctx context.Context, ask func(context.Context)) {
	defer func() {
		if p := recover(); p != nil {
			t.notices.warn("telemetry fault: a source of numbers panicked")
		}
	}()
	ask(ctx)
}

// memory is what the gauges read.
type memory struct {
	watching atomic.Pointer[reading[struct{}]]
	snapshot atomic.Pointer[reading[tally]]
	local    atomic.Pointer[reading[callback.Local]]
	keys     atomic.Pointer[reading[[]callback.KeyState]]
}

// reading is a value and the moment it was asked for.
type reading[T any] struct {
	at    time.Time
	value T
}

// fresh is the value unless there is none or it is stale.
func fresh[T any](p *atomic.Pointer[reading[T]]) (value T, ok bool) {
	r := p.Load()
	if r == nil || time.Since(r.at) > staleAfter {
		return value, false
	}
	return r.value, true
}

// outstandingKey is one series of the gauges of missing money. There is one for
// each reason that was seen, not for each that there is: these are three gauges
// of merchants × reasons, and nearly all of them would be 0 for ever.
type outstandingKey struct {
	merchant string
	reason   callback.Reason
}

// tally is a snapshot in the closed sets of the contract.
type tally struct {
	failures    map[failureKey]int64
	outstanding map[outstandingKey]callback.OutstandingCount
	last        map[string]time.Time
	rows        int64
}

func (t *Telemetry) tally(s callback.Snapshot) tally {
	sum := tally{
		failures:    make(map[failureKey]int64, len(s.Failures)),
		outstanding: make(map[outstandingKey]callback.OutstandingCount, len(s.Outstanding)),
		last:        make(map[string]time.Time, len(s.LastCallback)),
		rows:        s.Rows,
	}
	for _, f := range s.Failures {
		reason, class := folded(f.Reason, f.Class)
		sum.failures[failureKey{t.series.merchant(f.Merchant), class, reason}] += f.Count
	}
	for _, o := range s.Outstanding {
		key := outstandingKey{t.series.merchant(o.Merchant), o.Reason}
		all := sum.outstanding[key]
		if all.Count == 0 || o.Oldest.Before(all.Oldest) {
			all.Oldest = o.Oldest
		}
		all.Count += o.Count
		all.Amount += o.Amount
		sum.outstanding[key] = all
	}
	// What is no longer outstanding goes on as 0: over OTLP a series that is
	// just left out keeps its last value for five minutes.
	if previous := t.memory.snapshot.Load(); previous != nil {
		for key := range previous.value.outstanding {
			if _, still := sum.outstanding[key]; !still {
				sum.outstanding[key] = callback.OutstandingCount{}
			}
		}
	}
	for name, at := range s.LastCallback {
		if merchant := t.series.merchant(name); at.After(sum.last[merchant]) {
			sum.last[merchant] = at
		}
	}
	return sum
}

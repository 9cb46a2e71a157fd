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
		t.memory.keys.Store(&reading[map[keyKind]keyTimes]{began, t.keyTimes(keys.Keys())})
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
	keys     atomic.Pointer[reading[map[keyKind]keyTimes]]
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

// tally is a snapshot in the closed sets of the contract.
type tally struct {
	failures    map[failureKey]int64
	outstanding map[string]callback.OutstandingCount
	last        map[string]time.Time
	rows        int64
}

func (t *Telemetry) tally(s callback.Snapshot) tally {
	sum := tally{
		failures:    make(map[failureKey]int64, len(s.Failures)),
		outstanding: make(map[string]callback.OutstandingCount, len(s.Outstanding)),
		last:        make(map[string]time.Time, len(s.LastCallback)),
		rows:        s.Rows,
	}
	for _, f := range s.Failures {
		reason, class := folded(f.Reason, f.Class)
		sum.failures[failureKey{t.series.merchant(f.Merchant), class, reason}] += f.Count
	}
	for _, o := range s.Outstanding {
		merchant := t.series.merchant(o.Merchant)
		all := sum.outstanding[merchant]
		if all.Count == 0 || o.Oldest.Before(all.Oldest) {
			all.Oldest = o.Oldest
		}
		all.Count += o.Count
		all.Amount += o.Amount
		sum.outstanding[merchant] = all
	}
	for name, at := range s.LastCallback {
		if merchant := t.series.merchant(name); at.After(sum.last[merchant]) {
			sum.last[merchant] = at
		}
	}
	return sum
}

type keyKind struct {
	merchant string
	kind     callback.KeyKind
}

// keyTimes sums up the keys of one kind: when the last of them ends (zero:
// never), and when any of them was last used (zero: never).
type keyTimes struct{ expires, used time.Time }

func (t *Telemetry) keyTimes(keys []callback.KeyState) map[keyKind]keyTimes {
	sum := make(map[keyKind]keyTimes, len(keys))
	endless := map[keyKind]bool{}
	for _, key := range keys {
		k := keyKind{t.series.merchant(key.Merchant), key.Kind}
		times := sum[k]
		endless[k] = endless[k] || key.Expires.IsZero()
		if key.Expires.After(times.expires) {
			times.expires = key.Expires
		}
		if endless[k] {
			times.expires = time.Time{}
		}
		if key.Used.After(times.used) {
			times.used = key.Used
		}
		sum[k] = times
	}
	return sum
}

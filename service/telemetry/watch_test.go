package telemetry_test

import (
	"context"
	"net/http"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// httpAccept is a door with one envelope.
type httpAccept struct {
	accept telemetry.Accepter
	env    callback.Envelope
}

func (h httpAccept) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if _, err := h.accept.Accept(r.Context(), h.env); err != nil {
		w.WriteHeader(callback.AsRefusal(err).Status())
	}
}

type ledger struct {
	snapshot func(context.Context) (callback.Snapshot, error)
	local    func() callback.Local
}

func (l ledger) Snapshot(ctx context.Context) (callback.Snapshot, error) { return l.snapshot(ctx) }
func (l ledger) Local() callback.Local                                   { return l.local() }

type keyring func() []callback.KeyState

func (k keyring) Keys() []callback.KeyState { return k() }

func noKeys() []callback.KeyState { return nil }

func aSnapshot() callback.Snapshot {
	return callback.Snapshot{
		Taken: time.Now(),
		Failures: []callback.FailureCount{
			{Merchant: "shop", Class: callback.Proven, Reason: callback.ReasonDecryptFailed, Count: 2},
			{Merchant: "gone", Class: callback.Noise, Reason: callback.ReasonUnsigned, Count: 3},
			{Merchant: "lost", Class: callback.Noise, Reason: callback.ReasonUnsigned, Count: 4},
		},
		Outstanding: []callback.OutstandingCount{
			{Merchant: "shop", Reason: callback.ReasonDecryptFailed, Count: 1, Amount: 1234, Oldest: time.Now().Add(-time.Minute)},
		},
		LastCallback: map[string]time.Time{"shop": time.Unix(1795413600, 0)},
		Rows:         77,
	}
}

func someKeys() []callback.KeyState {
	return []callback.KeyState{
		{Merchant: "shop", Kind: callback.KeyCertificate, ID: "5157F09E", Expires: time.Unix(1900000000, 0), Used: time.Unix(1795413000, 0)},
		{Merchant: "shop", Kind: callback.KeyCertificate, ID: "4A1B", Expires: time.Unix(1800000000, 0)},
		{Merchant: "shop", Kind: callback.KeyAPIv3, ID: "sha256:0a1b", Used: time.Unix(1795413600, 0)},
	}
}

// TestGauges: the numbers of the source in the closed sets of the contract.
func TestGauges(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, telemetry.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		w.Watch(ctx, ledger{
			func(context.Context) (callback.Snapshot, error) { return aSnapshot(), nil },
			func() callback.Local { return callback.Local{SpoolUsed: 10, DiskFree: 20} },
		}, keyring(someKeys))
		synctest.Wait()
		got := w.collect(t)
		for _, c := range []struct {
			name   string
			labels []string
			want   float64
		}{
			{telemetry.CallbackFailures, []string{"merchant", "shop", "class", "proven", "error.type", "decrypt_failed"}, 2},
			{telemetry.CallbackFailures, []string{"merchant", telemetry.Other, "class", "noise", "error.type", "unsigned"}, 7},
			{telemetry.CallbackFailures, []string{"merchant", "cafe"}, 0},
			{telemetry.Outstanding, []string{"merchant", "shop", "error.type", "decrypt_failed"}, 1},
			{telemetry.OutstandingAmount, []string{"merchant", "shop", "error.type", "decrypt_failed"}, 1234},
			{telemetry.OutstandingAge, []string{"merchant", "shop", "error.type", "decrypt_failed"}, 60},
			{telemetry.OutstandingAge, []string{"merchant", "cafe"}, 0},
			{telemetry.CallbackLast, []string{"merchant", "shop"}, 1795413600},
			{telemetry.StoreRows, nil, 77},
			{telemetry.SnapshotAge, nil, 0},
			{telemetry.SpoolUsed, nil, 10},
			{telemetry.DiskFree, nil, 20},
			{telemetry.KeyExpiry, []string{"merchant", "shop", "key.kind", "platform_certificate", "key.id", "5157F09E"}, 1900000000},
			{telemetry.KeyExpiry, []string{"merchant", "shop", "key.id", "4A1B"}, 1800000000},
			{telemetry.KeyUsed, []string{"merchant", "shop", "key.kind", "platform_certificate", "key.id", "5157F09E"}, 1795413000},
			{telemetry.KeyUsed, []string{"merchant", "shop", "key.kind", "apiv3", "key.id", "sha256:0a1b"}, 1795413600},
		} {
			if v, ok := value(got[c.name], c.labels...); !ok || v != c.want {
				t.Errorf("%s%v is %v (exists: %v), want %v", c.name, c.labels, v, ok, c.want)
			}
		}
		if _, ok := value(got[telemetry.KeyExpiry], "key.kind", "apiv3"); ok {
			t.Error("a key without an end has an expiry")
		}
		if _, ok := value(got[telemetry.CallbackLast], "merchant", "cafe"); ok {
			t.Error("a merchant without callbacks has a last one")
		}
	})
}

// TestMoneyArrives: a notification that is accepted at last leaves a 0 behind,
// not a series that ends: over OTLP that would look outstanding for five minutes.
func TestMoneyArrives(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, telemetry.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var asked atomic.Int64
		w.Watch(ctx, ledger{
			func(context.Context) (callback.Snapshot, error) {
				if asked.Add(1) > 1 {
					return callback.Snapshot{Taken: time.Now()}, nil
				}
				return aSnapshot(), nil
			},
			func() callback.Local { return callback.Local{} },
		}, keyring(noKeys))
		for _, want := range []float64{1, 0, 0} {
			synctest.Wait()
			got := w.collect(t)
			if v, ok := value(got[telemetry.Outstanding], "merchant", "shop", "error.type", "decrypt_failed"); !ok || v != want {
				t.Errorf("outstanding is %v (exists: %v), want %v", v, ok, want)
			}
			if v, ok := value(got[telemetry.Outstanding], "merchant", "shop", "error.type", ""); !ok || v != 0 {
				t.Errorf("the series without a reason is %v (exists: %v), want 0", v, ok)
			}
			time.Sleep(5 * time.Second)
		}
	})
}

// TestHangingStore: a database that hangs stops no export; its gauges end 30 s
// after the last answer, and what needs no database goes on.
func TestHangingStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, telemetry.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var asked atomic.Int64
		stuck := make(chan struct{})
		defer close(stuck)
		w.Watch(ctx, ledger{
			func(context.Context) (callback.Snapshot, error) {
				if asked.Add(1) > 1 {
					<-stuck // not even the context helps
				}
				return aSnapshot(), nil
			},
			func() callback.Local { return callback.Local{SpoolUsed: 10} },
		}, keyring(someKeys))

		seen := func(name string) bool { return len(w.collect(t)[name]) > 0 }
		synctest.Wait()
		time.Sleep(29 * time.Second)
		if !seen(telemetry.CallbackFailures) {
			t.Error("the failure gauge ended before 30 s")
		}
		time.Sleep(2 * time.Second)
		for _, name := range []string{telemetry.CallbackFailures, telemetry.Outstanding, telemetry.StoreRows, telemetry.CallbackLast} {
			if seen(name) {
				t.Errorf("%s is still shown after 30 s", name)
			}
		}
		for _, name := range []string{telemetry.SpoolUsed, telemetry.KeyUsed} {
			if !seen(name) {
				t.Errorf("%s ended with the database", name)
			}
		}
		if age, _ := value(w.collect(t)[telemetry.SnapshotAge]); age != 31 {
			t.Errorf("the snapshot's age is %v, want 31", age)
		}
		if n := asked.Load(); n != 2 {
			t.Errorf("asked %d times: a hanging source must not pile up", n)
		}

		stopping, cancelStop := context.WithTimeout(t.Context(), time.Second)
		defer cancelStop()
		began := time.Now()
		if err := w.Shutdown(stopping); err == nil {
			t.Error("Shutdown says that everything has stopped")
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("Shutdown took %v beside a hanging source", took)
		}
	})
}

// TestSlowStore: the sampler gives up after 2 s, and comes back.
func TestSlowStore(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := start(t, telemetry.Options{})
		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var down atomic.Bool
		down.Store(true)
		began := time.Now()
		var gaveUp atomic.Int64
		w.Watch(ctx, ledger{
			func(ctx context.Context) (callback.Snapshot, error) {
				if down.Load() {
					<-ctx.Done()
					gaveUp.Store(int64(time.Since(began)))
					return callback.Snapshot{}, ctx.Err()
				}
				return aSnapshot(), nil
			},
			func() callback.Local { panic("a fault in the source") },
		}, keyring(noKeys))
		time.Sleep(3 * time.Second)
		if after := time.Duration(gaveUp.Load()); after != 2*time.Second {
			t.Errorf("gave up after %v", after)
		}
		if age, ok := value(w.collect(t)[telemetry.SnapshotAge]); !ok || age != 3 {
			t.Errorf("age is %v before the first answer, want the time since the start", age)
		}
		down.Store(false)
		time.Sleep(5 * time.Second)
		if v, _ := value(w.collect(t)[telemetry.StoreRows]); v != 77 {
			t.Errorf("rows %v after recovery", v)
		}
	})
}

// TestSamplerEndsInSilence: a store that fails is told, one that fails because
// the service stops is not.
func TestSamplerEndsInSilence(t *testing.T) {
	t.Parallel()
	for name, failure := range map[string]error{"canceled": context.Canceled, "closed": errPlain} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t, telemetry.Options{})
				ctx, cancel := context.WithCancel(context.Background())
				var stops atomic.Bool
				w.Watch(ctx, ledger{
					func(ctx context.Context) (callback.Snapshot, error) {
						if stops.Load() {
							<-ctx.Done()
							return callback.Snapshot{}, failure
						}
						return callback.Snapshot{}, errPlain
					},
					func() callback.Local { return callback.Local{} },
				}, keyring(noKeys))
				told := func() int {
					synctest.Wait()
					return len(w.lines(t))
				}
				if n := told(); n != 1 {
					t.Errorf("%d lines about a store that fails", n)
				}
				stops.Store(true)
				time.Sleep(6 * time.Second) // the second question is out
				cancel()
				if n := told(); n != 1 {
					t.Errorf("%d lines about a service that stops", n-1)
				}
			})
		})
	}
}

package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
)

// BenchmarkRecord compares the group commit with one transaction for each
// callback: the same statements on the same database.
func BenchmarkRecord(b *testing.B) {
	for _, senders := range []int{1, 64} {
		for name, change := range map[string]func(*store.Options){
			"group":  func(*store.Options) {},
			"single": func(o *store.Options) { o.Batch, o.Linger = 1, -1 },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, senders), func(b *testing.B) {
				o := sqlite().Options(b)
				o.Destinations = []string{"shop"}
				change(&o)
				db := mustOpen(b, o)
				record(b, db, senders)
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "callbacks/s")
			})
		}
	}
}

func record(b *testing.B, db *store.DB, senders int) {
	var next atomic.Int64
	done := make(chan error, senders)
	b.ReportAllocs()
	b.ResetTimer()
	before := cpu()
	for range senders {
		go func() {
			for {
				i := next.Add(1)
				if i > int64(b.N) {
					done <- nil
					return
				}
				e := storetest.Arrive(storetest.Payment(fmt.Sprintf("%016x", uint64(i)*0x9E3779B97F4A7C15), 100))
				e.Envelope.ID = uuid.Must(uuid.NewV7()).String()
				if _, err := db.Record(context.Background(), e); err != nil {
					done <- err
					return
				}
				db.Answered(e.Envelope.ID, 204, time.Now(), time.Millisecond)
			}
		}()
	}
	for range senders {
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	b.ReportMetric(float64((cpu()-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

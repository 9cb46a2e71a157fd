//go:build stack

package otelcollector_test

import (
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/telemetry"
)

func TestStackMeasure(t *testing.T) {
	for _, f := range []string{"false", "true", "false", "true"} {
		s := newSink(t)
		c := startCollector(t, s.stores(), t.TempDir(), "yaml:extensions::file_storage::fsync: "+f)
		for _, w := range []int{1, 4} {
			began := time.Now()
			var g sync.WaitGroup
			for range w {
				g.Go(func() {
					for range 200 / w {
						c.send(t, "logs", records(t, resource,
							record(t, telemetry.EventHandled, facts{telemetry.FieldBody: strings.Repeat("x ", 1<<10)}),
							record(t, telemetry.EventHandled, facts{telemetry.FieldBody: strings.Repeat("y ", 1<<10)})))
					}
				})
			}
			g.Wait()
			t.Logf("fsync %s, %d senders: %.2f ms per request, %.0f requests/s", f, w, float64(time.Since(began).Milliseconds())/200, 200/time.Since(began).Seconds())
		}
	}
}

package telemetry_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"wxnotify/service/telemetry"
)

// TestPersist: a batch outlives a collector's restart, is given up after a
// minute, and at once where trying again is no use.
func TestPersist(t *testing.T) {
	t.Parallel()
	away := errors.New("connection refused")
	for name, c := range map[string]struct {
		err   error
		heals time.Duration // when the collector takes it; 0: never
		ends  time.Duration // when Shutdown is over; 0: not in this test
		lost  int64
		took  time.Duration // at most
	}{
		"taken at once":          {heals: time.Nanosecond},
		"a restart":              {err: away, heals: 20 * time.Second, took: 26 * time.Second},
		"busy, over gRPC":        {err: status.Error(codes.Unavailable, "busy"), heals: 5 * time.Second, took: 10 * time.Second},
		"never back":             {err: away, lost: 7, took: time.Minute},
		"the end":                {err: away, ends: 3 * time.Second, lost: 7, took: 3 * time.Second},
		"refused, over gRPC":     {err: fmt.Errorf("traces: %w", status.Error(codes.InvalidArgument, "no")), lost: 7},
		"refused, over HTTP":     {err: errors.New("failed to send to http://a:4318/v1/traces: 413 Request Entity Too Large (body: )"), lost: 7},
		"too many, over HTTP":    {err: errors.New("failed to send to http://a:4318/v1/logs: 429 Too Many Requests (body: )"), heals: time.Second, took: 3 * time.Second},
		"the collector's own":    {err: errors.New("failed to send to http://a:4318/v1/logs: 500 Internal Server Error (body: )"), heals: time.Second, took: 3 * time.Second},
		"larger than it may be":  {err: errors.New("request body too large: exceeded 5 bytes"), lost: 7},
		"no time left, over all": {err: context.DeadlineExceeded, heals: 30 * time.Second, took: 36 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				over, cancel := context.WithCancel(t.Context())
				defer cancel()
				if c.ends > 0 {
					time.AfterFunc(c.ends, cancel)
				}
				began := time.Now()
				lost := telemetry.Persist(over, 7, func(context.Context) error {
					if c.heals > 0 && time.Since(began) >= c.heals-time.Nanosecond {
						return nil
					}
					return c.err
				})
				if took := time.Since(began); lost != c.lost || took > c.took {
					t.Errorf("%d items were lost after %s; want %d, after %s at most", lost, took, c.lost, c.took)
				}
			})
		})
	}
}

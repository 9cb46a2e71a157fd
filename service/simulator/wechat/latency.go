package wechat

import (
	"math/bits"
	"sync"
	"time"
)

// latencies is a histogram of durations with buckets at most 1/32 wide
// (relative), so that a long run needs no more memory than a short one.
type latencies struct {
	mu      sync.Mutex
	buckets [64 * perOctave]int64
	count   int64
	max     time.Duration
}

const perOctave = 32

func (l *latencies) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buckets[bucket(d)]++
	l.count++
	l.max = max(l.max, d)
}

// bucket numbers the microseconds: exact below 32, then 32 to the octave.
func bucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	octave := max(bits.Len64(us)-bits.Len(perOctave), 0)
	return octave*perOctave + int(us>>octave)
}

// ceiling is the largest duration in a bucket.
func ceiling(b int) time.Duration {
	octave := max(b/perOctave-1, 0)
	us := (uint64(b-octave*perOctave)+1)<<octave - 1
	return time.Duration(us) * time.Microsecond
}

// quantile is the duration that a share q of all does not exceed, rounded up to
// its bucket's end and never above the largest seen.
func (l *latencies) quantile(q float64) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	rank := int64(q*float64(l.count) + 0.999999)
	for b, n := range l.buckets {
		if rank -= n; n > 0 && rank <= 0 {
			return min(ceiling(b), l.max)
		}
	}
	return l.max
}

package telemetry

import (
	"sync/atomic"

	"golang.org/x/time/rate"

	"wxnotify/service/callback"
)

// A stranger may make this many records per second and class, after a burst.
// Counters, spans and the audit log are not affected.
const (
	strangerRate  = 5
	strangerBurst = 50
)

// strangers keeps a flood of what nobody has proven out of the logs: somebody
// else's, and what was shed before anybody looked. Other failures, probes and
// successes are never held back.
type strangers struct{ unproven, noise, shed *allowance }

type allowance struct {
	limiter *rate.Limiter
	left    atomic.Int64 // records left out since the last one written
}

func newStrangers() strangers { return strangers{newAllowance(), newAllowance(), newAllowance()} }

func newAllowance() *allowance {
	return &allowance{limiter: rate.NewLimiter(strangerRate, strangerBurst)}
}

// of is the allowance that v falls under, or nil.
func (s strangers) of(v verdict) *allowance {
	switch {
	case v.outcome != callback.Failed:
		return nil
	case v.class == callback.Unproven:
		return s.unproven
	case v.class == callback.Noise:
		return s.noise
	case v.reason == callback.ReasonOverloaded && v.known == nil:
		return s.shed
	}
	return nil
}

// allow says whether v's record may be written, and how many of its kind were
// left out before it.
func (s strangers) allow(v verdict) (suppressed int64, ok bool) {
	a := s.of(v)
	if a == nil {
		return 0, true
	}
	if !a.limiter.Allow() {
		a.left.Add(1)
		return 0, false
	}
	return a.left.Swap(0), true
}

// rest is how many records have been left out without a later one to say so.
func (s strangers) rest() int64 {
	return s.unproven.left.Swap(0) + s.noise.left.Swap(0) + s.shed.left.Swap(0)
}

package wechatpay

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"wxnotify/service/callback"
)

// Opener opens envelopes with the keys of the merchants it knows. It is safe
// for concurrent use. It implements [callback.Opener] and [callback.Sealer].
type Opener struct {
	ring      atomic.Pointer[ring]
	replacing sync.Mutex
}

// New makes an opener. Its error joins everything that is wrong.
func New(merchants []Merchant) (*Opener, error) {
	o := new(Opener)
	if err := o.Replace(merchants); err != nil {
		return nil, err
	}
	return o, nil
}

// Replace swaps merchants and keys at once, under running callbacks: each of
// them sees the old set or the new one, never a mixture. When anything is wrong
// the old set stays. Keys that stay keep the time of their last use.
func (o *Opener) Replace(merchants []Merchant) error {
	o.replacing.Lock()
	defer o.replacing.Unlock()
	next, err := newRing(merchants, o.ring.Load())
	if err != nil {
		return err
	}
	o.ring.Store(next)
	return nil
}

// Open proves, decrypts and reads one envelope. The error is always a
// [callback.Refusal]. A nil error with the kind [callback.Unclassified] means:
// authentic, of no known shape, not to be credited.
func (o *Opener) Open(_ context.Context, env callback.Envelope) (callback.Notification, error) {
	r := o.ring.Load()
	open := r.openV3
	if env.API() == callback.V2 {
		open = r.openV2
	}
	n, refusal := open(env)
	if refusal != nil {
		if got := int64(len(env.Body)); got < env.Length {
			refusal.Detail = fmt.Sprintf("the body broke off after %d of %d bytes; %s", got, env.Length, refusal.Detail)
		}
		return callback.Notification{}, refusal
	}
	return n, nil
}

// Keys lists every configured key, in the order of the configuration.
func (o *Opener) Keys() []callback.KeyState {
	var all []callback.KeyState
	for _, m := range o.ring.Load().inOrder {
		for _, s := range m.states {
			s.KeyState.Used = s.used.time()
			all = append(all, s.KeyState)
		}
	}
	return all
}

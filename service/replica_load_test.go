//go:build stack

package main

import (
	"context"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

// The load balancer in front of the replicas: how often it asks /readyz, and how
// long a replica that is ending stays open so that it can notice.
const (
	balanced = 50 * time.Millisecond
	noticed  = time.Second
)

// balance keeps asking the replicas whether they are ready.
func (c *cluster) balance(t *testing.T) {
	t.Helper()
	for _, r := range c.replicas {
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan struct{})
		t.Cleanup(func() { cancel(); <-ended })
		go func() {
			defer close(ended)
			tick := time.NewTicker(balanced)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					r.ready.Store(r.isReady())
				case <-ctx.Done():
					return
				}
			}
		}()
	}
}

// anyReady is a replica that is ready; if none is, any.
func (c *cluster) anyReady() *replica {
	for _, i := range rand.Perm(len(c.replicas)) {
		if c.replicas[i].ready.Load() {
			return c.replicas[i]
		}
	}
	return c.replicas[rand.IntN(len(c.replicas))]
}

// senders is how many callbacks are on their way at the same time.
const senders = 16

// all does something with messages, side by side.
func (c *cluster) all(messages []*wechat.Message, do func(*wechat.Message)) {
	var group sync.WaitGroup
	room := make(chan struct{}, senders)
	for _, m := range messages {
		room <- struct{}{}
		group.Go(func() {
			defer func() { <-room }()
			do(m)
		})
	}
	group.Wait()
}

// purchase is what WeChat Pay has to tell about one order: its payment and two
// refunds, which together are all of it.
func (c *cluster) purchase() []*wechat.Message {
	order := wechat.NewOrder(100)
	messages := []*wechat.Message{c.account.Message(wechat.Payment, order)}
	for _, part := range []int64{40, 60} {
		one, of := order, wechat.NewOrder(100)
		one.Refund, one.RefundID, one.OutRefundNo = part, of.RefundID, of.OutRefundNo
		messages = append(messages, c.account.Message(wechat.Refund, one))
	}
	return messages
}

// load sends purchases to replicas that are ready, and now and then again what
// was refused, or what another replica has got at this very moment. Every sender
// pauses so long between two. The returned function ends it; so does the test.
func (c *cluster) load(t *testing.T, pause time.Duration) (end func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for range senders {
		group.Go(func() {
			tick := time.NewTicker(max(pause, time.Microsecond))
			defer tick.Stop()
			for {
				for _, m := range c.purchase() {
					select {
					case <-tick.C:
					case <-ctx.Done():
						return
					}
					c.sometimesTwice(m)
				}
				if due := c.due(); len(due) > 0 {
					c.send(due[rand.IntN(len(due))], c.anyReady())
				}
			}
		})
	}
	end = sync.OnceFunc(func() { cancel(); group.Wait() })
	t.Cleanup(end)
	return end
}

func (c *cluster) sometimesTwice(m *wechat.Message) {
	var copies sync.WaitGroup
	for range 1 + rand.IntN(5)/4 {
		copies.Go(func() { c.send(m, c.anyReady()) })
	}
	copies.Wait()
}

package wechat

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"
)

// Ahead is messages that are signed before a clock starts, so that making
// signatures (which takes far longer than checking them) is not measured. They
// may be sent again, to receivers that do not know one another.
type Ahead struct {
	// Since is when the first of them was signed: a receiver takes it for 5 minutes.
	Since    time.Time
	sendings [][]Sending
}

// presignLimit keeps the oldest signature inside the 5 minutes that receivers
// accept, with time left for sending.
const presignLimit = 3 * time.Minute

// SignAhead signs the messages that a load with these options sends. It needs
// their Count.
func SignAhead(ctx context.Context, o LoadOptions) (*Ahead, error) {
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	if o.Count <= 0 {
		return nil, fmt.Errorf("sign %d messages ahead: how many?", o.Count)
	}
	ctx, cancel := context.WithTimeout(ctx, presignLimit)
	defer cancel()
	a := &Ahead{Since: time.Now(), sendings: make([][]Sending, o.Count)}
	var signers sync.WaitGroup
	for first := range runtime.GOMAXPROCS(0) {
		signers.Go(func() {
			for i := first; i < o.Count && ctx.Err() == nil; i += runtime.GOMAXPROCS(0) {
				a.sendings[i] = o.sign()
			}
		})
	}
	signers.Wait()
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("sign %d messages ahead: %w", o.Count, err)
	}
	return a, nil
}

// sign signs a new message and its copies.
func (o LoadOptions) sign() []Sending {
	m := o.Merchant.Message(o.Kind, NewOrder(1234))
	sendings := make([]Sending, o.Copies+1)
	for i := range sendings {
		sendings[i] = m.Sign(None, time.Now())
	}
	return sendings
}

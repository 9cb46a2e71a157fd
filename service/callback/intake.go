package callback

import (
	"context"
	"fmt"
)

// Opener verifies and decrypts an envelope. Its error is a [Refusal].
type Opener interface {
	Open(ctx context.Context, env Envelope) (Notification, error)
}

// Sealer brings a body into the form in which it may be stored.
type Sealer interface {
	Seal(env Envelope) Sealed
}

// Entry is one arrival on its way to the store: exactly one of Notification
// and Refusal is set. A recorder must persist Body, never Envelope.Body.
type Entry struct {
	Envelope     Envelope
	Body         Sealed
	Notification *Notification
	Refusal      *Refusal
}

// Recorder makes an entry durable. For a notification it returns a Receipt or a
// [Refusal]; for a refusal it returns that refusal with its Trail filled in.
// It returns only when the row is on disk, or when it cannot be.
type Recorder interface {
	Record(ctx context.Context, e Entry) (Receipt, error)
}

// Intake is the way of every callback: open, record, done.
type Intake struct {
	Opener   Opener
	Sealer   Sealer
	Recorder Recorder
}

// Accept takes one callback in. The error, if any, is a [Refusal]; a nil error
// comes with a Receipt that has proof. A panic on the way is a refusal too, and
// is recorded like any other.
func (in *Intake) Accept(ctx context.Context, env Envelope) (Receipt, error) {
	e := Entry{Envelope: env, Body: in.seal(env)}
	if n, refusal := in.open(ctx, env); refusal != nil {
		e.Refusal = refusal
	} else {
		e.Notification = &n
	}
	receipt, err := in.record(ctx, e)
	switch {
	case err != nil:
		return Receipt{}, AsRefusal(err)
	case e.Refusal != nil:
		// A recorder that "accepts" a refusal would turn a forgery into a success.
		return Receipt{}, e.Refusal
	case !receipt.Proof():
		return Receipt{}, Refuse(ReasonInternal, "recorded without proof")
	}
	return receipt, nil
}

func (in *Intake) open(ctx context.Context, env Envelope) (n Notification, refusal *Refusal) {
	if env.Verdict != nil {
		return Notification{}, env.Verdict
	}
	defer func() {
		if p := recover(); p != nil {
			refusal = panicked("opening", p)
		}
	}()
	n, err := in.Opener.Open(ctx, env)
	return n, AsRefusal(err)
}

// seal never fails a callback: a body that cannot be sealed is not kept.
func (in *Intake) seal(env Envelope) (s Sealed) {
	defer func() {
		if recover() != nil {
			s = Sealed{}
		}
	}()
	return in.Sealer.Seal(env)
}

// record gives a panicking recorder one more chance, with the panic itself as
// the refusal, so that the failure has its row.
func (in *Intake) record(ctx context.Context, e Entry) (Receipt, error) {
	receipt, broken, err := in.tryRecord(ctx, e)
	if broken == nil {
		return receipt, err
	}
	broken.Notification = e.Notification
	e.Notification, e.Refusal = nil, broken
	if _, again, err := in.tryRecord(ctx, e); again == nil && err != nil {
		return Receipt{}, err
	}
	return Receipt{}, broken
}

// tryRecord records once; broken is set when the recorder panicked.
func (in *Intake) tryRecord(ctx context.Context, e Entry) (receipt Receipt, broken *Refusal, err error) {
	defer func() {
		if p := recover(); p != nil {
			broken = panicked("recording", p)
		}
	}()
	receipt, err = in.Recorder.Record(ctx, e)
	return receipt, nil, err
}

// panicked keeps the panic's type only: its text may quote the message.
func panicked(doing string, p any) *Refusal {
	return Refuse(ReasonInternal, fmt.Sprintf("panic while %s the callback: %T", doing, p))
}

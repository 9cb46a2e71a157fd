package callback_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"wxnotify/service/callback"
)

type opener func(callback.Envelope) (callback.Notification, error)

func (f opener) Open(_ context.Context, env callback.Envelope) (callback.Notification, error) {
	return f(env)
}

type sealer func(callback.Envelope) callback.Sealed

func (f sealer) Seal(env callback.Envelope) callback.Sealed { return f(env) }

// recorder keeps what it was given and answers as a store would.
type recorder struct {
	entries []callback.Entry
	answer  func(callback.Entry) (callback.Receipt, error)
}

func (r *recorder) Record(_ context.Context, e callback.Entry) (callback.Receipt, error) {
	r.entries = append(r.entries, e)
	return r.answer(e)
}

// commit is what a healthy store answers.
func commit(e callback.Entry) (callback.Receipt, error) {
	if e.Refusal != nil {
		e.Refusal.Trail.Row = e.Envelope.ID
		return callback.Receipt{}, e.Refusal
	}
	return callback.Committed(callback.Commit{Trail: callback.Trail{Row: e.Envelope.ID}}), nil
}

func opens(callback.Envelope) (callback.Notification, error) {
	return callback.Notification{ID: "n1"}, nil
}

func seals(callback.Envelope) callback.Sealed { return callback.Sealed{Form: callback.SealWeChat} }

func TestAccept(t *testing.T) {
	t.Parallel()
	panics := func(callback.Envelope) (callback.Notification, error) { panic("openid oSECRET") }
	refuses := func(callback.Envelope) (callback.Notification, error) {
		return callback.Notification{}, callback.Refuse(callback.ReasonSignatureInvalid, "")
	}
	fails := func(callback.Envelope) (callback.Notification, error) {
		return callback.Notification{}, errors.New("openid oSECRET")
	}
	cases := []struct {
		name    string
		open    opener
		seal    sealer
		record  func(callback.Entry) (callback.Receipt, error)
		verdict *callback.Refusal
		reason  callback.Reason // "" when accepted
		entries int
	}{
		{name: "accepted", open: opens, seal: seals, record: commit, entries: 1},
		{name: "refused", open: refuses, seal: seals, record: commit, reason: callback.ReasonSignatureInvalid, entries: 1},
		{name: "an opener's plain error is ours", open: fails, seal: seals, record: commit, reason: callback.ReasonInternal, entries: 1},
		{name: "an opener's panic is recorded", open: panics, seal: seals, record: commit, reason: callback.ReasonInternal, entries: 1},
		{
			name: "the door's verdict is recorded unopened", open: panics, seal: seals, record: commit,
			verdict: callback.Refuse(callback.ReasonTooLarge, ""), reason: callback.ReasonTooLarge, entries: 1,
		},
		{
			name: "a sealer's panic costs the body only", open: opens, record: commit, entries: 1,
			seal: func(callback.Envelope) callback.Sealed { panic("x") },
		},
		{
			name: "a recorder's panic is recorded at the second try", open: opens, seal: seals, reason: callback.ReasonInternal, entries: 2,
			record: func(e callback.Entry) (callback.Receipt, error) {
				if e.Notification != nil {
					panic("x")
				}
				return commit(e)
			},
		},
		{
			name: "a recorder that always panics", open: opens, seal: seals, reason: callback.ReasonInternal, entries: 2,
			record: func(callback.Entry) (callback.Receipt, error) { panic("x") },
		},
		{
			name: "a receipt without proof", open: opens, seal: seals, reason: callback.ReasonInternal, entries: 1,
			record: func(callback.Entry) (callback.Receipt, error) { return callback.Receipt{}, nil },
		},
		{
			name: "a recorder that accepts a refusal", open: refuses, seal: seals, reason: callback.ReasonSignatureInvalid, entries: 1,
			record: func(callback.Entry) (callback.Receipt, error) {
				return callback.Committed(callback.Commit{}), nil
			},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := &recorder{answer: c.record}
			in := &callback.Intake{Opener: c.open, Sealer: c.seal, Recorder: r}
			receipt, err := in.Accept(t.Context(), callback.Envelope{ID: "row", Verdict: c.verdict})
			if (err == nil) != receipt.Proof() {
				t.Fatalf("error %v and proof %v: exactly one of them must speak", err, receipt.Proof())
			}
			if len(r.entries) != c.entries {
				t.Errorf("recorded %d entries, want %d", len(r.entries), c.entries)
			}
			for _, e := range r.entries {
				if (e.Notification == nil) == (e.Refusal == nil) {
					t.Errorf("entry with notification %v and refusal %v", e.Notification, e.Refusal)
				}
			}
			if c.reason == "" {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			if got := callback.AsRefusal(err); got == nil || got.Reason != c.reason {
				t.Fatalf("refusal %v, want %s", got, c.reason)
			}
			if strings.Contains(err.Error(), "SECRET") {
				t.Errorf("the sender's text came out: %v", err)
			}
		})
	}
}

func TestZeroReceiptIsNoSuccess(t *testing.T) {
	t.Parallel()
	var r callback.Receipt
	if r.Proof() || r.Outcome() != callback.Failed {
		t.Errorf("a zero receipt says proof %v, outcome %s", r.Proof(), r.Outcome())
	}
}

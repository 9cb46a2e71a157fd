package wechat

import (
	"slices"
	"sync"
	"time"
)

// Nature is what a sending was: the fault that spoiled it, or for a sound one
// its place among the sendings of its message.
type Nature string

// The natures of sound sendings.
const (
	First  Nature = "valid"  // the first sound sending
	Resend Nature = "resend" // sound, after others that were not acknowledged
	Copy   Nature = "copy"   // the same message at the same instant on another connection
)

// want is what the receiver should have done.
func (n Nature) want() want { return traits[Fault(n)].want } // not a fault: acknowledge

// Entry is the story of one message.
type Entry struct {
	ID            string `json:"id"`
	Merchant      string `json:"merchant"`
	OutTradeNo    string `json:"out_trade_no"`
	TransactionID string `json:"transaction_id"`
	Kind          Kind   `json:"kind"`
	State         State  `json:"state"`
	Sendings      []Sent `json:"sendings"`
}

// Sent is one sending in an [Entry].
type Sent struct {
	At     time.Time     `json:"at"`     // real
	Due    time.Duration `json:"due_ns"` // on WeChat Pay's clock, since the message's first sending
	Nature Nature        `json:"nature"`
	Answer Answer        `json:"answer"`
}

// State is what became of a message.
type State string

// The states. A stranger's message is only ever sent.
const (
	Pending      State = "pending"
	Acknowledged State = "acknowledged"
	GivenUp      State = "given_up" // not acknowledged, and the schedule is over: lost
	Strange      State = "strange"
)

// Ledger is what was sent and answered: exact counts of everything, and the
// story of the latest messages. It is safe for concurrent use.
type Ledger struct {
	mu       sync.Mutex
	states   map[State]int64
	tallies  map[tally]int64
	keep     int // the number of stories
	stories  map[string]*Entry
	sequence []string // ids of stories, oldest first
}

// tally is what equal sendings have in common.
type tally struct {
	nature Nature
	kind   Kind
	Outcome
}

// newLedger keeps up to stories stories.
func newLedger(stories int) *Ledger {
	return &Ledger{
		keep: stories, states: map[State]int64{}, tallies: map[tally]int64{}, stories: map[string]*Entry{},
	}
}

// begin opens a message's story, and closes the oldest one when there are many.
func (l *Ledger) begin(m *Message, s State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states[s]++
	if len(l.sequence) == l.keep {
		delete(l.stories, l.sequence[0])
		l.sequence = l.sequence[1:]
	}
	l.sequence = append(l.sequence, m.ID)
	l.stories[m.ID] = &Entry{
		ID: m.ID, Merchant: m.merchant.Name, Kind: m.Kind, State: s,
		OutTradeNo: m.Order.OutTradeNo, TransactionID: m.Order.TransactionID,
	}
}

// sent notes one sending.
func (l *Ledger) sent(m *Message, s Sent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tallies[tally{s.Nature, m.Kind, s.Answer.Outcome}]++
	if e := l.stories[m.ID]; e != nil {
		e.Sendings = append(e.Sendings, s)
	}
}

// end says what became of a pending message.
func (l *Ledger) end(m *Message, s State) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.states[Pending]--
	l.states[s]++
	if e := l.stories[m.ID]; e != nil {
		e.State = s
	}
}

// Entry is the story of the message with this id, if it is still kept.
func (l *Ledger) Entry(id string) (Entry, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := l.stories[id]
	if e == nil {
		return Entry{}, false
	}
	return e.clone(), true
}

// Latest is up to n stories, the newest first.
func (l *Ledger) Latest(n int) []Entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []Entry
	for _, id := range slices.Backward(l.sequence) {
		if len(all) >= n {
			break
		}
		all = append(all, l.stories[id].clone())
	}
	return all
}

func (e *Entry) clone() Entry {
	c := *e
	c.Sendings = slices.Clone(e.Sendings)
	return c
}

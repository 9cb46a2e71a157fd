package store

import (
	"context"
	"database/sql"
	"errors"
	"slices"
	"sync"
	"time"

	"wxnotify/service/callback"
)

// A stray is a request that nobody has proven to be WeChat Pay's, or that was shed
// before anybody looked. They may be as many as they like, so they get a budget: the first for each merchant,
// reason and minute has its row before its answer; of the others some get a row
// and all are counted, on that first row, within a second.

// strayLabels bounds the tallies where any name counts as configured.
const strayLabels = 4096

type strays struct {
	rows  int   // rows allowed in a minute
	bytes int64 // bytes of bodies allowed in a minute

	mu        sync.Mutex
	minute    int64
	usedRows  int
	usedBytes int64
	tallies   map[tallyKey]*tally
	closed    []*tally // of past minutes, with repeats still to be written
}

type tallyKey struct{ merchant, reason string }

// tally is the first row of its minute and the requests counted on it.
type tally struct {
	row     arrival // without body; kept to be written later if it must
	minute  int64
	durable bool  // the row is in the database, or in the spool
	writing bool  // the row is on its way there
	repeats int64 // all that were counted on it
	paid    int64 // of these, what the row says
}

func (j *job) stray() bool {
	return j.message == nil && j.refusal != nil &&
		(j.refusal.Class != callback.Proven || j.refusal.Reason == callback.ReasonOverloaded)
}

// rank puts the strays of a batch behind the others.
func (j *job) rank() int {
	if j.stray() {
		return 1
	}
	return 0
}

// place is what the budget grants one stray.
type place int

const (
	counted place = iota
	sampled
	first
)

// admit decides about one stray, and takes the body off its row if the minute's
// bytes are used up: the digest stays.
func (s *strays) admit(row *arrival, now time.Time) (*tally, place) {
	s.mu.Lock()
	defer s.mu.Unlock()
	minute := now.Unix() / 60
	if minute != s.minute {
		s.minute, s.usedRows, s.usedBytes = minute, 0, 0
	}
	key := tallyKey{row.Merchant, row.Reason}
	t := s.tallies[key]
	if t == nil && len(s.tallies) >= strayLabels {
		row.Merchant = callback.OtherMerchant
		key.merchant = callback.OtherMerchant
		t = s.tallies[key]
	}
	// A row that could be kept nowhere yet goes on counting: one per outage, not
	// one per minute of it.
	if t == nil || t.minute != minute && t.durable {
		if t != nil && t.repeats > t.paid {
			s.closed = append(s.closed, t)
		}
		s.spend(row)
		t = &tally{row: *row, minute: minute, writing: true}
		t.row.Body = []byte{}
		s.tallies[key] = t
		return t, first
	}
	// Of what was shed unread, no row says more than the first; and whoever gets one
	// waits for the queue that was too long.
	unread := row.Reason == string(callback.ReasonOverloaded)
	if !unread && t.durable && s.usedRows < s.rows && s.usedBytes+int64(len(row.Body)) <= s.bytes {
		s.usedRows++
		s.spend(row)
		return t, sampled
	}
	t.repeats++
	return t, counted
}

func (s *strays) spend(row *arrival) {
	if s.usedBytes+int64(len(row.Body)) > s.bytes {
		row.Body, row.BodyForm, row.BodyKey = []byte{}, string(callback.SealNone), ""
	}
	s.usedBytes += int64(len(row.Body))
}

// wrote notes what became of a row that was admitted.
func (s *strays) wrote(t *tally, p place, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case p == first:
		t.writing, t.durable = false, ok
	case !ok:
		if t.repeats++; s.tallies[tallyKey{t.row.Merchant, t.row.Reason}] != t && !slices.Contains(s.closed, t) {
			s.closed = append(s.closed, t) // its minute is over and it was forgotten
		}
	}
}

// debt is a count to be written, as it was when it was collected.
type debt struct {
	tally *tally
	n     int64
}

func (s *strays) debts() (all []debt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.closed {
		all = append(all, debt{tally: t, n: t.repeats})
	}
	for _, t := range s.tallies {
		if !t.writing && (!t.durable || t.repeats > t.paid) {
			all = append(all, debt{tally: t, n: t.repeats})
		}
	}
	return all
}

// paid takes off what is durable now, and forgets the tallies of past minutes.
func (s *strays) paid(all []debt, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range all {
		d.tally.paid = d.n
		d.tally.durable = true
	}
	open := s.closed[:0]
	for _, t := range s.closed {
		if t.repeats > t.paid {
			open = append(open, t)
		}
	}
	s.closed = open
	for key, t := range s.tallies {
		if t.durable && t.repeats == t.paid && t.minute != now.Unix()/60 {
			delete(s.tallies, key)
		}
	}
}

// recordStray returns the refusal, with a row if the budget grants one.
func (d *DB) recordStray(ctx context.Context, j *job) *callback.Refusal {
	refusal := *j.refusal
	refusal.Trail = callback.Trail{}
	t, place := d.strays.admit(&j.row, d.opts.Now())
	if place == counted {
		return &refusal
	}
	switch r := d.await(ctx, j); {
	case r.refusal != nil:
		refusal.Trail = r.refusal.Trail
	case place == first && d.spool.keep(ctx, entry{arrival: j.row}) == nil:
		refusal.Trail = callback.Trail{Row: j.row.ID, Spooled: true}
	}
	// A commit that is merely late may still write a sample's row; then this one
	// request could be counted twice. Under-counting would be worse.
	d.strays.wrote(t, place, refusal.Trail.Row != "")
	return &refusal
}

// payStrays writes the counts that are owed, once their rows have come from the
// spool. One that the database refuses is given up, for it would hold up all
// others for ever.
func (d *DB) payStrays() {
	debts := slices.DeleteFunc(d.strays.debts(), func(owed debt) bool { return d.spool.holds(owed.tally.row.ID) })
	if len(debts) == 0 {
		return
	}
	err := d.transact(hurried(func(w *writing) error {
		for _, debt := range debts {
			err := w.apart(func() error { return w.pay(debt) })
			if err != nil && !d.dialect.rejects(err) {
				return err
			}
		}
		return nil
	}))
	if err == nil {
		d.strays.paid(debts, d.opts.Now())
	}
}

// pay writes a count on its row, and what is new of it on the incident that the
// row belongs to by then: a claim of another replica counts either all or none.
func (w *writing) pay(d debt) error {
	before, err := w.tally(d)
	if err != nil {
		return err
	}
	done, err := w.exec(noteRepeats, repetition{ID: d.tally.row.ID, Times: d.n})
	if err != nil {
		return err
	}
	if done == 0 {
		row := d.tally.row // its own commit had failed
		row.Repeats = d.n
		return w.insert.callbacks(w, []arrival{row})
	}
	now, err := w.tally(d)
	if more := now.Repeats - before.Repeats; err == nil && now.Incident != 0 && more > 0 {
		_, err = w.run(sqlGrow, more, w.now, w.now, w.now, w.now, now.Incident)
	}
	return err
}

type paid struct{ Repeats, Incident int64 }

// tally reads what a debt's row says. Nobody but this process writes its count.
func (w *writing) tally(d debt) (p paid, err error) {
	err = w.get(&p, `SELECT repeats, incident FROM callbacks WHERE id = ?`, d.tally.row.ID)
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	return p, err
}

// repetition is a count on its way to its row.
type repetition struct {
	ID    string `db:"id"`
	Times int64  `db:"times"`
}

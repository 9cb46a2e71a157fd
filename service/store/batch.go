package store

import (
	"cmp"
	"slices"

	"wxnotify/service/callback"
)

// sending is one arrival in one try of a transaction. The job stays as it is:
// the batch may be written a second time.
type sending struct {
	job     *job
	row     arrival
	verdict verdict
}

// group is one message in a batch, with all its copies there in the order of
// their arrival: one row of notifications.
type group struct {
	sendings []*sending
	message  callback.Notification
	refusal  *callback.Refusal // nil: verified, to be booked
	row      notice
	byID     bool // row was met by its id, under another key: nobody had read it
}

// together writes what a batch of arrivals means: their messages, with one
// statement for each table as far as the engine can, then one audit row each.
// Messages that have something to do with each other are written one after the
// other, in the order of their arrival.
func (w *writing) together(jobs []*job) ([]verdict, error) {
	w.outgoing = nil
	all := make([]sending, len(jobs))
	left := make([]*sending, 0, len(jobs))
	for i, j := range jobs {
		all[i] = sending{job: j, row: j.row}
		all[i].verdict.refusal = j.refusal
		if j.message != nil {
			left = append(left, &all[i])
		}
	}
	for len(left) > 0 {
		var wave []*group
		wave, left = split(left)
		if err := w.wave(wave); err != nil {
			return nil, err
		}
	}
	rows := make([]arrival, len(all))
	verdicts := make([]verdict, len(all))
	for i := range all {
		rows[i], verdicts[i] = all[i].written(), all[i].verdict
	}
	if err := w.insert.outbox(w, w.outgoing); err != nil {
		return nil, err
	}
	return verdicts, w.insert.callbacks(w, rows)
}

// identity is something by which two messages have to do with each other.
type identity struct {
	of           byte // 'k'ey, notification 'i'd, 'o'rder
	merchant, id string
}

func (s *sending) identities() [3]identity {
	n := s.job.message
	return [...]identity{{'k', n.Merchant, n.Key}, {'i', n.Merchant, n.ID}, {'o', n.Merchant, cmp.Or(n.OutTradeNo, n.Key)}}
}

// split takes a wave of messages that have nothing to do with each other, with
// their copies. What is left has to come after them.
func split(all []*sending) (wave []*group, left []*sending) {
	owners := make(map[identity]*group, 3*len(all))
	for _, s := range all {
		of := s.identities()
		owner := owners[of[0]]
		switch {
		case owner != nil && owner.takes(s):
			owner.sendings = append(owner.sendings, s)
			continue
		case owner == nil && owners[of[1]] == nil && owners[of[2]] == nil:
			owner = &group{sendings: []*sending{s}, message: *s.job.message, refusal: s.job.refusal}
			wave = append(wave, owner)
		default:
			owner = new(group) // takes nobody, and whoever meets it comes after it
			left = append(left, s)
		}
		for _, id := range of {
			if owners[id] == nil {
				owners[id] = owner
			}
		}
	}
	return wave, left
}

// takes reports whether s is a copy of the group's message.
func (g *group) takes(s *sending) bool {
	if len(g.sendings) == 0 || g.refusal != nil || s.job.refusal != nil {
		return false
	}
	return g.message.ID == s.job.message.ID && g.sendings[0].job.digest == s.job.digest
}

// wave writes messages that have nothing to do with each other. Every statement
// goes through them in the same order, whatever replica writes: writers that
// meet wait for each other, and not both for the other.
func (w *writing) wave(groups []*group) error {
	slices.SortFunc(groups, func(a, b *group) int {
		return cmp.Or(cmp.Compare(a.message.Key, b.message.Key), cmp.Compare(a.message.Merchant, b.message.Merchant))
	})
	rows := make([]*notice, len(groups))
	for i, g := range groups {
		g.row = w.noticeOf(g)
		rows[i] = &g.row
	}
	if err := w.insert.notices(w, rows); err != nil {
		return err
	}
	booked := groups[:0:0]
	for _, g := range groups {
		book := g.refusal == nil
		if g.row.ID != 0 {
			g.arrived()
		} else if met, err := w.again(g); err != nil {
			return err
		} else if !met {
			if err := w.contradicts(g); err != nil {
				return err
			}
			continue
		} else if book {
			if book, err = w.book(g); err != nil {
				return err
			}
		}
		switch {
		case book:
			booked = append(booked, g)
		case g.refusal == nil:
			g.known()
		}
	}
	return w.credit(booked)
}

// arrived ties the arrivals to their notification, whose row is up to date.
func (g *group) arrived() {
	before := g.row.Arrivals - len(g.sendings)
	previous := ""
	if len(g.sendings) == 1 {
		previous = g.row.PreviousTrace
	}
	for i, s := range g.sendings {
		s.row.Notification.Int64, s.row.Notification.Valid = g.row.ID, true
		s.row.Arrival, s.verdict.Arrival = before+i+1, before+i+1
		if before+i > 0 {
			for _, trace := range []string{g.row.FirstTrace, previous} {
				if trace != "" && (len(s.verdict.Earlier) == 0 || s.verdict.Earlier[0] != trace) {
					s.verdict.Earlier = append(s.verdict.Earlier, trace)
				}
			}
		}
		previous = s.row.Trace
	}
}

// known is the verdict on further copies of a message that is already decided.
// One that a person rejected is closed too: WeChat Pay need not send it again.
func (g *group) known() {
	for _, s := range g.sendings {
		s.verdict.known(g.row)
	}
}

// settle is the verdict on a message that was booked now: with a reason, its
// order contradicts it.
func (w *writing) settle(g *group, reason callback.Reason) error {
	switch {
	case reason == "":
		g.row.Standing, g.row.EventID = accepted, g.message.Event()
		g.known()
		first := &g.sendings[0].verdict
		first.Duplicate = false
		w.outgoing = append(w.outgoing, w.db.announcement(g.row.EventID, g.row.ID, w.now)...)
		return nil
	case reason.Quarantined():
		g.row.Standing, g.row.Reason = quarantined, string(reason)
		g.known()
	default:
		g.row.Standing, g.row.Reason = outstanding, string(reason)
		for _, s := range g.sendings {
			s.verdict.refusal = callback.Refuse(reason, "")
			s.verdict.refusal.Notification = &g.message
		}
	}
	_, err := w.exec(standNotice, g.row)
	return err
}

// written is the audit row of an arrival with its verdict.
func (s *sending) written() arrival {
	a, v := &s.row, &s.verdict
	v.Row = a.ID
	switch {
	case v.refusal != nil:
		a.refused(v.refusal.Reason, v.refusal.Class, v.refusal.Detail, v.refusal.Status())
	case v.Quarantine != "":
		a.refused(v.Quarantine, v.Quarantine.Class(), "", callback.API(a.API).Success())
	default:
		a.Outcome = string(callback.Accepted)
		if v.Duplicate {
			a.Outcome = string(callback.Duplicate)
		}
		a.Status = callback.API(a.API).Success()
	}
	return *a
}

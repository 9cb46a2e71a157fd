package store

import (
	"cmp"
	"slices"
	"time"
)

// answer is what was really put on the wire for one arrival.
type answer struct {
	ID     string `db:"id"`
	Status int    `db:"status"`
	At     int64  `db:"at"`
	Took   int64  `db:"took"`
}

// answersMax bounds the answers that wait; more are dropped.
const answersMax = 16384

// Answered notes the answer to an arrival, soon and best effort: status, time,
// and how long the whole handling took. It never blocks.
func (d *DB) Answered(id string, status int, at time.Time, took time.Duration) {
	d.answersMu.Lock()
	defer d.answersMu.Unlock()
	if len(d.answers) < answersMax {
		d.answers = append(d.answers, answer{ID: id, Status: status, At: micros(at), Took: took.Microseconds()})
	}
}

// writeAnswers writes what has come together. An error drops it.
func (d *DB) writeAnswers() {
	d.answersMu.Lock()
	answers := d.answers
	d.answers = nil
	d.answersMu.Unlock()
	if len(answers) == 0 {
		return
	}
	slices.SortFunc(answers, func(a, b answer) int { return cmp.Compare(a.ID, b.ID) })
	_ = d.transact(func(w *writing) error { return w.insert.answered(w, answers) })
}

package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"wxnotify/service/callback"
)

// write puts a batch into one transaction: the proven arrivals first, then the
// strangers', each apart so that none of them can fail a proven one. If that could
// not be done because of one of them, every arrival is apart: one that the
// database refuses leaves a bare row, and one whose row another client holds fails
// alone. The verdicts are in the order in which it leaves the jobs.
func (d *DB) write(ctx context.Context, jobs []*job, because error) ([]verdict, error) {
	slices.SortStableFunc(jobs, func(a, b *job) int { return cmp.Compare(a.rank(), b.rank()) })
	strangers := slices.IndexFunc(jobs, (*job).stray)
	if strangers < 0 {
		strangers = len(jobs)
	}
	var verdicts []verdict
	do := func(w *writing) (err error) {
		apart := jobs
		verdicts = nil
		if because == nil {
			apart = jobs[strangers:]
			if verdicts, err = w.together(jobs[:strangers]); err != nil {
				return err
			}
		}
		for _, j := range apart {
			v, err := w.carefully(j, w.arrive)
			switch {
			case because != nil && d.blocked(err):
				v = verdict{failure: d.unconfirmed(err)}
			case err != nil:
				return err
			}
			verdicts = append(verdicts, v)
		}
		return nil
	}
	if d.blocked(because) {
		do = hurried(do) // they have waited long enough
	}
	err := d.transactIn(ctx, do)
	return verdicts, err
}

// carefully writes one arrival apart from the others. If the database refuses
// it, a bare row is kept as an internal failure; if even that is refused, the
// verdict names no row.
func (w *writing) carefully(j *job, write func(*job) (verdict, error)) (v verdict, err error) {
	if !w.db.poison[j.row.ID] {
		err = w.poisonable(j.row.ID, func() error { v, err = write(j); return err })
		if !w.db.rejected(err) || isPanic(err) {
			return v, err
		}
	}
	if j.stray() { // counted, and no failure of ours to page for
		return verdict{refusal: j.refusal}, nil
	}
	refusal := callback.Refuse(callback.ReasonInternal, "the database refused the row").Because(err)
	refusal.Notification = j.message
	ways := w.db.bare(j, refusal)
	if j.refusal != nil && !w.db.poison[j.row.ID] { // its commit, whose outcome was unknown, may have come to its end just now
		ways = append([]*job{j}, ways...)
	}
	for i, way := range ways {
		what := fmt.Sprintf("%s way %d", j.row.ID, len(ways)-i)
		if w.db.poison[what] {
			continue
		}
		err = w.poisonable(what, func() error { v, err = w.keep(way); return err })
		if !w.db.rejected(err) || isPanic(err) {
			return v, err
		}
	}
	return verdict{refusal: refusal}, nil
}

// bare are the ways to keep a refused row, in the order to be tried: with what
// makes its money outstanding, if that fits, and without.
func (d *DB) bare(j *job, refusal *callback.Refusal) (ways []*job) {
	row := j.row.bare()
	if j.message != nil {
		if n, ok := spare(*j.message); ok {
			row := row
			row.Merchant, row.message = n.Merchant, messageOf(n)
			ways = append(ways, &job{row: row, message: &n, refusal: refusal})
		}
	}
	row.Merchant = d.label(row.Merchant, refusal.Reason)
	return append(ways, &job{row: row, refusal: refusal})
}

// spare is what of a message tells that money is missing, and how much. It
// counts as opened, not as verified: the whole message must still be bookable.
func spare(n callback.Notification) (callback.Notification, bool) {
	s := callback.Notification{
		ID: n.ID, API: n.API, Kind: n.Kind, Merchant: n.Merchant, Key: n.Key, Amount: n.Amount, Refunded: n.Refunded,
	}
	fits := len(n.ID) <= 128 && len(n.Key) <= 192 && len(n.Merchant) <= 64 && len(n.Kind) <= 32 &&
		len(n.Amount.Currency) <= 16 && len(n.Refunded.Currency) <= 16
	return s, fits
}

// poisonable runs do apart. If that panics, this transaction is lost, because
// database/sql is left with locks held; what caused it is remembered, and the
// next try goes round it.
func (w *writing) poisonable(what string, do func() error) error {
	err := guarded(func() error { return w.apart(do) })
	if isPanic(err) {
		w.db.poison[what] = true
	}
	return err
}

func isPanic(err error) bool {
	var p panicError
	return errors.As(err, &p)
}

// unconfirmed is why a callback has no receipt.
func (d *DB) unconfirmed(err error) *callback.Refusal {
	return callback.Refuse(callback.ReasonStoreUnavailable, "the database did not confirm the commit: "+d.explain(err)).Because(err)
}

// rejected reports whether the data is at fault rather than the database: a row
// was refused, or something below panicked over it.
func (d *DB) rejected(err error) bool {
	return err != nil && (d.dialect.rejects(err) || isPanic(err))
}

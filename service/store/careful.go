package store

import (
	"context"
	"errors"

	"wxnotify/service/callback"
)

// write puts a batch into one transaction: the proven arrivals first, then the
// strangers', each apart so that none of them can fail a proven one. Carefully,
// every arrival is apart, and one that the database refuses leaves its bare row.
func (d *DB) write(ctx context.Context, jobs []*job, carefully bool) ([]verdict, error) {
	verdicts := make([]verdict, len(jobs))
	err := d.transactIn(ctx, func(w *writing) (err error) {
		for i, j := range jobs {
			switch {
			case j.stray():
				continue
			case carefully:
				verdicts[i], err = w.carefully(j, w.arrive)
			default:
				verdicts[i], err = w.arrive(j)
			}
			if err != nil {
				return err
			}
		}
		for i, j := range jobs {
			if !j.stray() {
				continue
			}
			if verdicts[i], err = w.carefully(j, w.arrive); err != nil {
				return err
			}
		}
		return nil
	})
	return verdicts, err
}

// carefully writes one arrival apart from the others. If the database refuses
// it, its bare row is kept as an internal failure; if even that is refused, the
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
	bare := &job{row: j.row.bare(), refusal: refusal}
	bare.row.Merchant = w.db.label(bare.row.Merchant, refusal.Reason)
	if w.db.poison["bare "+j.row.ID] {
		return verdict{refusal: refusal}, nil
	}
	err = w.poisonable("bare "+j.row.ID, func() error { v, err = w.keep(bare); return err })
	if w.db.rejected(err) && !isPanic(err) {
		return verdict{refusal: refusal}, nil
	}
	return v, err
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

// rejected reports whether the data is at fault rather than the database: a row
// was refused, or something below panicked over it.
func (d *DB) rejected(err error) bool {
	return err != nil && (d.dialect.rejects(err) || isPanic(err))
}

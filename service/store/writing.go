package store

import (
	"context"
	"fmt"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/callback"
)

// writing is one transaction on its way, with the statements bound to it.
type writing struct {
	ctx      context.Context
	tx       *sqlx.Tx
	prepared *statements
	bound    statements // those of prepared that were needed, bound to tx
	insert   inserter
	outgoing []outgoing // what the batch has to tell the merchants' systems
	db       *DB
	now      int64
}

// verdict is what a transaction makes of one arrival. It is worth nothing until
// the commit: only then does it become a receipt.
type verdict struct {
	callback.Commit
	refusal *callback.Refusal
	failure *callback.Refusal // nothing was written
}

// known is the verdict on one copy.
func (v *verdict) known(row notice) {
	switch row.Standing {
	case quarantined:
		v.Quarantine = callback.Reason(row.Reason)
	case accepted:
		v.Duplicate, v.Event = true, row.EventID
	default:
		v.Duplicate = true
	}
}

// arrive writes everything that one arrival means.
func (w *writing) arrive(j *job) (verdict, error) {
	verdicts, err := w.together([]*job{j})
	if err != nil {
		return verdict{}, err
	}
	return verdicts[0], nil
}

// keep writes an arrival whose row may be there already: one from the spool, or
// the bare remains of a row that the database refused.
func (w *writing) keep(j *job) (verdict, error) {
	a := j.row
	a.refused(j.refusal.Reason, j.refusal.Class, j.refusal.Detail, j.refusal.Status())
	if done, err := w.exec(remarkCallback, a); done > 0 || err != nil {
		return verdict{Commit: callback.Commit{Trail: callback.Trail{Row: a.ID}}, refusal: j.refusal}, err
	}
	return w.arrive(j)
}

// apart runs do so that its failure undoes only what it wrote itself.
func (w *writing) apart(do func() error) error {
	if _, err := w.tx.ExecContext(w.ctx, "SAVEPOINT apart"); err != nil {
		return err
	}
	err := do()
	if w.db.gaveWay(err) {
		return err // all of it is tried again, and MySQL has undone all of it: the savepoint, too
	}
	if err != nil {
		if _, undo := w.tx.ExecContext(w.ctx, "ROLLBACK TO SAVEPOINT apart"); undo != nil {
			return fmt.Errorf("store: undoing one row: %w", undo)
		}
	}
	if _, release := w.tx.ExecContext(w.ctx, "RELEASE SAVEPOINT apart"); release != nil {
		return fmt.Errorf("store: leaving one row: %w", release)
	}
	return err
}

// panicError is a panic below us, kept as a type: its text may quote the data.
type panicError struct{ of string }

func (e panicError) Error() string { return "store: panic: " + e.of }

func guarded(do func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = panicError{fmt.Sprintf("%T", p)}
		}
	}()
	return do()
}

func (w *writing) exec(stmt statement, arg any) (rows int64, err error) {
	if w.bound[stmt] == nil {
		w.bound[stmt] = w.tx.NamedStmtContext(w.ctx, w.prepared[stmt])
	}
	result, err := w.bound[stmt].ExecContext(w.ctx, arg)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// run is for the statements that are too rare to be prepared.
func (w *writing) run(query string, args ...any) (rows int64, err error) {
	result, err := w.tx.ExecContext(w.ctx, w.tx.Rebind(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (w *writing) get(into any, query string, args ...any) error {
	return w.tx.GetContext(w.ctx, into, w.tx.Rebind(query), args...)
}

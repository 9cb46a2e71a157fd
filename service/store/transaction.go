package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"

	"github.com/jmoiron/sqlx"
)

// transactIn runs do in one transaction. Errors that are not the data's fault
// begin or prolong an outage.
func (d *DB) transactIn(ctx context.Context, do func(*writing) error) error {
	err := d.try(ctx, do)
	for tries := 1; d.gaveWay(err) && tries < triesAtMost; tries++ {
		err = d.try(ctx, do)
	}
	return err
}

// triesAtMost is how often a transaction may give way to another replica's.
const triesAtMost = 5

// gaveWay reports whether the same transaction may pass when it is tried again.
func (d *DB) gaveWay(err error) bool {
	return err != nil && (d.dialect.transient(err) || errors.Is(err, errChanged))
}

// blocked reports whether another client held a row, and did not let go.
func (d *DB) blocked(err error) bool { return err != nil && d.dialect.blocked(err) }

// hurried is do, which another client that holds a row makes fail at once: it can
// be done later, and callbacks wait for it now.
func hurried(do func(*writing) error) func(*writing) error {
	return func(w *writing) error {
		if w.db.dialect.hurry == "" {
			return do(w)
		}
		if _, err := w.tx.ExecContext(w.ctx, w.db.dialect.hurry); err != nil {
			return err
		}
		err := do(w)
		if w.db.dialect.calm != "" {
			if _, calm := w.tx.ExecContext(w.ctx, w.db.dialect.calm); err == nil {
				err = calm
			}
		}
		return err
	}
}

// errAnew is when database/sql has made the writer's connection anew by itself.
var errAnew = errors.New("store: the server had ended the connection")

// begin begins a transaction on the connection that was checked. When the server
// ended it, another one may answer at its address, whose commits are not durable.
func (w *writer) begin(ctx context.Context) (tx *sqlx.Tx, release func(), err error) {
	conn, err := w.pool.Connx(ctx)
	if err != nil {
		return nil, nil, err
	}
	release = func() { _ = conn.Close() }
	if err = conn.Raw(func(c any) error {
		if c != w.raw {
			return errAnew
		}
		return nil
	}); err == nil {
		tx, err = conn.BeginTxx(ctx, nil)
	}
	if err != nil {
		release()
	}
	return tx, release, err
}

func (d *DB) try(ctx context.Context, do func(*writing) error) error {
	err := d.tryOnce(ctx, do)
	if errors.Is(err, errAnew) { // nothing was written
		err = d.tryOnce(ctx, do)
	}
	return err
}

func (d *DB) tryOnce(ctx context.Context, do func(*writing) error) error {
	if err := d.reconnect(ctx); err != nil {
		return err
	}
	var w *writing
	release := func() {}
	err := guarded(func() error {
		tx, done, err := d.writer.begin(ctx)
		switch {
		case errors.Is(err, driver.ErrBadConn):
			return errAnew
		case err != nil:
			return fmt.Errorf("store: beginning a transaction: %w", err)
		}
		release = done
		if d.dialect.patient {
			ctx = context.WithoutCancel(ctx)
		}
		w = &writing{ctx: ctx, tx: tx, prepared: d.writer.st, insert: d.writer.insert, db: d, now: micros(d.opts.Now())}
		if err := do(w); err != nil {
			return err
		}
		if err := tx.Commit(); err != nil {
			return err
		}
		return d.writer.home.inPlace()
	})
	switch {
	case err == nil:
		release()
		d.recovered()
		return nil
	case isPanic(err):
		d.writer.abandon()
		d.writer = nil
		return err
	}
	if w != nil {
		if undo := guarded(w.tx.Rollback); undo != nil && !errors.Is(undo, sql.ErrTxDone) {
			err = fmt.Errorf("%w (and the rollback: %w)", err, undo)
		}
	}
	release()
	if !d.rejected(err) && !d.gaveWay(err) && !d.blocked(err) {
		d.failed(err)
	}
	return err
}

// transact is transactIn with the committer's own time limit, and tried again as
// long as every try finds one more row that makes something panic.
func (d *DB) transact(do func(*writing) error) error {
	err := d.transactOnce(do)
	for poisoned := 0; isPanic(err) && poisoned < len(d.poison); {
		poisoned = len(d.poison)
		err = d.transactOnce(do)
	}
	clear(d.poison)
	return err
}

func (d *DB) transactOnce(do func(*writing) error) error {
	ctx, cancel := context.WithTimeout(context.Background(), d.opts.CommitTimeout)
	defer cancel()
	return d.transactIn(ctx, do)
}

// task is a transaction that somebody asked for beside the callbacks.
type task struct {
	do   func(*writing) error
	done chan error
}

// perform runs a task. Its outcome for the caller is what do left behind; the
// error is the database's.
func (d *DB) perform(t task) error { return d.transact(t.do) }

// ErrUnavailable is why a request beside the callbacks was not written: the
// database is away. The request may be repeated.
var ErrUnavailable = errors.New("store: the database is not available")

// request has the committer run do in a transaction of its own.
func (d *DB) request(ctx context.Context, do func(*writing) error) error {
	t := task{do: do, done: make(chan error, 1)}
	select {
	case d.tasks <- t:
	case <-d.stopped:
		return fmt.Errorf("%w: the store is closed", ErrUnavailable)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	select {
	case err := <-t.done:
		if err != nil && !d.rejected(err) {
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

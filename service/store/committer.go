package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"wxnotify/service/callback"
)

// pulse is how often the committer looks after what is not urgent: answers,
// counts, the spool, a database that was away.
const pulse = 100 * time.Millisecond

// run is the one goroutine that writes.
func (d *DB) run() {
	defer close(d.stopped)
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	counts := time.Now()
	for {
		select {
		case j := <-d.queue:
			d.commit(d.gather(j))
		case t := <-d.tasks:
			t.done <- d.perform(t)
		case now := <-tick.C:
			d.writeAnswers()
			for d.importSpool() == importChunk && len(d.queue) == 0 {
			}
			if now.Sub(counts) >= time.Second {
				counts = now
				d.payStrays()
			}
		case <-d.stop:
			d.finish()
			return
		}
	}
}

// gather takes what waits. It lingers for company only while callbacks beyond
// those it holds are on their way, so an idle service never waits.
func (d *DB) gather(eldest *job) []*job {
	batch := append(make([]*job, 0, 64), eldest)
	for pauses := 0; len(batch) < d.opts.Batch; {
		select {
		case j := <-d.queue:
			batch = append(batch, j)
			continue
		default:
		}
		const slices = 4 // looks again whether anybody is still coming
		if pauses == slices || d.opts.Linger == 0 || d.inFlight() <= len(batch) {
			break
		}
		select {
		case j := <-d.queue:
			batch = append(batch, j)
		case <-time.After(d.opts.Linger / slices):
			pauses++
		}
	}
	return batch
}

func (d *DB) inFlight() int {
	if d.opts.InFlight != nil {
		return d.opts.InFlight()
	}
	return int(d.recording.Load())
}

// commit writes a batch and releases everybody who waits for it: with a receipt
// if it is durable, with a failure otherwise. An error at COMMIT leaves open
// whether it is; the re-send will then find the row and be a duplicate.
func (d *DB) commit(batch []*job) {
	live := batch[:0]
	for _, j := range batch {
		if j.stage.CompareAndSwap(waiting, taken) {
			live = append(live, j)
		}
	}
	if len(live) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), d.opts.CommitTimeout)
	defer cancel()
	ctx, trace, end := d.hook(ctx, len(live), time.Since(live[0].queued))
	verdicts, err := d.write(ctx, live, false)
	for poisoned := -1; d.rejected(err) && poisoned < len(d.poison); {
		poisoned = len(d.poison)
		verdicts, err = d.write(ctx, live, true)
	}
	clear(d.poison)
	end(err)
	if err != nil {
		failure := callback.Refuse(callback.ReasonStoreUnavailable, "the database did not confirm the commit").Because(err)
		for _, j := range live {
			j.done <- result{failure: failure}
		}
		return
	}
	for i, j := range live {
		j.done <- verdicts[i].result(trace)
	}
}

// result is where a verdict becomes a receipt: after the commit, nowhere else.
func (v verdict) result(trace string) result {
	if v.Row != "" {
		v.Trail.Commit = trace
	}
	if v.refusal != nil {
		refusal := *v.refusal
		refusal.Trail = v.Trail
		return result{refusal: &refusal}
	}
	return result{receipt: callback.Committed(v.Commit)}
}

// hook calls the commit hook; its panics are its own affair.
func (d *DB) hook(ctx context.Context, size int, waited time.Duration) (_ context.Context, trace string, end func(error)) {
	end = func(error) {}
	if d.opts.Commit == nil {
		return ctx, "", end
	}
	hooked, finish := ctx, end
	if guarded(func() error {
		hooked, trace, finish = d.opts.Commit(ctx, size, waited)
		return nil
	}) != nil || hooked == nil {
		return ctx, "", end
	}
	return hooked, trace, func(err error) {
		_ = guarded(func() error {
			if finish != nil {
				finish(err)
			}
			return nil
		})
	}
}

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

// transactIn runs do in one transaction. Errors that are not the data's fault
// begin or prolong an outage.
func (d *DB) transactIn(ctx context.Context, do func(*writing) error) error {
	if err := d.reconnect(ctx); err != nil {
		return err
	}
	var w *writing
	err := guarded(func() error {
		tx, err := d.writer.pool.BeginTxx(ctx, nil)
		if err != nil {
			return fmt.Errorf("store: beginning a transaction: %w", err)
		}
		w = &writing{ctx: ctx, tx: tx, st: d.writer.st.in(ctx, tx), db: d, now: micros(d.opts.Now())}
		if err := do(w); err != nil {
			return err
		}
		return tx.Commit()
	})
	switch {
	case err == nil:
		d.recovered()
		return nil
	case isPanic(err):
		d.writer.abandon()
		d.writer = nil
		return err
	}
	if w != nil {
		if undo := guarded(w.tx.Rollback); undo != nil && !errors.Is(undo, sql.ErrTxDone) {
			err = fmt.Errorf("%w (and the rollback: %v)", err, undo)
		}
	}
	if !d.rejected(err) {
		d.failed(err)
	}
	return err
}

// transact is transactIn with the committer's own time limit.
func (d *DB) transact(do func(*writing) error) error {
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

// finish commits what waits and puts everything away.
func (d *DB) finish() {
	for {
		select {
		case j := <-d.queue:
			d.commit(d.gather(j))
			continue
		case t := <-d.tasks:
			t.done <- d.perform(t)
			continue
		default:
		}
		break
	}
	d.writeAnswers()
	d.payStrays()
	for d.importSpool() > 0 {
	}
	if d.writer != nil && d.dialect.checkpoint != "" {
		_, _ = d.writer.pool.Exec(d.dialect.checkpoint) // the next start would replay the log
	}
	d.ended = d.release()
}

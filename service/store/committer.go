package store

import (
	"context"
	"errors"
	"strings"
	"time"

	"wxnotify/service/callback"
)

// pulse is how often the committer looks after what is not urgent: answers,
// counts, a database that was away.
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
			if d.outage.cause != nil { // find out that it is over, without a callback
				_ = d.transact(func(*writing) error { return nil })
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
		if pauses == slices || d.opts.Linger == 0 || int(d.recording.Load()) <= len(batch) {
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
	verdicts, err := d.write(ctx, live, nil)
	for poisoned := -1; (d.rejected(err) || d.blocked(err)) && poisoned < len(d.poison); {
		poisoned = len(d.poison)
		verdicts, err = d.write(ctx, live, err)
	}
	clear(d.poison)
	end(err)
	if err != nil {
		failure := d.unconfirmed(err)
		for _, j := range live {
			j.done <- result{failure: failure}
		}
		return
	}
	for i, j := range live {
		j.done <- verdicts[i].result(trace)
	}
}

// explain says what is wrong with the database, in words fit for a record.
func (d *DB) explain(err error) string {
	switch text := d.dialect.explain(err); {
	case errors.Is(err, errMoved):
		return strings.TrimPrefix(errMoved.Error(), "store: ")
	case text != "":
		return text
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	}
	return "it cannot be reached"
}

// result is where a verdict becomes a receipt: after the commit, nowhere else.
func (v verdict) result(trace string) result {
	if v.failure != nil {
		return result{failure: v.failure}
	}
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

// finish commits what waits and puts everything away. The last import has as
// long as a commit: after that, the spool's disk hangs.
func (d *DB) finish() {
	patience := time.NewTimer(d.opts.CommitTimeout)
	defer patience.Stop()
	for importing := true; importing; {
		select {
		case j := <-d.queue:
			d.commit(d.gather(j))
		case t := <-d.tasks:
			t.done <- d.perform(t)
		case <-d.imported:
			importing = false
		case <-patience.C:
			importing = false
		}
	}
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
	if d.writer != nil && d.dialect.checkpoint != "" && !d.opts.Beside {
		_, _ = d.writer.pool.ExecContext(context.Background(), d.dialect.checkpoint) // the next start would replay the log
	}
	d.ended = d.release()
}

package store

import (
	"context"
	"sync/atomic"
	"time"

	"wxnotify/service/callback"
)

// job is one arrival on its way through the queue.
type job struct {
	row      arrival
	message  *callback.Notification // what is known of the message
	verified bool                   // message is verified, not only opened
	digest   string                 // of the message's facts
	refusal  *callback.Refusal      // why it is refused; nil for a verified message
	queued   time.Time
	stage    atomic.Int32
	done     chan result // has room for the one result
}

// The stages of a job. A caller that runs out of time takes its job back, unless
// a commit has taken it first.
const (
	waiting int32 = iota
	taken
	abandoned
)

// result is what a caller gets. With a failure nothing is known to be durable.
type result struct {
	receipt callback.Receipt
	refusal *callback.Refusal
	failure *callback.Refusal
}

// Record makes one arrival durable. It honours ctx's deadline, with a margin for
// the spool, but ctx never cancels a commit that others share. The error is
// always a [callback.Refusal]; its Trail says where the arrival was kept.
func (d *DB) Record(ctx context.Context, e callback.Entry) (callback.Receipt, error) {
	d.recording.Add(1)
	defer d.recording.Add(-1)
	j := d.jobOf(e)
	if j.stray() {
		return callback.Receipt{}, d.recordStray(ctx, j)
	}
	r := d.await(ctx, j)
	switch {
	case r.failure != nil:
		return callback.Receipt{}, d.fallBack(ctx, j, r.failure)
	case r.refusal != nil:
		if r.refusal.Trail.Row == "" {
			d.lost.Add(1) // the database refused even the bare row
		}
		return callback.Receipt{}, r.refusal
	}
	return r.receipt, nil
}

// jobOf reads an entry as the ledger needs it.
func (d *DB) jobOf(e callback.Entry) *job {
	j := &job{row: arrivalOf(e), refusal: e.Refusal, queued: time.Now(), done: make(chan result, 1)}
	switch {
	case e.Refusal == nil && e.Notification == nil:
		j.refusal = callback.Refuse(callback.ReasonInternal, "an entry with neither notification nor refusal")
	case e.Refusal == nil:
		j.message, j.verified = named(e.Notification, e.Envelope.Merchant), true
	default:
		j.message = named(e.Refusal.Notification, e.Envelope.Merchant)
	}
	if j.message != nil {
		j.digest = digestOf(*j.message)
		j.row.Merchant, j.row.message = j.message.Merchant, messageOf(*j.message)
	} else {
		j.row.Merchant = d.label(j.row.Merchant, j.refusal.Reason)
	}
	if j.refusal != nil {
		j.row.refused(j.refusal.Reason, j.refusal.Class, j.refusal.Detail, j.refusal.Status())
	}
	return j
}

// named completes the identity of a message, or is nil if it has none: what
// cannot be told from another message cannot be waited for.
func named(n *callback.Notification, merchant string) *callback.Notification {
	if n == nil || n.ID == "" && n.Key == "" {
		return nil
	}
	c := *n
	if c.Merchant == "" {
		c.Merchant = merchant
	}
	if c.Key == "" {
		c.Key = "notification/" + c.ID
	}
	if c.ID == "" {
		c.ID = c.Key
	}
	return &c
}

// label folds the names that no merchant has into one.
func (d *DB) label(merchant string, reason callback.Reason) string {
	if reason == callback.ReasonUnknownMerchant || len(d.merchants) > 0 && !d.merchants[merchant] {
		return callback.OtherMerchant
	}
	return merchant
}

// await queues the job and waits for its commit.
func (d *DB) await(ctx context.Context, j *job) result {
	late := make(<-chan time.Time)
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		timer := time.NewTimer(left - min(left/10, 150*time.Millisecond))
		defer timer.Stop()
		late = timer.C
	}
	select {
	case <-d.stop:
		return result{failure: callback.Refuse(callback.ReasonStoreUnavailable, "the store is closed")}
	default:
	}
	select {
	case d.queue <- j:
	default:
		return result{failure: callback.Refuse(callback.ReasonOverloaded, "the queue for the database is full")}
	}
	select {
	case r := <-j.done:
		return r
	case <-late:
	case <-ctx.Done():
	case <-d.stopped:
		select { // its commit may have been the last one
		case r := <-j.done:
			return r
		default:
		}
		return result{failure: callback.Refuse(callback.ReasonStoreUnavailable, "the store is closed")}
	}
	if !j.stage.CompareAndSwap(waiting, abandoned) {
		select { // the commit came in the same instant
		case r := <-j.done:
			return r
		default:
		}
	}
	return result{failure: callback.Refuse(callback.ReasonDeadline, "the commit was not durable in time")}
}

// fallBack keeps an arrival in the spool. A refusal stays the refusal it was;
// a verified message gets the failure as its reason.
func (d *DB) fallBack(ctx context.Context, j *job, failure *callback.Refusal) *callback.Refusal {
	refusal := *failure
	refusal.Notification = j.message
	if j.refusal != nil {
		refusal = *j.refusal
	}
	refusal.Trail = callback.Trail{}
	row := j.row
	row.refused(refusal.Reason, refusal.Class, refusal.Detail, refusal.Status())
	if d.spool.keep(ctx, entry{arrival: row, Known: j.message != nil, Verified: j.verified}) == nil {
		refusal.Trail = callback.Trail{Row: row.ID, Spooled: true}
	} else {
		d.lost.Add(1)
	}
	return &refusal
}

package store

import (
	"context"
	"time"

	"wxnotify/service/callback"
)

// importChunk is how many spool entries share a transaction.
const importChunk = 128

// blockedRest is how many times longer than it took an import rests that another
// client has blocked.
const blockedRest = 10

// runImports is the one goroutine that reads the spool, beside the committer: a
// spool whose disk hangs must not hold up a database that is well.
func (d *DB) runImports() {
	defer close(d.imported)
	tick := time.NewTicker(pulse)
	defer tick.Stop()
	var rest time.Time
	transact := func(do func(*writing) error) error {
		began := time.Now()
		err := d.request(context.Background(), hurried(do))
		if d.blocked(err) { // and the callbacks were, too
			rest = time.Now().Add(blockedRest * time.Since(began))
		}
		return err
	}
	for {
		select {
		case now := <-tick.C:
			for now.After(rest) && d.importSpool(transact) == importChunk {
			}
		case <-d.stop:
			for d.importSpool(transact) > 0 {
			}
			return
		}
	}
}

// importSpool brings what waits in the spool into the database, one chunk at a
// time, and reports how many entries it moved. They leave the spool after the
// commit; if the process dies between the two, they come again and change
// nothing, because their ids are known.
func (d *DB) importSpool(transact func(func(*writing) error) error) int {
	entries, upTo, damaged, err := d.spool.batch(importChunk)
	if err != nil {
		return 0
	}
	if len(entries)+damaged == 0 {
		_ = d.spool.imported(upTo) // an emptying that failed is tried again
		return 0
	}
	unkept := 0
	if len(entries) > 0 {
		err = transact(func(w *writing) error {
			unkept = 0
			for _, e := range entries {
				j := e.job()
				j.row.Counted = max(e.Received, w.now)
				v, err := w.carefully(j, w.keep)
				if err != nil {
					return err
				}
				if v.Row == "" && !j.stray() {
					unkept++
				}
			}
			return nil
		})
		if err != nil {
			return 0
		}
	}
	d.lost.Add(int64(damaged + unkept))
	if d.spool.imported(upTo) != nil {
		return 0
	}
	return len(entries) + damaged
}

// job is the entry on its way into the ledger: a refusal, whatever it was meant
// to be, because that is how it was answered.
func (e entry) job() *job {
	j := &job{row: e.arrival, verified: e.Verified, refusal: &callback.Refusal{
		Reason: callback.Reason(e.Reason), Class: callback.Class(e.Class), Detail: e.Detail,
	}}
	if e.Known {
		n := e.notification(e.Merchant)
		j.message, j.refusal.Notification = &n, &n
		j.digest = digestOf(n)
	}
	return j
}

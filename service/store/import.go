package store

import (
	"wxnotify/service/callback"
)

// importChunk is how many spool entries share a transaction.
const importChunk = 128

// importSpool brings what waits in the spool into the database, one chunk at a
// time, and reports how many entries it moved. They leave the spool after the
// commit; if the process dies between the two, they come again and change
// nothing, because their ids are known.
func (d *DB) importSpool() int {
	entries, upTo, damaged, err := d.spool.batch(importChunk)
	if err != nil || len(entries)+damaged == 0 {
		return 0
	}
	unkept := 0
	if len(entries) > 0 {
		err = d.transact(func(w *writing) error {
			unkept = 0
			for _, e := range entries {
				v, err := w.carefully(e.job(), w.keep)
				if err != nil {
					return err
				}
				if v.Row == "" {
					unkept++
				}
			}
			return nil
		})
		if err != nil {
			return 0
		}
	}
	clear(d.poison)
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
	}
	return j
}

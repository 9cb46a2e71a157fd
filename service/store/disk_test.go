package store_test

import (
	"context"
	"errors"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
)

// badDisk stands before the spool's file. before is asked ahead of every
// operation; what it returns is the operation's error.
type badDisk struct {
	store.Disk
	mu     sync.Mutex
	before func(op string) error
}

func (d *badDisk) ask(op string) error {
	d.mu.Lock()
	do := d.before
	d.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(op)
}

func (d *badDisk) on(do func(op string) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.before = do
}

func (d *badDisk) ReadAt(b []byte, at int64) (int, error) {
	if err := d.ask("read"); err != nil {
		return 0, err
	}
	return d.Disk.ReadAt(b, at)
}

func (d *badDisk) WriteAt(b []byte, at int64) (int, error) {
	op := "append"
	if at < store.SpoolStart {
		op = "mark"
	}
	if err := d.ask(op); err != nil {
		return 0, err
	}
	return d.Disk.WriteAt(b, at)
}

func (d *badDisk) Sync() error {
	if err := d.ask("sync"); err != nil {
		return err
	}
	return d.Disk.Sync()
}

// onBadDisk opens a store whose database and spool can be broken.
func onBadDisk(t *testing.T, o store.Options) (*store.DB, *storetest.Faults, *badDisk) {
	t.Helper()
	disk, faults := new(badDisk), new(storetest.Faults)
	o.Open = faults.Open
	o.OnDisk(func(d store.Disk) store.Disk { disk.Disk = d; return disk })
	return mustOpen(t, o), faults, disk
}

func refuse(t *testing.T, db *store.DB, no string) *callback.Refusal {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := db.Record(ctx, storetest.Arrive(storetest.Payment(no, 100)))
	if err == nil {
		t.Fatal("accepted by a broken database")
	}
	return callback.AsRefusal(err)
}

// A spool whose disk hangs, at whatever, holds up neither the database that is
// well nor those who ask how things are.
func TestSpoolHangs(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"append", "sync", "read", "mark"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			db, faults, disk := onBadDisk(t, sqlite().Options(t))
			reached, gate := make(chan struct{}, 64), make(chan struct{})
			disk.on(func(op string) error {
				if op == at {
					reached <- struct{}{}
					<-gate
				}
				return nil
			})
			defer close(gate)
			faults.Break()
			if r := refuse(t, db, "1"); r.Trail.Spooled != (at == "read" || at == "mark") {
				t.Errorf("trail %+v", r.Trail)
			}
			faults.Heal()
			<-reached
			done := make(chan error, 1)
			go func() {
				for db.Health(t.Context()).Database != nil {
					runtime.Gosched() // until the committer has noticed
				}
				_, err := db.Snapshot(t.Context())
				db.Local()
				for range 20 { // whatever the committer does beside the callbacks, it does meanwhile
					_, recorded := db.Record(t.Context(), storetest.Arrive(storetest.Payment("2", 100)))
					_, registered := db.RegisterOrder(t.Context(), callback.Order{Merchant: "acme", OutTradeNo: "3", Amount: storetest.Fen(1)})
					err = errors.Join(err, recorded, registered)
				}
				done <- err
			}()
			select {
			case err := <-done:
				if err != nil {
					t.Error(err)
				}
			case <-time.After(5 * time.Second):
				t.Fatal("everybody waits for the spool")
			}
		})
	}
}

// A spool whose disk fails at times is emptied and takes entries again.
func TestSpoolRecovers(t *testing.T) {
	t.Parallel()
	for _, at := range []string{"append", "sync", "read", "mark"} {
		t.Run(at, func(t *testing.T) {
			t.Parallel()
			db, faults, disk := onBadDisk(t, sqlite().Options(t))
			faults.Break()
			if at == "append" || at == "sync" {
				disk.on(func(op string) error { return broken(op == at) })
				if r := refuse(t, db, "0"); r.Trail.Row != "" {
					t.Errorf("kept where? %+v", r.Trail)
				}
				disk.on(nil)
			} else if r := refuse(t, db, "0"); !r.Trail.Spooled {
				t.Fatalf("not in the spool: %+v", r.Trail)
			}
			failed := make(chan struct{}, 1024)
			disk.on(func(op string) error {
				if op == at {
					failed <- struct{}{}
				}
				return broken(op == at)
			})
			faults.Heal()
			if at == "read" || at == "mark" {
				<-failed
			}
			disk.on(nil)
			eventually(t, func() bool { h := db.Health(t.Context()); return h.SpoolUsed == 0 && h.Spool == nil })
			faults.Break()
			if r := refuse(t, db, "1"); !r.Trail.Spooled {
				t.Errorf("not in the spool afterwards: %+v", r.Trail)
			}
			faults.Heal()
		})
	}
}

// A count waits for its row to come from the spool: the row has the body.
func TestStrayCountWaitsForItsRow(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	o.StrayRows = -1
	at := time.Now()
	o.Now = func() time.Time { return at }
	db, faults, disk := onBadDisk(t, o)
	raw := sqlite().Raw(t, o)
	twice := func(reason callback.Reason) {
		for range 2 {
			if _, err := db.Record(t.Context(), storetest.Refuse("acme", reason, callback.Unproven, nil)); err == nil {
				t.Error("a stranger was accepted")
			}
		}
	}
	gate := make(chan struct{})
	disk.on(func(op string) error {
		if op == "read" {
			<-gate
		}
		return nil
	})
	faults.Break()
	twice(callback.ReasonSignatureInvalid)
	faults.Heal()
	eventually(t, func() bool { return db.Health(t.Context()).Database == nil })
	twice(callback.ReasonKeyUnknown)
	eventually(t, func() bool { return number(t, raw.DB, `SELECT count(*) FROM callbacks WHERE repeats > 0`) == 1 })
	close(gate)
	eventually(t, func() bool { return number(t, raw.DB, `SELECT count(*) FROM callbacks WHERE repeats > 0`) == 2 })
	if n := number(t, raw.DB, `SELECT count(*) FROM callbacks WHERE length(body) > 0`); n != 2 {
		t.Errorf("%d whole rows of 2", n)
	}
}

func broken(is bool) error {
	if is {
		return os.ErrInvalid
	}
	return nil
}

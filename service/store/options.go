package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"time"
)

// Options is how a [DB] is opened. Path or URL is required; the rest has defaults.
type Options struct {
	// Path is the SQLite file. It must be on a local file system.
	Path string
	// URL is the address of a database server instead:
	// postgres://user:password@host:5432/database?sslmode=verify-full or
	// mysql://user:password@host:3306/database?tls=true. It is never printed.
	URL string
	// SpoolPath is the spool file, SpoolSize its size in bytes (default 64 MiB,
	// written out in full at start). Without a path there is no spool.
	SpoolPath string
	SpoolSize int64
	// Beside opens the store of a running service: no migration, no checkpoint at
	// the end; an older schema is refused with [ErrOlderSchema]. For commands,
	// which leave the spool to the service as well. A server's database is never
	// migrated by opening it, see [Migrate].
	Beside bool

	// Merchants are the configured names. Arrivals for any other name are
	// counted together, as [callback.OtherMerchant]. Empty: every name counts as
	// configured.
	Merchants []string
	// OrdersRequired tells which merchants register their orders ahead.
	OrdersRequired map[string]bool
	// Destinations of the events; none, no outbox rows.
	Destinations []string

	// Queue is how many arrivals may wait for a commit (default 4096), Batch how
	// many share one (default 256).
	Queue, Batch int
	// Linger is how long a commit waits for company, only while other callbacks
	// are being recorded (default 1 ms; negative: never).
	Linger time.Duration
	// CommitTimeout bounds one transaction (default 5 s).
	CommitTimeout time.Duration

	// StrayRows and StrayBytes are how many rows, and bytes of bodies, the
	// requests of strangers may take in a minute, beside the first row of each
	// merchant, reason and minute (default 120 and 1 MiB).
	StrayRows  int
	StrayBytes int64

	// Open opens the database driver; nil: sql.Open.
	Open func(driver, dsn string) (*sql.DB, error)
	// Commit is called before each group commit with its size and how long its
	// eldest waited. The context it returns runs the SQL, the string is the
	// commit's traceparent, and the function ends it with the outcome.
	Commit func(ctx context.Context, size int, waited time.Duration) (context.Context, string, func(error))
	// Now is the clock; nil: time.Now.
	Now func() time.Time

	migrating bool            // statements may take as long as they do
	disk      func(disk) disk // what the tests put in front of the spool's file
}

// lockWait is how many seconds a statement waits for another client. Callbacks
// wait behind it, and have 2.5 s; half of that is left to those beside the one
// that is held. A migration waits until an autovacuum has let go, after 1 s.
func (o Options) lockWait() int {
	if o.migrating {
		return 2
	}
	return 1
}

func (o Options) withDefaults() (Options, error) {
	if (o.Path == "") == (o.URL == "") {
		return o, errors.New("store: name either the path of a file or the address of a server")
	}
	o.SpoolSize = cmp.Or(o.SpoolSize, 64<<20)
	o.Queue = cmp.Or(o.Queue, 4096)
	o.Batch = cmp.Or(o.Batch, 256)
	o.Linger = max(cmp.Or(o.Linger, time.Millisecond), 0)
	o.CommitTimeout = cmp.Or(o.CommitTimeout, 5*time.Second)
	o.StrayRows = cmp.Or(o.StrayRows, 120)
	o.StrayBytes = cmp.Or(o.StrayBytes, 1<<20)
	if o.Open == nil {
		o.Open = sql.Open
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return o, nil
}

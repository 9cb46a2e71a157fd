package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/callback"
)

// DB is an open store. Its methods may be called from any goroutine.
type DB struct {
	opts      Options
	dialect   dialect
	engine    string // what the database says of itself
	merchants map[string]bool
	started   time.Time
	previous  time.Time // last arrival that the previous process recorded

	reader *sqlx.DB
	writer *writer         // the committer's own
	outage outage          // likewise
	poison map[string]bool // likewise: rows that made something panic
	spool  *spool
	strays strays

	queue     chan *job
	tasks     chan task
	recording atomic.Int64 // Record calls that have not returned
	lost      atomic.Int64 // proven arrivals that were only counted
	trouble   atomic.Pointer[error]

	answersMu sync.Mutex
	answers   []answer

	closing  sync.Once
	stop     chan struct{} // closed: finish
	stopped  chan struct{} // closed: finished
	imported chan struct{} // closed: the importer has ended
	ended    error         // why finishing failed; read after stopped
}

var _ callback.Recorder = (*DB)(nil)

// Open opens the store and brings it up to date, or leaves that to the service
// beside which it is opened. It refuses to serve when a commit would not be
// durable, when the schema is newer than this program, and when the database
// cannot be opened.
func Open(ctx context.Context, o Options) (*DB, error) {
	o, err := o.withDefaults()
	if err != nil {
		return nil, err
	}
	engine, err := dialectOf(o)
	if err != nil {
		return nil, err
	}
	d := &DB{
		opts: o, dialect: engine, merchants: make(map[string]bool), poison: make(map[string]bool), started: o.Now(),
		strays: strays{rows: o.StrayRows, bytes: o.StrayBytes, tallies: make(map[tallyKey]*tally)},
		queue:  make(chan *job, o.Queue), tasks: make(chan task),
		stop: make(chan struct{}), stopped: make(chan struct{}), imported: make(chan struct{}),
	}
	for _, m := range o.Merchants {
		d.merchants[m] = true
	}
	if err := d.open(ctx); err != nil {
		return nil, errors.Join(err, d.release())
	}
	go d.run()
	go d.runImports()
	return d, nil
}

func (d *DB) open(ctx context.Context) (err error) {
	if d.dialect.embedded && !d.opts.Beside {
		_, _, err = Migrate(ctx, d.opts)
	} else {
		err = d.current(ctx)
	}
	if err != nil {
		return err
	}
	if d.writer, err = d.connect(ctx); err != nil {
		return err
	}
	d.engine = d.writer.engine
	source, err := d.dialect.reader(d.opts)
	if err != nil {
		return err
	}
	reader, err := d.opts.Open(d.dialect.driver, source)
	if err != nil {
		return d.dialect.troubled("opening the database for reading", err)
	}
	d.reader = sqlx.NewDb(reader, d.dialect.binds)
	d.reader.SetMaxOpenConns(readers)
	d.reader.SetMaxIdleConns(readers)
	d.reader.SetConnMaxIdleTime(time.Minute)
	if d.spool, err = openSpool(d.opts.SpoolPath, d.opts.SpoolSize); err != nil {
		return err
	}
	if d.spool != nil && d.opts.disk != nil {
		d.spool.file = d.opts.disk(d.spool.file)
	}
	var last sql.NullInt64
	if err := d.reader.GetContext(ctx, &last, `SELECT max(received_at) FROM callbacks
WHERE seq > (SELECT max(seq) FROM callbacks) - 1000`); err != nil {
		return d.dialect.troubled("reading the last callback", err)
	}
	if d.spool != nil {
		last.Int64 = max(last.Int64, d.spool.latest)
	}
	d.previous = moment(last.Int64)
	for d.importSpool(d.transact) > 0 { // if it cannot be written now, the importer goes on trying
	}
	return nil
}

// readers is how many connections read beside the writer.
const readers = 4

// writer is the one connection that writes, and its statements.
type writer struct {
	engine string
	pool   *sqlx.DB
	home   files
	st     *statements
	insert inserter
	raw    driver.Conn // the one connection, below database/sql
}

// connect opens the writer and checks it: after every outage, not only at start.
func (d *DB) connect(ctx context.Context) (*writer, error) {
	var w *writer
	err := guarded(func() error {
		source, err := d.dialect.writer(d.opts)
		if err != nil {
			return err
		}
		pool, err := d.opts.Open(d.dialect.driver, source)
		if err != nil {
			return d.dialect.troubled("opening the database", err)
		}
		w = &writer{pool: sqlx.NewDb(pool, d.dialect.binds), home: files{}}
		pool.SetMaxOpenConns(1)
		if w.engine, err = d.dialect.guard(d.dialect.readBack(ctx, w.pool)); err != nil {
			return err
		}
		if w.st, err = prepare(ctx, w.pool); err != nil {
			return d.dialect.troubled("preparing the statements", err)
		}
		if w.insert, err = d.dialect.inserter(ctx, w.pool); err != nil {
			return d.dialect.troubled("preparing the statements", err)
		}
		for _, path := range d.files() {
			w.home[path] = nil
		}
		return errors.Join(w.reach(ctx), w.home.inPlace())
	})
	if err != nil {
		w.close()
		return nil, err
	}
	return w, nil
}

// files lists what of the database lies on this machine's disk.
func (d *DB) files() []string {
	if d.dialect.files == nil {
		return nil
	}
	return d.dialect.files(d.opts.Path)
}

// Engine is what the database says of itself and of its commits, such as
// "PostgreSQL 15.18, fsync on, synchronous_commit on".
func (d *DB) Engine() string { return d.engine }

// reach takes hold of the driver's connection, for abandon.
func (w *writer) reach(ctx context.Context) error {
	conn, err := w.pool.Conn(ctx)
	if err != nil {
		return fmt.Errorf("store: reaching the connection: %w", err)
	}
	defer conn.Close()
	return conn.Raw(func(c any) error {
		w.raw, _ = c.(driver.Conn)
		return nil
	})
}

func (w *writer) close() {
	if w != nil && w.pool != nil {
		_ = guarded(w.pool.Close)
	}
}

// abandon drops the connection after a panic below database/sql, which then
// holds locks of the transaction for ever: its own rollback would wait for them.
// So the transaction is ended underneath, where it blocks everybody else.
func (w *writer) abandon() {
	_ = guarded(func() error {
		if raw, ok := w.raw.(driver.ExecerContext); ok {
			_, _ = raw.ExecContext(context.Background(), "ROLLBACK", nil)
		}
		return w.raw.Close()
	})
	w.close()
}

// Close stops taking callbacks, commits what waits, and closes the files. When
// ctx ends first, the closing goes on without the caller.
func (d *DB) Close(ctx context.Context) error {
	d.closing.Do(func() { close(d.stop) })
	select {
	case <-d.stopped:
		return d.ended
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// release gives back what open took.
func (d *DB) release() error {
	d.writer.close()
	var reader error
	if d.reader != nil {
		reader = d.reader.Close()
	}
	return errors.Join(reader, d.spool.close())
}

// Local tells what needs no database.
func (d *DB) Local() callback.Local {
	used, entries, _ := d.spool.state()
	l := callback.Local{
		SpoolUsed: used,
		DiskFree:  diskFree(filepath.Dir(cmp.Or(d.opts.Path, d.opts.SpoolPath))),
		Pending:   len(d.queue) + entries,
	}
	if d.spool != nil {
		l.SpoolSize = d.spool.size
	}
	return l
}

// Health tells whether callbacks can be kept.
type Health struct {
	// Recordable is true while a callback can be made durable somewhere.
	Recordable bool
	// Database and Spool are what is wrong with each, or nil.
	Database, Spool error
	// SpoolUsed and SpoolSize are bytes; SpoolEntries wait for the database.
	SpoolUsed, SpoolSize int64
	SpoolEntries         int
	// Lost counts the proven callbacks since start that were answered with a
	// failure and kept nowhere, because the spool was full or broken.
	Lost int64
}

// Health asks the database for one row and reports what the writer met last.
func (d *DB) Health(ctx context.Context) Health {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	h := Health{Lost: d.lost.Load()}
	h.SpoolUsed, h.SpoolEntries, h.Spool = d.spool.state()
	var one int
	if trouble := d.trouble.Load(); trouble != nil {
		h.Database = *trouble
	} else if err := d.reader.GetContext(ctx, &one, "SELECT 1"); err != nil {
		h.Database = err
	}
	if d.spool == nil {
		h.Spool = errors.New("store: no spool")
	} else {
		h.SpoolSize = d.spool.size
		if h.Spool == nil && h.SpoolUsed+spoolReserve > h.SpoolSize {
			h.Spool = errSpoolFull
		}
	}
	h.Recordable = h.Database == nil || h.Spool == nil
	return h
}

// spoolReserve is room for a callback: real ones are 0.6 to 4 KiB.
const spoolReserve = 16 << 10

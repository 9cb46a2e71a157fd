package storetest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
)

// ErrBroken is what a broken database answers.
var ErrBroken = errors.New("storetest: the disk is on fire")

// Faults is a database/sql driver around another one, which breaks on command.
// Its zero value is sound. Open fits [store.Options].
type Faults struct {
	mu           sync.Mutex
	dsn          func(string) string
	opened       atomic.Int64 // how often a database was
	drops        atomic.Int64
	exec         func(query string, args []driver.NamedValue) error
	beforeCommit func() error
	afterCommit  func() error
}

// OnExec is called before every statement; its error is the statement's.
func (f *Faults) OnExec(do func(query string, args []driver.NamedValue) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exec = do
}

// BeforeCommit is called before every commit; with an error, it is undone.
func (f *Faults) BeforeCommit(do func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.beforeCommit = do
}

// AfterCommit is called after every commit; its error hides the success.
func (f *Faults) AfterCommit(do func() error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.afterCommit = do
}

// Break makes every statement and commit fail.
func (f *Faults) Break() {
	f.OnExec(func(string, []driver.NamedValue) error { return ErrBroken })
	f.BeforeCommit(func() error { return ErrBroken })
}

// Drop ends all connections, as a server does that stops. Where nothing is on its
// way, the next to use one gets another without noticing.
func (f *Faults) Drop() { f.drops.Add(1) }

// Heal ends all faults.
func (f *Faults) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.exec, f.beforeCommit, f.afterCommit = nil, nil, nil
}

// hold makes the next commits wait, and reports on reached that one does.
func (f *Faults) hold() (reached <-chan struct{}, release func()) {
	at, gate := make(chan struct{}, 1024), make(chan struct{})
	f.BeforeCommit(func() error {
		at <- struct{}{}
		<-gate
		return nil
	})
	return at, sync.OnceFunc(func() {
		f.BeforeCommit(nil)
		close(gate)
	})
}

func (f *Faults) onExec(query string, args []driver.NamedValue) error {
	f.mu.Lock()
	do := f.exec
	f.mu.Unlock()
	if do == nil {
		return nil
	}
	return do(query, args)
}

func (f *Faults) onCommit(which *func() error) error {
	f.mu.Lock()
	do := *which
	f.mu.Unlock()
	if do == nil {
		return nil
	}
	return do()
}

// Open opens a database behind the faults.
func (f *Faults) Open(name, dsn string) (*sql.DB, error) {
	f.opened.Add(1)
	if f.dsn != nil {
		dsn = f.dsn(dsn)
	}
	db, err := sql.Open(name, dsn)
	if err != nil {
		return nil, err
	}
	defer func() { _ = db.Close() }()
	return sql.OpenDB(connector{dsn: dsn, under: db.Driver(), faults: f}), nil
}

type connector struct {
	dsn    string
	under  driver.Driver
	faults *Faults
}

func (c connector) Driver() driver.Driver { return c.under }

func (c connector) Connect(context.Context) (driver.Conn, error) {
	drops := c.faults.drops.Load()
	under, err := c.under.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &conn{Conn: under, faults: c.faults, drops: drops}, nil
}

type conn struct {
	driver.Conn
	faults *Faults
	drops  int64 // before it was made
}

// ResetSession is called before a connection is used again.
func (c *conn) ResetSession(context.Context) error {
	if c.drops != c.faults.drops.Load() {
		return driver.ErrBadConn
	}
	return nil
}

// CheckNamedValue lets the driver take what database/sql does not know, such as
// arrays.
func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	return driver.ErrSkip
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	s, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &stmt{Stmt: s, query: query, faults: c.faults}, nil
}

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	if err := c.faults.onExec("BEGIN", nil); err != nil {
		return nil, err
	}
	under, err := c.Conn.(driver.ConnBeginTx).BeginTx(ctx, opts)
	if err != nil {
		return nil, err
	}
	return &tx{Tx: under, faults: c.faults, readOnly: opts.ReadOnly}, nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if err := c.faults.onExec(query, args); err != nil {
		return nil, err
	}
	return c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if err := c.faults.onExec(query, args); err != nil {
		return nil, err
	}
	return c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
}

type stmt struct {
	driver.Stmt
	query  string
	faults *Faults
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	if err := s.faults.onExec(s.query, args); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtExecContext).ExecContext(ctx, args)
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	if err := s.faults.onExec(s.query, args); err != nil {
		return nil, err
	}
	return s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
}

type tx struct {
	driver.Tx
	faults   *Faults
	readOnly bool
}

func (t *tx) Commit() error {
	if t.readOnly {
		return t.Tx.Commit()
	}
	if err := t.faults.onCommit(&t.faults.beforeCommit); err != nil {
		return errors.Join(err, t.Tx.Rollback())
	}
	if err := t.Tx.Commit(); err != nil {
		return err
	}
	return t.faults.onCommit(&t.faults.afterCommit)
}

// holds reports whether a statement is about a text: in a place of its own, or
// in an array.
func holds(args []driver.NamedValue, text string) bool {
	return slices.ContainsFunc(args, func(a driver.NamedValue) bool {
		list, _ := a.Value.([]string)
		return a.Value == text || slices.Contains(list, text)
	})
}

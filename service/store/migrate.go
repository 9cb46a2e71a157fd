package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
)

// ErrNewerSchema is why an older program does not touch a newer database.
var ErrNewerSchema = errors.New("store: the database is newer than this program")

// ErrOlderSchema is why a store is not opened that nobody has migrated yet.
var ErrOlderSchema = errors.New("store: the database is older than this program")

// Migrate brings a database's schema up to date, and tells the version it had
// and the one it has. Whoever migrates the same server at the same time waits.
//
// Migrations only add (expand); what nothing reads any more goes in a later
// release (contract): replicas of the release before go on meanwhile.
func Migrate(ctx context.Context, o Options) (from, to int64, err error) {
	o, err = o.withDefaults()
	if err != nil {
		return 0, 0, err
	}
	o.migrating = true
	engine, err := dialectOf(o)
	if err != nil {
		return 0, 0, err
	}
	if engine.embedded {
		if err := engine.create(o.Path); err != nil {
			return 0, 0, err
		}
	}
	m, err := engine.schema(o, engine.writer)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, m.db.Close()) }()
	if len(engine.lock) > 0 {
		conn, err := m.db.Conn(ctx)
		if err != nil {
			return 0, 0, engine.troubled("reaching the database", err)
		}
		defer conn.Close() // which gives back the lock
		if err := engine.alone(ctx, conn); err != nil {
			return 0, 0, err
		}
	}
	from, to, err = m.GetVersions(ctx)
	if err != nil {
		return 0, 0, engine.troubled("reading the schema version", err)
	}
	if from > to {
		return from, to, fmt.Errorf("%w: schema %d, this program knows %d", ErrNewerSchema, from, to)
	}
	if _, err := m.Up(ctx); err != nil {
		return from, to, engine.troubled("migrating", err)
	}
	return from, to, nil
}

// alone waits until nobody else migrates.
func (e dialect) alone(ctx context.Context, conn *sql.Conn) error {
	const doing = "waiting for another migration"
	var got sql.NullInt64
	for _, statement := range e.lock[:len(e.lock)-1] {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return e.troubled(doing, err)
		}
	}
	if err := conn.QueryRowContext(ctx, e.lock[len(e.lock)-1]).Scan(&got); err != nil {
		return e.troubled(doing, err)
	}
	if got.Int64 != 1 {
		return errors.New("store: another migration does not end")
	}
	return nil
}

// schema is a database's, on a connection of their own.
type schema struct {
	*goose.Provider
	db *sql.DB
}

func (e dialect) schema(o Options, source func(Options) (string, error)) (m schema, err error) {
	dsn, err := source(o)
	if err != nil {
		return m, err
	}
	if m.db, err = o.Open(e.driver, dsn); err != nil {
		return m, e.troubled("opening the database", err)
	}
	m.Provider, err = goose.NewProvider(e.goose, m.db, e.migrations,
		goose.WithTableName("migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return m, errors.Join(fmt.Errorf("store: reading the migrations: %w", err), m.db.Close())
	}
	return m, nil
}

// current looks whether the schema is the one this program knows, and changes
// nothing: goose would create its table.
func (d *DB) current(ctx context.Context) (err error) {
	m, err := d.dialect.schema(d.opts, d.dialect.reader)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, m.db.Close()) }()
	known := m.ListSources()
	want := known[len(known)-1].Version
	fix := "`wxnotify migrate` brings it up to date"
	if d.dialect.embedded {
		fix = "start `wxnotify serve` once to bring it up to date"
	}
	var have int64
	switch err := m.db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM migrations").Scan(&have); {
	case err != nil && d.dialect.missing(err):
	case err != nil:
		return d.dialect.troubled("reading the schema version", err)
	case have > want:
		return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewerSchema, have, want)
	}
	if have < want {
		return fmt.Errorf("%w: schema %d, this program knows %d; %s", ErrOlderSchema, have, want, fix)
	}
	return nil
}

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
	if engine.lock != "" {
		conn, err := m.db.Conn(ctx)
		if err != nil {
			return 0, 0, fmt.Errorf("store: reaching the database: %s: %w", engine.explain(err), err)
		}
		defer conn.Close() // which gives back the lock
		if _, err := conn.ExecContext(ctx, engine.lock); err != nil {
			return 0, 0, fmt.Errorf("store: waiting for another migration: %w", err)
		}
	}
	from, to, err = m.GetVersions(ctx)
	if err != nil {
		return 0, 0, fmt.Errorf("store: reading the schema version: %w", err)
	}
	if from > to {
		return from, to, fmt.Errorf("%w: schema %d, this program knows %d", ErrNewerSchema, from, to)
	}
	if _, err := m.Up(ctx); err != nil {
		return from, to, fmt.Errorf("store: migrating: %w", err)
	}
	return from, to, nil
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
		return m, fmt.Errorf("store: opening the database: %w", err)
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
		return fmt.Errorf("store: reading the schema version: %w", err)
	case have > want:
		return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewerSchema, have, want)
	}
	if have < want {
		return fmt.Errorf("%w: schema %d, this program knows %d; %s", ErrOlderSchema, have, want, fix)
	}
	return nil
}

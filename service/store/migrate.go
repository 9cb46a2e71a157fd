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

// ErrOlderSchema is why a command does not open a store that the service beside
// it has not migrated.
var ErrOlderSchema = errors.New("store: the database is older than this program")

// migrate brings the schema up to date, on a connection of its own. Beside a
// running service it only looks whether the schema is.
func (d *DB) migrate(ctx context.Context) (err error) {
	source := d.dialect.writer
	if d.opts.Beside {
		source = d.dialect.reader
	}
	db, err := d.opts.Open(d.dialect.driver, source(d.opts.Path))
	if err != nil {
		return fmt.Errorf("store: opening the database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(d.dialect.goose, db, d.dialect.migrations,
		goose.WithTableName("migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("store: reading the migrations: %w", err)
	}
	have, want, err := d.versions(ctx, db, provider)
	switch {
	case err != nil:
		return fmt.Errorf("store: reading the schema version: %w", err)
	case have > want:
		return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewerSchema, have, want)
	case d.opts.Beside && have < want:
		return fmt.Errorf("%w: schema %d, this program knows %d; start `wxnotify serve` once to bring it up to date", ErrOlderSchema, have, want)
	case d.opts.Beside:
		return nil
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("store: migrating: %w", err)
	}
	return nil
}

// versions reads the schema's version and the newest that this program knows.
// Beside a running service goose is not asked: it would create its table.
func (d *DB) versions(ctx context.Context, db *sql.DB, provider *goose.Provider) (have, want int64, err error) {
	if !d.opts.Beside {
		return provider.GetVersions(ctx)
	}
	known := provider.ListSources()
	err = db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM migrations").Scan(&have)
	return have, known[len(known)-1].Version, err
}

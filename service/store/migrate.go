package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/pressly/goose/v3"
)

// ErrNewerSchema is why an older program does not touch a newer database.
var ErrNewerSchema = errors.New("store: the database is newer than this program")

// migrate brings the schema up to date, on a connection of its own.
func (d *DB) migrate(ctx context.Context) (err error) {
	db, err := d.opts.Open(d.dialect.driver, d.dialect.writer(d.opts.Path))
	if err != nil {
		return fmt.Errorf("store: opening the database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	provider, err := goose.NewProvider(d.dialect.goose, db, d.dialect.migrations,
		goose.WithTableName("migrations"), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		return fmt.Errorf("store: reading the migrations: %w", err)
	}
	have, want, err := provider.GetVersions(ctx)
	if err != nil {
		return fmt.Errorf("store: reading the schema version: %w", err)
	}
	if have > want {
		return fmt.Errorf("%w: schema %d, this program knows %d", ErrNewerSchema, have, want)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("store: migrating: %w", err)
	}
	return nil
}

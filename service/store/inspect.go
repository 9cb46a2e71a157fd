package store

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"time"

	"github.com/jmoiron/sqlx"
)

// Inspection is what [Inspect] finds in a database.
type Inspection struct {
	Engine      string // what the database says of itself and its commits
	Schema      int64  // version of the newest migration in the database
	Outstanding int64  // notifications that have not been accepted (未入账)
}

// Inspect looks into a database without changing it, also beside a running
// service. A database that is no store of ours is an error.
func Inspect(ctx context.Context, o Options) (i Inspection, err error) {
	if o, err = o.withDefaults(); err != nil {
		return i, err
	}
	engine, err := dialectOf(o)
	if err != nil {
		return i, err
	}
	source, look := engine.reader, engine.guard
	if engine.embedded { // durable commits are a connection's setting, not the file's
		source, look = sqliteReadOnly, sqliteVersion
	} else if err := (&DB{opts: o, dialect: engine}).current(ctx); err != nil {
		return i, err
	}
	dsn, err := source(o)
	if err != nil {
		return i, err
	}
	raw, err := o.Open(engine.driver, dsn)
	if err != nil {
		return i, engine.troubled("opening the database", err)
	}
	db := sqlx.NewDb(raw, engine.binds)
	defer func() { err = errors.Join(err, db.Close()) }()
	if i.Engine, err = look(engine.readBack(ctx, db)); err != nil {
		return i, err
	}
	if err := db.GetContext(ctx, &i.Schema, "SELECT max(version_id) FROM migrations"); err != nil {
		return i, engine.troubled("looking into the database", err)
	}
	if err := db.GetContext(ctx, &i.Outstanding, db.Rebind("SELECT count(*)"+sqlOpen), micros(time.Now().Add(-watchTime))); err != nil {
		return i, engine.troubled("looking into the database", err)
	}
	return i, nil
}

// sqliteReadOnly touches nothing, not even the write-ahead log's mode.
func sqliteReadOnly(o Options) (string, error) {
	abs, err := filepath.Abs(o.Path)
	if err != nil {
		return "", fmt.Errorf("store: %w", err)
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: "mode=ro&_pragma=busy_timeout(1000)"}
	return file.String(), nil
}

func sqliteVersion(read readBack) (version string, err error) {
	err = read(map[string]*string{"SELECT sqlite_version()": &version})
	return "SQLite " + version, err
}

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
	SQLite      string // version of the library that serve would use
	Schema      int64  // version of the newest migration in the database
	Outstanding int64  // notifications that have not been accepted (未入账)
}

// Inspect looks into a database without changing it, also beside a running
// service. A database that is no store of ours is an error.
func Inspect(ctx context.Context, path string) (i Inspection, err error) {
	abs, err := filepath.Abs(path)
	if err != nil {
		return i, fmt.Errorf("store: %w", err)
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(abs), RawQuery: "mode=ro&_pragma=busy_timeout(1000)"}
	db, err := sqlx.Open("sqlite", file.String())
	if err != nil {
		return i, fmt.Errorf("store: opening the database: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	for _, q := range []struct {
		into  any
		query string
		args  []any
	}{
		{&i.SQLite, "SELECT sqlite_version()", nil},
		{&i.Schema, "SELECT max(version_id) FROM migrations", nil},
		{&i.Outstanding, "SELECT count(*)" + sqlOpen, []any{micros(time.Now().Add(-watchTime))}},
	} {
		if err := db.GetContext(ctx, q.into, q.query, q.args...); err != nil {
			return i, fmt.Errorf("store: looking into the database: %w", err)
		}
	}
	return i, nil
}

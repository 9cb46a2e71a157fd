package store

import (
	"context"
	"io/fs"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
)

// dialect is what truly differs between the engines. The algorithm and its
// statements are written once, in the words that SQLite and PostgreSQL share;
// an engine without them brings its own texts for the statements it lacks.
type dialect struct {
	driver     string
	binds      string // the name by which sqlx knows the engine's placeholders
	goose      goose.Dialect
	migrations fs.FS

	// create makes what must be there before the engine opens the database. It
	// leaves alone what there is.
	create func(path string) error
	// writer and reader make the data source names. The writer has one
	// connection, whose transactions take the write lock when they begin.
	writer, reader func(path string) string
	// files lists what lies on this machine's disk while the database is open.
	files func(path string) []string
	// inserter makes ready what inserts, on the writer's connection.
	inserter func(ctx context.Context, db *sqlx.DB) (inserter, error)
	// guard reads back that a commit is durable, and refuses otherwise.
	guard func(ctx context.Context, db *sqlx.DB) error
	// rejects reports whether the engine refused the data: another row may
	// pass. Anything else is the connection's, the disk's or the server's fault.
	rejects func(error) bool
	// explain says what was wrong with the engine, in words that hold no data.
	explain func(error) string
	// patient statements end by themselves, so they need not watch a context:
	// with SQLite that would cost a goroutine each, and stop no wait for the disk.
	patient bool
	// checkpoint is run once, after the last commit.
	checkpoint string
}

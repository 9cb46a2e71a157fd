package store

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"net/url"

	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
)

// dialect is what truly differs between the engines. The algorithm and its
// statements are written once, in the words that all of them share.
type dialect struct {
	driver     string
	binds      string // the name by which sqlx knows the engine's placeholders
	goose      goose.Dialect
	migrations fs.FS

	// embedded engines live in a file of ours, which the service creates and
	// migrates by itself. Servers are migrated by a step of its own.
	embedded bool
	// create makes what must be there before an embedded engine opens the
	// database. It leaves alone what there is.
	create func(path string) error
	// writer and reader make the data source names. The writer has one
	// connection, which reads what others have committed at the latest when its
	// statement begins; an embedded one takes the write lock when it begins.
	writer, reader func(o Options) (string, error)
	// lock waits for the lock on migrations, which its connection then keeps as
	// long as it lasts. The last statement answers 1.
	lock []string
	// files lists what lies on this machine's disk while the database is open.
	files func(path string) []string
	// inserter makes ready what inserts, on the writer's connection.
	inserter func(ctx context.Context, db *sqlx.DB) (inserter, error)
	// absent ends an INSERT that leaves alone what meets a unique key. The column
	// is one of the table's.
	absent func(column string) string
	// snapshot is the isolation in which several queries see one state.
	snapshot sql.IsolationLevel
	// others is the condition of the index on transaction_id, "" if it has none.
	others string
	// latest asks for the last callback of each merchant without reading them all.
	latest string
	// guard reads back that a commit is durable, refuses otherwise, and tells
	// what it has read in words fit for a record.
	guard func(read readBack) (string, error)
	// missing reports whether the table that a query names is not there.
	missing func(error) bool
	// rejects reports whether the engine refused the data: another row may
	// pass. Anything else is the connection's, the disk's or the server's fault.
	rejects func(error) bool
	// transient reports whether the same transaction may pass at once: writers
	// met, and this one was chosen to give way.
	transient func(error) bool
	// blocked reports whether another client held what was wanted, and did not
	// let go. What wants something else may pass.
	blocked func(error) bool
	// hurry has the statements that follow in a transaction hardly wait for
	// another client; calm, unless it is empty, ends that.
	hurry, calm string
	// explain says what was wrong with the engine, in words that hold no data.
	explain func(error) string
	// fault is a server's code for an error and its own message, which may name
	// values; "" for what no server has said.
	fault func(error) (code, message string)
	// patient statements end by themselves, so they need not watch a context:
	// with SQLite that would cost a goroutine each, and stop no wait for the disk.
	patient bool
	// checkpoint is run once, after the last commit.
	checkpoint string
}

// dialectOf chooses the engine by the scheme of the address.
func dialectOf(o Options) (dialect, error) {
	if o.URL == "" {
		return sqliteDialect(), nil
	}
	if u, err := url.Parse(o.URL); err == nil { // its error would quote the address, with the password
		switch u.Scheme {
		case "postgres", "postgresql":
			return postgresDialect(), nil
		case "mysql", "mariadb":
			return mysqlDialect(), nil
		}
	}
	return dialect{}, errors.New("store: the address of the database must begin with postgres:// or mysql://")
}

// embeddedMigrations is a folder of the embedded migrations.
func embeddedMigrations(in fs.FS, folder string) fs.FS {
	migrations, err := fs.Sub(in, folder)
	if err != nil {
		panic(err) // the embedded folder's name is a constant
	}
	return migrations
}

// onConflict is how SQLite and PostgreSQL leave alone what is there.
func onConflict(string) string { return " ON CONFLICT DO NOTHING" }

// readBack asks what the server is set to, by query.
type readBack func(settings map[string]*string) error

func (e dialect) readBack(ctx context.Context, db *sqlx.DB) readBack {
	return func(settings map[string]*string) error {
		for query, value := range settings {
			if err := db.GetContext(ctx, value, query); err != nil {
				return e.troubled("reading back the settings", err)
			}
		}
		return nil
	}
}

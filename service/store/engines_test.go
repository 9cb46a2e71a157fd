//go:build stack

package store_test

import (
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
	"wxnotify/service/store/storetest/server"
)

// What holds for SQLite holds for the servers.
func TestEngines(t *testing.T) {
	t.Parallel()
	for _, e := range server.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			storetest.Run(t, remote(e))
		})
	}
}

// What other clients of a server do to our rows.
func TestRivals(t *testing.T) {
	t.Parallel()
	for _, e := range server.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			storetest.RunRivals(t, rivals(e))
		})
	}
}

// drivers are those of the store.
var drivers = map[server.Engine]string{server.PostgreSQL: "pgx", server.MariaDB: "wxnotify-mysql"}

// remote is an engine that is a server.
func remote(e server.Engine) storetest.Engine {
	return storetest.Engine{
		Options: func(t testing.TB) store.Options {
			o := store.Options{URL: server.Shared(t, e).Database(t), SpoolPath: filepath.Join(t.TempDir(), "spool")}
			if _, _, err := store.Migrate(t.Context(), o); err != nil {
				t.Fatal(err)
			}
			return o
		},
		Raw: func(t testing.TB, o store.Options) *sqlx.DB {
			db, err := sqlx.Open(drivers[e], store.DSN(o))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		},
		Crash: func(t testing.TB, o store.Options) store.Options {
			copied := o
			copied.SpoolPath = filepath.Join(t.TempDir(), "spool")
			content, err := os.ReadFile(o.SpoolPath)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(copied.SpoolPath, content, 0o600); err != nil {
				t.Fatal(err)
			}
			return copied
		},
	}
}

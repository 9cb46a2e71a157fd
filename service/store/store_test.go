package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	storetest.Run(t, sqlite())
}

// sqlite is the first engine.
func sqlite() storetest.Engine {
	return storetest.Engine{
		Options: func(t testing.TB) store.Options {
			dir := t.TempDir()
			return store.Options{Path: filepath.Join(dir, "wxnotify.db"), SpoolPath: filepath.Join(dir, "spool")}
		},
		Raw: func(t testing.TB, o store.Options) *sqlx.DB {
			db, err := sqlx.Open("sqlite", "file:"+o.Path+"?_pragma=query_only(1)&_pragma=busy_timeout(5000)")
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = db.Close() })
			return db
		},
		Crash: func(t testing.TB, o store.Options) store.Options {
			dir := t.TempDir()
			copied := o
			copied.Path, copied.SpoolPath = filepath.Join(dir, "wxnotify.db"), filepath.Join(dir, "spool")
			for from, to := range map[string]string{
				o.Path: copied.Path, o.Path + "-wal": copied.Path + "-wal", o.SpoolPath: copied.SpoolPath,
			} {
				content, err := os.ReadFile(from)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(to, content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			return copied
		},
	}
}

package store_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
)

func TestOpenRefusesUnsafeSettings(t *testing.T) {
	t.Parallel()
	for name, edit := range map[string]*strings.Replacer{
		"synchronous normal": strings.NewReplacer("synchronous%28FULL%29", "synchronous%28NORMAL%29"),
		"synchronous off":    strings.NewReplacer("synchronous%28FULL%29", "synchronous%28OFF%29"),
		"no write-ahead log": strings.NewReplacer("journal_mode%28WAL%29", "journal_mode%28DELETE%29"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sqlite().Options(t)
			o.Open = func(driver, dsn string) (*sql.DB, error) {
				if edited := edit.Replace(dsn); edited != dsn {
					return sql.Open(driver, edited)
				}
				return nil, errors.New("the setting is not asked for by name")
			}
			if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrUnsafe) {
				t.Errorf("opened: %v", err)
			}
		})
	}
}

func TestOpenRefusesNewerSchema(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	db := mustOpen(t, o)
	if err := db.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", o.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	if _, err := raw.Exec(`INSERT INTO migrations (version_id, is_applied) VALUES (99999, 1)`); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), o); !errors.Is(err, store.ErrNewerSchema) {
		t.Errorf("opened: %v", err)
	}
}

func TestOpenErrors(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*store.Options){
		"no path":            func(o *store.Options) { o.Path = "" },
		"no such directory":  func(o *store.Options) { o.Path = filepath.Join(o.Path, "none", "db") },
		"no spool directory": func(o *store.Options) { o.SpoolPath = filepath.Join(o.SpoolPath, "none", "spool") },
		"not a database": func(o *store.Options) {
			if err := os.WriteFile(o.Path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"a driver that panics": func(o *store.Options) {
			open := o.Open
			calls := 0
			o.Open = func(driver, dsn string) (*sql.DB, error) {
				if calls++; calls > 1 {
					panic("driver")
				}
				if open == nil {
					open = sql.Open
				}
				return open(driver, dsn)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sqlite().Options(t)
			change(&o)
			if db, err := store.Open(t.Context(), o); err == nil {
				t.Error("opened")
				_ = db.Close(context.Background())
			}
		})
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	mustOpen(t, o)
	rows, err := sqlite().Raw(t, o).Query(`SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	if want := "[attempts callbacks incidents leases migrations notifications orders outbox]"; fmt.Sprint(names) != want {
		t.Errorf("tables %v, want %s", names, want)
	}
}

// The queries that are asked every few seconds, or by a person who waits, must
// not read a whole table.
func TestQueriesUseIndexes(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	mustOpen(t, o)
	raw := sqlite().Raw(t, o)
	for _, query := range store.IndexedQueries(o) {
		for _, step := range plan(t, raw.DB, query) {
			for _, table := range []string{"callbacks", "c", "notifications"} {
				if step == "SCAN "+table {
					t.Errorf("%s\nreads all of %s", query, table)
				}
			}
		}
	}
}

// plan is how SQLite would answer a query, step by step.
func plan(t *testing.T, raw *sql.DB, query string) (steps []string) {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = "1"
	}
	rows, err := raw.Query("EXPLAIN QUERY PLAN "+query, args...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, parent, unused int
		var step string
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return steps
}

// A full disk: the spool has its blocks already, and takes over.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	var full atomic.Bool
	full.Store(true)
	o := sqlite().Options(t)
	o.SpoolSize = 1 << 20
	o.Open = func(driver, dsn string) (*sql.DB, error) {
		if full.Load() {
			dsn += "&_pragma=max_page_count(100)"
		}
		return sql.Open(driver, dsn)
	}
	db := mustOpen(t, o)
	accepted, spooled := 0, 0
	for i := 0; spooled < 5; i++ {
		entry := storetest.Arrive(storetest.Payment(fmt.Sprint(i), 100))
		entry.Body.Bytes = []byte(strings.Repeat("x", 4000))
		_, err := db.Record(t.Context(), entry)
		if err == nil {
			accepted++
			continue
		}
		r := callback.AsRefusal(err)
		if r.Reason != callback.ReasonStoreUnavailable || !r.Trail.Spooled {
			t.Fatalf("refused for %s, trail %+v", r.Reason, r.Trail)
		}
		spooled++
	}
	if h := db.Health(t.Context()); h.Database == nil || !h.Recordable {
		t.Errorf("health %+v", h)
	}
	full.Store(false)
	raw := sqlite().Raw(t, o)
	eventually(t, func() bool { return number(t, raw.DB, `SELECT count(*) FROM callbacks`) == accepted+spooled })
	list, err := db.Outstanding(t.Context(), 100)
	if err != nil || len(list) != spooled {
		t.Errorf("%d outstanding of %d: %v", len(list), spooled, err)
	}
}

func mustOpen(t testing.TB, o store.Options) *store.DB {
	t.Helper()
	if o.SpoolSize == 0 {
		o.SpoolSize = 64 << 10
	}
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := db.Close(ctx); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return db
}

func eventually(t testing.TB, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(15 * time.Second); !ok(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal("not in time")
		}
	}
}

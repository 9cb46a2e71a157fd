package store_test

import (
	"database/sql"
	"errors"
	"os"
	"strings"
	"testing"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
)

// beside is how a command opens the store that o opens for the service.
func beside(o store.Options) store.Options {
	return store.Options{Path: o.Path, Beside: true}
}

// The log belongs to the service: a checkpoint from outside would hold up its
// commits.
func TestBesideLeavesTheLog(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	service := mustOpen(t, o)
	if _, err := service.Record(t.Context(), storetest.Arrive(storetest.Payment("1", 100))); err != nil {
		t.Fatal(err)
	}
	size := func() int64 {
		info, err := os.Stat(o.Path + "-wal")
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	before := size()
	command, err := store.Open(t.Context(), beside(o))
	if err != nil {
		t.Fatal(err)
	}
	if found, err := command.Outstanding(t.Context(), 10); err != nil || len(found) != 0 {
		t.Errorf("%d outstanding, %v", len(found), err)
	}
	if err := command.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if after := size(); before == 0 || after != before {
		t.Errorf("the log has %d bytes and had %d", after, before)
	}
	if _, err := service.Record(t.Context(), storetest.Arrive(storetest.Payment("2", 100))); err != nil {
		t.Errorf("the service beside: %v", err)
	}
}

func TestBesideRefusesAnotherSchema(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change string
		want   error
		text   string
	}{
		"older": {`DELETE FROM migrations WHERE version_id > 0`, store.ErrOlderSchema, "start `wxnotify serve` once to bring it up to date"},
		"newer": {`INSERT INTO migrations (version_id, is_applied) VALUES (99999, 1)`, store.ErrNewerSchema, "this program knows"},
		"none":  {`DROP TABLE migrations`, store.ErrOlderSchema, "start `wxnotify serve` once to bring it up to date"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sqlite().Options(t)
			mustOpen(t, o)
			raw, err := sql.Open("sqlite", o.Path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = raw.Close() }()
			if _, err := raw.Exec(tt.change); err != nil {
				t.Fatal(err)
			}
			before := schema(t, raw)
			_, err = store.Open(t.Context(), beside(o))
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("opened: %v", err)
			}
			if after := schema(t, raw); after != before {
				t.Errorf("migrated beside the service:\n%s\nbefore:\n%s", after, before)
			}
		})
	}
}

// schema is every table and index, and what is known of the migrations.
func schema(t *testing.T, raw *sql.DB) (all string) {
	t.Helper()
	if err := raw.QueryRow(`SELECT group_concat(sql, char(10)) FROM sqlite_schema`).Scan(&all); err != nil {
		t.Fatal(err)
	}
	var versions int
	if strings.Contains(all, "migrations") {
		versions = number(t, raw, `SELECT count(*) FROM migrations`)
	}
	return all + strings.Repeat("!", versions)
}

func TestBesideMakesNoDatabase(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	if _, err := store.Open(t.Context(), beside(o)); err == nil {
		t.Error("opened")
	}
	if _, err := os.Stat(o.Path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("it is there: %v", err)
	}
}

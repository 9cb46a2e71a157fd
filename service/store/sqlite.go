package store

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlitelib "modernc.org/sqlite/lib"
)

//go:embed migrations/sqlite/*.sql
var sqliteMigrations embed.FS

// ErrUnsafe is why a store refuses to serve: a commit would not be durable.
var ErrUnsafe = errors.New("store: commits would not be durable")

// sqliteOldest is the first release without the WAL-reset race, which could
// corrupt a database. Source: https://sqlite.org/wal.html#walresetbug
const sqliteOldest = "3.51.3"

func sqliteDialect() dialect {
	return dialect{
		driver:     "sqlite",
		binds:      "sqlite3",
		goose:      goose.DialectSQLite3,
		migrations: embeddedMigrations(sqliteMigrations, "migrations/sqlite"),
		embedded:   true,
		create:     sqliteCreate,
		writer: func(o Options) (string, error) {
			return sqliteDSN(o.Path, url.Values{"_txlock": {"immediate"}}, "journal_size_limit(67108864)",
				// A page that many commits write is copied home once in 16 MiB of log,
				// and a full batch fits into memory.
				"wal_autocheckpoint(4000)", "cache_size(-16384)"), nil
		},
		reader: func(o Options) (string, error) {
			return sqliteDSN(o.Path, nil, "query_only(1)"), nil
		},
		files:      func(path string) []string { return []string{path, path + "-wal"} },
		inserter:   prepareRowwise,
		absent:     onConflict,
		others:     unlessPayment,
		latest:     sqlLatestByWalking,
		guard:      sqliteGuard,
		missing:    func(err error) bool { return strings.Contains(err.Error(), "no such table") },
		rejects:    sqliteRejects,
		transient:  func(error) bool { return false }, // there is one writer
		blocked:    func(error) bool { return false }, // and it has one lock for everything
		explain:    sqliteExplain,
		patient:    true, // no lock is waited for longer than busy_timeout
		checkpoint: "PRAGMA wal_checkpoint(TRUNCATE)",
	}
}

// sqliteCreate makes an empty database that is nobody else's to read: it names
// orders and amounts. SQLite would make it by the umask, and gives the files
// beside it the mode of this one. What exists is not even opened, because to
// close it again would end the locks of this process's other connections.
// Source: https://sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_
func sqliteCreate(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("store: creating the database: %w", err)
	}
	return f.Close()
}

// sqliteDSN opens what exists, and never makes a database by the way.
//
// It sets synchronous=FULL by name although it is this driver's default:
// under NORMAL a power cut takes back commits that were answered, and other
// drivers default to it. Source: https://sqlite.org/pragma.html#pragma_synchronous
func sqliteDSN(path string, q url.Values, pragmas ...string) string {
	if q == nil {
		q = url.Values{}
	}
	q["_pragma"] = append([]string{
		"busy_timeout(1000)", "journal_mode(WAL)", "synchronous(FULL)", "mmap_size(0)",
	}, pragmas...)
	q.Set("mode", "rw")
	if abs, err := filepath.Abs(path); err == nil {
		path = abs
	}
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path), RawQuery: q.Encode()}
	return file.String()
}

// sqliteGuard trusts nothing that was asked for: it reads back what is.
func sqliteGuard(read readBack) (string, error) {
	var version, journal, synchronous string
	if err := read(map[string]*string{
		"SELECT sqlite_version()": &version,
		"PRAGMA journal_mode":     &journal,
		"PRAGMA synchronous":      &synchronous,
	}); err != nil {
		return "", err
	}
	switch {
	case olderVersion(version, sqliteOldest):
		return "", fmt.Errorf("%w: SQLite %s is older than %s, which can corrupt a WAL", ErrUnsafe, version, sqliteOldest)
	case journal != "wal":
		return "", fmt.Errorf("%w: journal_mode is %q, not wal", ErrUnsafe, journal)
	case synchronous != "2": // FULL
		return "", fmt.Errorf("%w: synchronous is %s, not 2 (FULL)", ErrUnsafe, synchronous)
	}
	return fmt.Sprintf("SQLite %s, journal_mode wal, synchronous FULL", version), nil
}

// olderVersion compares dotted numbers; what it cannot read counts as older.
func olderVersion(v, than string) bool {
	have, want := strings.Split(v, "."), strings.Split(than, ".")
	for i := range want {
		if i >= len(have) {
			return true
		}
		h, err := strconv.Atoi(have[i])
		w, _ := strconv.Atoi(want[i])
		if err != nil || h < w {
			return true
		}
		if h > w {
			return false
		}
	}
	return false
}

// sqliteExplain gives the result code's own words, such as "database is locked
// (SQLITE_BUSY)". The error's full text may name columns and values.
func sqliteExplain(err error) string {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return ""
	}
	if text, ok := sqlite.ErrorCodeString[e.Code()]; ok {
		return text
	}
	return sqlite.ErrorCodeString[e.Code()&0xff]
}

func sqliteRejects(err error) bool {
	var e *sqlite.Error
	if !errors.As(err, &e) {
		return false
	}
	switch e.Code() & 0xff { // the primary code of an extended one
	case sqlitelib.SQLITE_CONSTRAINT, sqlitelib.SQLITE_TOOBIG, sqlitelib.SQLITE_MISMATCH, sqlitelib.SQLITE_RANGE:
		return true
	}
	return false
}

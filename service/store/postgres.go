package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/postgres/*.sql
var postgresMigrations embed.FS

func postgresDialect() dialect {
	return dialect{
		driver:     "pgx",
		binds:      "pgx",
		goose:      goose.DialectPostgres,
		migrations: embeddedMigrations(postgresMigrations, "migrations/postgres"),
		writer: func(o Options) (string, error) {
			return postgresDSN(o, map[string]string{"lock_timeout": strconv.Itoa(o.lockWait()) + "s"})
		},
		reader: func(o Options) (string, error) {
			return postgresDSN(o, map[string]string{"default_transaction_read_only": "on"})
		},
		lock: []string{
			`SET lock_timeout = 0`,
			`SELECT CASE WHEN pg_advisory_lock(hashtext('wxnotify migrations'))::text IS NULL THEN 0 ELSE 1 END`,
		},
		inserter:  func(context.Context, *sqlx.DB) (inserter, error) { return newUnnest(), nil },
		absent:    onConflict,
		others:    unlessPayment,
		latest:    sqlLatestByWalking,
		snapshot:  sql.LevelRepeatableRead,
		guard:     postgresGuard,
		missing:   func(err error) bool { return postgresCode(err) == "42P01" },
		rejects:   postgresRejects,
		transient: postgresTransient,
		blocked:   func(err error) bool { return postgresCode(err) == "55P03" },
		hurry:     "SET LOCAL lock_timeout = '10ms'", // 0 would be for ever
		explain:   postgresExplain,
		fault:     postgresFault,
	}
}

// postgresIdle is a setting: a replica that stands still in mid-transaction holds
// its rows no longer, for which the others wait while their callbacks have 2.5 s.
// Off by default, it also tells whether settings arrive.
const postgresIdle = "idle_in_transaction_session_timeout"

// postgresDSN adds the session's settings to the operator's address.
func postgresDSN(o Options, with map[string]string) (string, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return "", errors.New("store: the address of the database cannot be read: write postgres://USER@HOST:5432/DATABASE")
	}
	q := u.Query()
	with["application_name"] = "wxnotify"
	with["default_transaction_isolation"] = "read committed" // what another replica has committed is seen by the next statement
	with[postgresIdle] = "1s"
	with["connect_timeout"] = "3"
	for name, value := range with {
		if !q.Has(name) || name == "default_transaction_isolation" || name == "default_transaction_read_only" {
			q.Set(name, value)
		}
	}
	u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // a plus is a plus to PostgreSQL
	return u.String(), nil
}

// postgresGuard refuses what a crash of the server could take back.
// Source: https://www.postgresql.org/docs/current/wal-async-commit.html
func postgresGuard(read readBack) (string, error) {
	var version, fsync, synchronous, standby, isolation, idle string
	if err := read(map[string]*string{
		"SHOW server_version":              &version,
		"SHOW fsync":                       &fsync,
		"SHOW synchronous_commit":          &synchronous,
		"SHOW transaction_isolation":       &isolation,
		"SHOW " + postgresIdle:             &idle,
		"SELECT pg_is_in_recovery()::text": &standby,
	}); err != nil {
		return "", err
	}
	switch {
	case standby == "true":
		return "", errors.New("store: the PostgreSQL server is a standby, which takes no writes; name the primary")
	case fsync != "on":
		return "", fmt.Errorf("%w: the PostgreSQL server runs with fsync=%s; switch it on in postgresql.conf", ErrUnsafe, fsync)
	case synchronous == "off":
		return "", fmt.Errorf("%w: PostgreSQL's synchronous_commit is off for this user or database; ALTER ROLE USER SET synchronous_commit = on", ErrUnsafe)
	case isolation != "read committed" || idle == "0":
		return "", fmt.Errorf("store: PostgreSQL's transaction_isolation is %q and %s is %q, which is not what was asked for: is there a pooler between that drops the settings of a session? Name the server itself in store.url", isolation, postgresIdle, idle)
	}
	return fmt.Sprintf("PostgreSQL %s, fsync %s, synchronous_commit %s", version, fsync, synchronous), nil
}

// postgresCode is the SQLSTATE of a server's error.
func postgresCode(err error) string {
	var e *pgconn.PgError
	if !errors.As(err, &e) || len(e.Code) != 5 {
		return ""
	}
	return e.Code
}

func postgresFault(err error) (code, message string) {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code, e.Message
	}
	return "", ""
}

// postgresExplain gives the SQLSTATE and what it stands for. The error's text
// may name values. Source: https://www.postgresql.org/docs/current/errcodes-appendix.html
func postgresExplain(err error) string {
	code := postgresCode(err)
	if code == "" {
		return ""
	}
	words := map[string]string{
		"25006": "the server takes no writes",
		"08P01": "the protocol is violated",
		"28000": "the user may not log in", "28P01": "the password is wrong",
		"3D000": "there is no such database", "42P01": "a table is missing", "42501": "the user may not do this",
		"42704": "the server does not know what is named",
		"53100": "the server's disk is full", "53200": "the server is out of memory", "53300": "the server has no connection left",
		"55P03": "a lock was not to be had in time", "57014": "the statement was cancelled",
		"57P01": "the server is shutting down", "57P02": "the server is restarting after a crash", "57P03": "the server is starting or stopping",
		"57P05": "the server ended an idle session",
	}[code]
	if words == "" {
		words = "the server reported an error"
	}
	return fmt.Sprintf("%s (SQLSTATE %s)", words, code)
}

// postgresRejects knows the classes of errors that are about data: data
// exception, integrity constraint violation, program limit exceeded.
func postgresRejects(err error) bool {
	code := postgresCode(err)
	return code != "" && slices.Contains([]string{"22", "23", "54"}, code[:2])
}

// postgresTransient knows serialization_failure and deadlock_detected.
func postgresTransient(err error) bool {
	return slices.Contains([]string{"40001", "40P01"}, postgresCode(err))
}

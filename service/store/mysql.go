package store

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"embed"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jmoiron/sqlx"
	"github.com/pressly/goose/v3"
)

//go:embed migrations/mysql/*.sql
var mysqlMigrations embed.FS

func mysqlDialect() dialect {
	return dialect{
		driver:     mysqlDriver,
		binds:      "mysql",
		goose:      goose.DialectMySQL,
		migrations: embeddedMigrations(mysqlMigrations, "migrations/mysql"),
		writer:     mysqlDSN,
		reader:     mysqlDSN,
		lock:       []string{`SELECT GET_LOCK(CONCAT('wxnotify migrations ', DATABASE()), 600)`},
		inserter:   func(context.Context, *sqlx.DB) (inserter, error) { return newValues(), nil },
		absent:     func(column string) string { return fmt.Sprintf(" ON DUPLICATE KEY UPDATE %s = %[1]s", column) },
		snapshot:   sql.LevelRepeatableRead,
		latest:     sqlLatestByGroup,
		guard:      mysqlGuard,
		missing:    func(err error) bool { return mysqlNumber(err) == 1146 },
		rejects:    mysqlRejects,
		transient:  mysqlTransient,
		blocked:    func(err error) bool { return mysqlNumber(err) == 1205 },
		hurry:      mysqlWaits("IF(version() LIKE '%MariaDB%', 0, 1)"), // MySQL takes no 0
		calm:       mysqlWaits(strconv.Itoa(Options{}.lockWait())),
		explain:    mysqlExplain,
		fault:      mysqlFault,
	}
}

// The engine leaps from group to group along the index ("Using index for
// group-by"). It does not in a subquery that depends on a row outside: what the
// others do would read the whole index, once for each merchant.
const sqlLatestByGroup = `SELECT merchant, max(received_at) AS at FROM callbacks GROUP BY merchant`

// mysqlDriver is the driver with our session settings, some of which no data
// source name can carry.
const mysqlDriver = "wxnotify-mysql"

func init() { sql.Register(mysqlDriver, sessions{}) } //nolint:gochecknoinits // how drivers are made known

type sessions struct{}

func (s sessions) Open(dsn string) (driver.Conn, error) {
	c, err := s.OpenConnector(dsn)
	if err != nil {
		return nil, err
	}
	return c.Connect(context.Background())
}

func (sessions) OpenConnector(dsn string) (driver.Connector, error) {
	c, err := mysql.ParseDSN(dsn)
	if err != nil {
		return nil, err
	}
	c.Logger = &mysql.NopLogger{} // its lines would stand between our records; its errors say the same
	under, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return session{under}, nil
}

type session struct{ driver.Connector }

func (s session) Driver() driver.Driver { return sessions{} }

// Connect sets the isolation in the only words that all servers understand:
// what another replica has committed is seen by the next statement, and nobody
// locks the gaps between rows. A replica that stands still in mid-transaction
// holds its rows no longer, where the server can see to it: MariaDB can.
// Source: https://mariadb.com/docs/server/server-management/variables-and-modes/server-system-variables#idle_transaction_timeout
func (s session) Connect(ctx context.Context) (driver.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, greeting)
	defer cancel()
	conn, err := s.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	for _, set := range []string{
		"SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
		"SET SESSION idle_transaction_timeout = 1", // in whole seconds
	} {
		_, err := conn.(driver.ExecerContext).ExecContext(ctx, set, nil) //nolint:forcetypeassert // the driver's is one
		if err != nil && mysqlNumber(err) != unknownVariable {
			return nil, errors.Join(err, conn.Close())
		}
	}
	return conn, nil
}

// greeting is how long a server may take until it has let us in: the driver
// bounds only the way there.
const greeting = 5 * time.Second

// unknownVariable is ER_UNKNOWN_SYSTEM_VARIABLE.
const unknownVariable = 1193

// strict is what turns a value that does not fit into an error.
const strict = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION"

// mysqlDSN reads the operator's address, and asks for what the statements rely on.
func mysqlDSN(o Options) (string, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" {
		return "", errors.New("store: the address of the database cannot be read: write mysql://USER@HOST:3306/DATABASE")
	}
	c := mysql.NewConfig()
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.Net, c.Addr = "tcp", u.Host
	if u.Port() == "" {
		c.Addr = net.JoinHostPort(u.Hostname(), "3306")
	}
	c.DBName = strings.Trim(u.Path, "/")
	c.Collation = "utf8mb4_bin"
	c.ClientFoundRows = true   // an update that changes nothing has met its row all the same
	c.InterpolateParams = true // one round trip for each statement
	c.Timeout = 3 * time.Second
	if !o.migrating {
		c.ReadTimeout, c.WriteTimeout = time.Minute, time.Minute
	}
	wait := strconv.Itoa(o.lockWait())
	c.Params = map[string]string{
		"sql_mode": "'" + strict + "'", "time_zone": "'+00:00'",
		"innodb_lock_wait_timeout": wait, "lock_wait_timeout": wait, // on rows and on tables
	}
	for name, value := range u.Query() {
		switch {
		case name == "tls" && slices.Contains([]string{"true", "skip-verify", "preferred", "false"}, value[0]):
			c.TLSConfig = value[0]
		case name == "tls":
			return "", fmt.Errorf("store: the address of the database has tls=%s: write true, skip-verify, preferred or false", value[0])
		default:
			return "", fmt.Errorf("store: the address of the database has the unknown parameter %q; only tls is known", name)
		}
	}
	return c.FormatDSN(), nil
}

// mysqlGuard refuses what a crash of the server could take back.
// Sources: https://dev.mysql.com/doc/refman/8.4/en/innodb-parameters.html#sysvar_innodb_flush_log_at_trx_commit
// https://dev.mysql.com/doc/refman/8.4/en/binary-log.html (what is prepared and not in the binary log is rolled back)
func mysqlGuard(read readBack) (string, error) {
	var version, flush, method, binlog, mode, readOnly string
	if err := read(map[string]*string{
		"SELECT version()":                        &version,
		"SELECT @@innodb_flush_log_at_trx_commit": &flush,
		"SELECT @@innodb_flush_method":            &method,
		"SELECT IF(@@log_bin, @@sync_binlog, 1)":  &binlog,
		"SELECT @@sql_mode":                       &mode,
		"SELECT @@global.read_only":               &readOnly,
	}); err != nil {
		return "", err
	}
	name := "MySQL"
	if strings.Contains(version, "MariaDB") {
		name = "MariaDB"
	}
	version, _, _ = strings.Cut(version, "-")
	switch {
	case readOnly != "0":
		return "", fmt.Errorf("store: the %s server is read-only; name the primary", name)
	case flush != "1":
		return "", fmt.Errorf("%w: %s's innodb_flush_log_at_trx_commit is %s; SET GLOBAL innodb_flush_log_at_trx_commit = 1", ErrUnsafe, name, flush)
	case binlog != "1":
		return "", fmt.Errorf("%w: %s writes a binary log with sync_binlog=%s, and undoes after a crash what it does not find there; SET GLOBAL sync_binlog = 1", ErrUnsafe, name, binlog)
	case slices.Contains([]string{"nosync", "littlesync"}, strings.ToLower(method)):
		return "", fmt.Errorf("%w: %s runs with innodb_flush_method=%s; take it out of its configuration", ErrUnsafe, name, method)
	case !slices.Contains(strings.Split(mode, ","), "STRICT_ALL_TABLES"):
		return "", fmt.Errorf("%w: %s's sql_mode is %q, without STRICT_ALL_TABLES: is there a pooler between that drops the settings of a session? Name the server itself in store.url", ErrUnsafe, name, mode)
	}
	return fmt.Sprintf("%s %s, innodb_flush_log_at_trx_commit %s", name, version, flush), nil
}

// mysqlWaits sets how many seconds a statement waits for a row, and for a table.
func mysqlWaits(seconds string) string {
	return fmt.Sprintf("SET SESSION innodb_lock_wait_timeout = %s, lock_wait_timeout = %[1]s", seconds)
}

// mysqlNumber is the number of a server's error.
func mysqlNumber(err error) uint16 {
	var e *mysql.MySQLError
	if !errors.As(err, &e) {
		return 0
	}
	return e.Number
}

func mysqlFault(err error) (code, message string) {
	var e *mysql.MySQLError
	if errors.As(err, &e) {
		return strconv.Itoa(int(e.Number)), e.Message
	}
	return "", ""
}

// mysqlExplain gives the error's number and what it stands for. Its text may
// name values. Source: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
func mysqlExplain(err error) string {
	number := mysqlNumber(err)
	if number == 0 {
		return ""
	}
	words := map[uint16]string{
		1021: "the server's disk is full", 1040: "the server has no connection left", 1041: "the server is out of memory",
		1044: "the user may not use the database", 1045: "the user or the password is wrong", 1049: "there is no such database",
		1053: "the server is shutting down", 1130: "the user may not log in from this machine", 1114: "a table is full", 1142: "the user may not do this", 1146: "a table is missing",
		1205: "a lock was not to be had in time", 1213: "writers met", 1290: "the server takes no writes", 1836: "the server takes no writes",
		1927: "the server ended the connection",
	}[number]
	if words == "" {
		words = "the server reported an error"
	}
	return fmt.Sprintf("%s (error %d)", words, number)
}

// mysqlRejects knows the errors that are about data: NULL, duplicate, too long,
// out of range, not UTF-8, a CHECK.
func mysqlRejects(err error) bool {
	return errors.Is(err, mysql.ErrPktTooLarge) ||
		slices.Contains([]uint16{1048, 1062, 1153, 1264, 1292, 1364, 1366, 1406, 3819, 4025}, mysqlNumber(err))
}

// mysqlTransient knows ER_LOCK_DEADLOCK.
func mysqlTransient(err error) bool { return mysqlNumber(err) == 1213 }

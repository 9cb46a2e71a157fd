//go:build stack

package store_test

import (
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
	"wxnotify/service/store/storetest/server"
)

// rivals is an engine with what its other clients need.
func rivals(e server.Engine) storetest.Server {
	s := storetest.Server{Engine: remote(e)}
	s.Rival = func(t testing.TB, o store.Options) *sql.DB {
		server.Shared(t, e).Exec(t, "GRANT SET ON PARAMETER deadlock_timeout TO "+server.User)
		// Who waits for so long finds a deadlock, and gives way.
		return client(t, "pgx", o.URL+"&deadlock_timeout=1min")
	}
	s.Waiting = postgresWaiting
	if e == server.MariaDB {
		s.Rival = func(t testing.TB, o store.Options) *sql.DB {
			c := mysql.NewConfig()
			c.User, c.Passwd, c.DBName = server.User, server.Password, server.Name(o.URL)
			c.Net, c.Addr = "tcp", server.Shared(t, e).Addr()
			return client(t, "mysql", c.FormatDSN())
		}
		s.Waiting = mariadbWaiting
	}
	s.Raise = raises[e]
	return s
}

func postgresWaiting(t testing.TB, o store.Options) int {
	n, err := strconv.Atoi(server.Shared(t, server.PostgreSQL).Exec(t, fmt.Sprintf(
		"SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = '%s'", server.Name(o.URL))))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var lockWait = regexp.MustCompile(`LOCK WAIT.{0,200}?thread id (\d+),`)

// mariadbWaiting asks the monitor: the table innodb_trx shows what was 0.1 s ago,
// and nothing new while somebody asks more often.
func mariadbWaiting(t testing.TB, o store.Options) (n int) {
	s := server.Shared(t, server.MariaDB)
	clients := strings.Fields(s.Exec(t, fmt.Sprintf("SELECT id FROM information_schema.processlist WHERE db = '%s'", server.Name(o.URL))))
	_, now, _ := strings.Cut(s.Exec(t, "SHOW ENGINE INNODB STATUS"), "LIST OF TRANSACTIONS")
	for _, found := range lockWait.FindAllStringSubmatch(now, -1) {
		if slices.Contains(clients, found[1]) {
			n++
		}
	}
	return n
}

func client(t testing.TB, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// raises are the errors of a server that chose us to give way. A sequence counts
// on when a transaction is undone.
var raises = map[server.Engine]map[string]func(times int) []string{
	server.PostgreSQL: {"40001": raisePostgres("40001"), "40P01": raisePostgres("40P01")},
	server.MariaDB: {"1213": func(times int) []string {
		return []string{
			"CREATE SEQUENCE raised",
			fmt.Sprintf(`CREATE TRIGGER raises BEFORE INSERT ON callbacks FOR EACH ROW
IF NEXTVAL(raised) <= %d THEN SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF`, times),
		}
	}},
}

func raisePostgres(code string) func(times int) []string {
	return func(times int) []string {
		return []string{
			"CREATE SEQUENCE raised",
			fmt.Sprintf(`CREATE FUNCTION raise() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
	IF nextval('raised') <= %d THEN RAISE 'we met' USING ERRCODE = '%s'; END IF;
	RETURN NEW;
END $$`, times, code),
			"CREATE TRIGGER raises BEFORE INSERT ON callbacks FOR EACH ROW EXECUTE FUNCTION raise()",
		}
	}
}

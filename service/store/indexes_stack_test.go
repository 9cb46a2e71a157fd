//go:build stack

package store_test

import (
	"database/sql"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest/server"
)

// What [TestQueriesUseIndexes] proves of SQLite by the plan, this proves of the
// servers by what they read: they choose a plan by the size of the tables.
func TestServersReadLittle(t *testing.T) {
	t.Parallel()
	const rows = 40_000
	for _, e := range server.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			o := remote(e).Options(t)
			raw := garden{TB: t, driver: drivers[e]}.open(&plot{Options: o}, false)
			grow(t, string(e), raw, rows, func(int64) {})
			// A destination has been away for some days, which the statistics do not know.
			raw.MustExec(`UPDATE outbox SET state = 'pending', done_at = 0 WHERE notification > 30000`)
			raw.SetMaxOpenConns(1) // what is counted belongs to a session
			var some ids
			if err := raw.Get(&some, `SELECT callback, notification_id, out_trade_no, transaction_id FROM notifications WHERE id = 20010`); err != nil {
				t.Fatal(err)
			}
			for _, query := range append(store.IndexedQueries(o), store.PurgingStatements()...) {
				read := reads[e](t, raw, literal(query, some))
				t.Logf("%6d rows: %.80q", read, query)
				if read > rows/10 {
					t.Errorf("%s\nreads %d rows of %d", query, read, rows)
				}
			}
		})
	}
}

// literal puts what is typical into a query's places: the present, the middle of
// the table, an id that is there.
func literal(query string, some ids) string {
	words := regexp.MustCompile(`LIMIT \?|(\w+) (?:<=|>=|<|>|=|<>|IN) \(?\?`)
	seq := 20_000
	return words.ReplaceAllStringFunc(query, func(term string) string {
		word, _, _ := strings.Cut(term, " ")
		value := "'1'"
		switch word {
		case "LIMIT":
			value = "10"
		case "seq":
			value = strconv.Itoa(seq)
			seq = 20_500
		case "class":
			value = "'proven'"
		case "incident":
			value = "100"
		case "counted_at", "first_at":
			value = strconv.FormatInt(time.Now().Add(-5*time.Minute).UnixMicro(), 10)
		case "received_at":
			value = strconv.FormatInt(time.Now().UnixMicro(), 10)
		case "notification_id":
			value = "'" + some.NotificationID + "'"
		case "out_trade_no":
			value = "'" + some.OutTradeNo + "'"
		case "transaction_id":
			value = "'" + some.TransactionID + "'"
		case "merchant":
			value = "'shop-1'"
		case "business_key":
			value = "'payment/" + some.TransactionID + "'"
		}
		return strings.Replace(term, "?", value, 1)
	})
}

// reads carry a statement out, undo it, and tell how many rows were read for it.
var reads = map[server.Engine]func(t *testing.T, db *sqlx.DB, statement string) int64{
	// Each step of the plan tells the rows that it gave, and those it threw away.
	server.PostgreSQL: func(t *testing.T, db *sqlx.DB, statement string) (read int64) {
		t.Helper()
		tx := db.MustBegin()
		defer tx.Rollback() //nolint:errcheck // nothing is to be kept
		var plan []string
		if err := tx.Select(&plan, "EXPLAIN (ANALYZE, TIMING OFF) "+statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		steps := regexp.MustCompile(`actual rows=(\d+) loops=(\d+)|Rows Removed by .*: (\d+)`)
		loops := int64(1)
		for _, line := range plan {
			m := steps.FindStringSubmatch(line)
			switch {
			case m == nil:
			case m[3] != "":
				n, _ := strconv.ParseInt(m[3], 10, 64)
				read = max(read, n*loops)
			default:
				n, _ := strconv.ParseInt(m[1], 10, 64)
				loops, _ = strconv.ParseInt(m[2], 10, 64)
				read = max(read, n*loops)
			}
		}
		return read
	},
	// The storage counts what the session asks it for.
	server.MariaDB: func(t *testing.T, db *sqlx.DB, statement string) int64 {
		t.Helper()
		tx := db.MustBegin()
		defer tx.Rollback() //nolint:errcheck // nothing is to be kept
		before := handled(t, tx)
		if strings.HasPrefix(statement, "DELETE") {
			tx.MustExec(statement)
		} else if err := exhaust(tx.Query(statement)); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
		return handled(t, tx) - before
	},
}

func exhaust(rows *sql.Rows, err error) error {
	if err != nil {
		return err
	}
	for rows.Next() {
	}
	return errors.Join(rows.Err(), rows.Close())
}

// handled sums up the rows that the storage was asked for.
func handled(t *testing.T, tx *sqlx.Tx) (read int64) {
	t.Helper()
	var counters []struct {
		Name  string `db:"Variable_name"`
		Count int64  `db:"Value"`
	}
	if err := tx.Select(&counters, "SHOW SESSION STATUS LIKE 'Handler_read%'"); err != nil {
		t.Fatal(err)
	}
	for _, c := range counters {
		read += c.Count
	}
	return read
}

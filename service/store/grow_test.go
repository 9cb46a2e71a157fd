package store_test

import (
	"crypto/sha512"
	"database/sql/driver"
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jmoiron/sqlx"
	modernc "modernc.org/sqlite"

	"wxnotify/service/store/storetest/server"
)

// The grown database has this many days of callbacks, and merchants.
const (
	grownDays      = 200
	grownMerchants = 20
)

// soil is how an engine generates rows by itself. Recording ten million
// callbacks would take hours.
type soil struct {
	// session makes one connection fast at this, and its || join texts.
	session []string
	// series is a table of the numbers k from %[1]d to %[2]d.
	series string
	// hash is the hexadecimal SHA-512 of the text in its place.
	hash string
	// millis is a time in microseconds as the first twelve digits of a UUIDv7.
	millis  string
	bytes   string // a text as bytes
	short   string // the first 32 bytes of a hash
	given   string // permits the number of a row to be given
	ordered string // where the engine would choose an order
	// indexes lists those that are quicker to make afterwards: name, statement.
	indexes string
	ending  []string
}

var soils = map[string]soil{
	"SQLite": {
		session: []string{
			"PRAGMA synchronous = OFF", "PRAGMA journal_mode = OFF", "PRAGMA cache_size = -1000000", "PRAGMA locking_mode = EXCLUSIVE",
		},
		series:  `(WITH RECURSIVE s(k) AS (SELECT %[1]d UNION ALL SELECT k + 1 FROM s WHERE k < %[2]d) SELECT k FROM s) s`,
		hash:    `growth_sha512(%s)`,
		millis:  `printf('%012x', %s / 1000)`,
		bytes:   `CAST(%s AS BLOB)`,
		short:   `unhex(substr(%s, 1, 64))`,
		indexes: `SELECT name, sql AS statement FROM sqlite_schema WHERE type = 'index' AND sql IS NOT NULL AND tbl_name IN ('callbacks', 'notifications', 'outbox')`,
		ending:  []string{"PRAGMA locking_mode = NORMAL", "PRAGMA journal_mode = WAL"},
	},
	string(server.PostgreSQL): {
		session: []string{"SET synchronous_commit = off", "SET maintenance_work_mem = '512MB'"},
		series:  `generate_series(%[1]d::bigint, %[2]d::bigint) s(k)`,
		hash:    `encode(sha512((%s)::bytea), 'hex')`,
		millis:  `lpad(to_hex(%s / 1000), 12, '0')`,
		bytes:   `convert_to(%s, 'UTF8')`,
		short:   `decode(substr(%s, 1, 64), 'hex')`,
		given:   `OVERRIDING SYSTEM VALUE`,
		ordered: `ORDER BY k`,
		indexes: `SELECT indexname AS name, indexdef AS statement FROM pg_indexes
WHERE tablename IN ('callbacks', 'notifications', 'outbox') AND indexname LIKE tablename || '\_%' AND indexname NOT LIKE '%key'`,
		ending: []string{
			`SELECT setval(pg_get_serial_sequence('callbacks', 'seq'), (SELECT max(seq) FROM callbacks))`,
			`SELECT setval(pg_get_serial_sequence('notifications', 'id'), (SELECT max(id) FROM notifications))`,
			`SELECT setval(pg_get_serial_sequence('incidents', 'id'), (SELECT max(id) FROM incidents))`,
			// As its own autovacuum does, sooner or later.
			`VACUUM ANALYZE callbacks`, `VACUUM ANALYZE notifications`, `VACUUM ANALYZE orders`, `VACUUM ANALYZE outbox`, `ANALYZE incidents`,
		},
	},
	string(server.MariaDB): {
		session: []string{"SET SESSION sql_mode = CONCAT(@@sql_mode, ',PIPES_AS_CONCAT')", "SET SESSION unique_checks = 0"},
		series:  `(SELECT seq AS k FROM seq_%[1]d_to_%[2]d) s`,
		hash:    `sha2(%s, 512)`,
		millis:  `lpad(lower(hex(%s DIV 1000)), 12, '0')`,
		bytes:   `%s`,
		short:   `unhex(substr(%s, 1, 64))`,
		ending:  []string{"ANALYZE TABLE callbacks, notifications, orders, outbox"},
	},
}

func init() { //nolint:gochecknoinits // how functions are made known
	modernc.MustRegisterDeterministicScalarFunction("growth_sha512", 1, func(_ *modernc.FunctionContext, args []driver.Value) (driver.Value, error) {
		sum := sha512.Sum512(fmt.Append(nil, args[0]))
		return hex.EncodeToString(sum[:]), nil
	})
}

// fill replaces {name} by the engine's expression, and {name:text} with the text
// in the expression's place.
func (s soil) fill(text string, from, to int64, day time.Time, step int64) string {
	pairs := []string{
		"{series}", fmt.Sprintf(s.series, from, to), "{given}", s.given, "{ordered}", s.ordered,
		"{day}", day.Format("20060102"), "{from}", fmt.Sprint(from), "{to}", fmt.Sprint(to),
		"{at}", fmt.Sprintf("(%d + (k - %d) * %d)", day.UnixMicro(), from, step),
		"{incident}", fmt.Sprint(1 + from/max(1, to-from+1)), "{merchants}", fmt.Sprint(grownMerchants),
	}
	text = strings.NewReplacer(pairs...).Replace(text)
	for _, f := range []struct{ name, as string }{
		{"uuid7", uuid7Shape}, {"uuid", uuidShape}, {"trace", traceShape}, {"hash", s.hash}, {"millis", s.millis}, {"bytes", s.bytes}, {"short", s.short},
	} {
		for {
			begin := strings.Index(text, "{"+f.name+":")
			if begin < 0 {
				break
			}
			from := begin + len(f.name) + 2
			end := from
			for depth := 1; depth > 0; end++ {
				depth += strings.Count(text[end:end+1], "{") - strings.Count(text[end:end+1], "}")
			}
			text = text[:begin] + strings.ReplaceAll(f.as, "%s", text[from:end-1]) + text[end:]
		}
	}
	return text
}

// The shapes of ids, made of a hash.
const (
	uuidShape  = `substr(%s, 1, 8) || '-' || substr(%s, 9, 4) || '-5' || substr(%s, 13, 3) || '-8' || substr(%s, 16, 3) || '-' || substr(%s, 19, 12)`
	traceShape = `'00-' || substr(%s, 31, 32) || '-' || substr(%s, 63, 16) || '-01'`
	// Of a time and then of the hash h.
	uuid7Shape = `substr({millis:%s}, 1, 8) || '-' || substr({millis:%s}, 9, 4) || '-7' || substr(h, 79, 3) || '-a' || substr(h, 82, 3) || '-' || substr(h, 85, 12)`
)

// The rows by their number k: three in a hundred are copies of the row before,
// one in a thousand is a stranger's, and one fails although it is proven and is
// accepted with the next row. Of a hundred thousand, one is outstanding. The
// number of a message is that of its first arrival.
const (
	isCopy   = `(k % 1000) % 33 = 32`
	isStray  = `k % 1000 = 500`
	isFailed = `k % 1000 = 700`
	isSecond = `k % 1000 = 701`
	isOpen   = `k % 100000 = 900`
	isRefund = `(k % 20 = 19 AND k % 1000 % 33 NOT IN (0, 32))`

	// m is the row whose order the message is about.
	growMessages = `INSERT INTO notifications (id, merchant, business_key, notification_id, event_id, facts, standing, reason, arrivals,
	first_at, last_at, first_trace, previous_trace, last_trace, callback, api, kind, event_type, mchid, appid, out_trade_no, transaction_id,
	out_refund_no, refund_id, state, result_code, amount, currency, refund, refund_currency, created_at, succeeded_at, closed_at) {given}
SELECT k, 'shop-' || (m % {merchants}), CASE WHEN m < k THEN 'refund/' || refund_id || '/SUCCESS' ELSE 'payment/' || transaction_id END,
	{uuid:h}, 'evt_' || substr(h, 99, 26), substr(f, 1, 64),
	CASE WHEN ` + isOpen + ` THEN 'outstanding' ELSE 'accepted' END, CASE WHEN ` + isOpen + ` THEN 'merchant_mismatch' ELSE '' END,
	CASE WHEN ` + isFailed + ` OR (k + 1) % 1000 % 33 = 32 THEN 2 ELSE 1 END,
	at, at, {trace:h}, '', {trace:h}, {uuid7:at}, 'v3',
	CASE WHEN m < k THEN 'refund' ELSE 'payment' END, CASE WHEN m < k THEN 'REFUND.SUCCESS' ELSE 'TRANSACTION.SUCCESS' END,
	'19000' || (10000 + m % {merchants}), 'wx' || substr(f, 65, 16), 'T{day}' || (1000000000 + m), transaction_id,
	CASE WHEN m < k THEN 'R{day}' || (1000000000 + k) ELSE '' END, CASE WHEN m < k THEN refund_id ELSE '' END,
	'SUCCESS', 'SUCCESS', 100 + m % 100000, 'CNY', CASE WHEN m < k THEN 50 ELSE 0 END, CASE WHEN m < k THEN 'CNY' ELSE '' END,
	at - 1500000, at - 2000000, CASE WHEN ` + isOpen + ` THEN 0 ELSE at + 3000 END
FROM (SELECT k, m, at, {hash:k || '/ids'} AS h, {hash:k || '/facts'} AS f,
		'420000' || (1000 + m % 9000) || '{day}' || (1000000000 + m * 2654435761 % 9000000000) AS transaction_id,
		'503000' || (1000 + k % 9000) || '{day}' || (10000000000 + k * 2654435761 % 9000000000) AS refund_id
	FROM (SELECT k, CASE WHEN ` + isRefund + ` THEN k - 1 ELSE k END AS m, {at} AS at FROM {series}
		WHERE NOT (` + isCopy + ` OR ` + isStray + ` OR ` + isSecond + `)) numbers) rows_
{ordered}`

	growColumns = `INSERT INTO callbacks (seq, id, merchant, path_merchant, api, received_at, read_at, counted_at, outcome, class, reason, detail,
	status, arrival, repeats, notification, notification_id, kind, event_type, mchid, appid, business_key, out_trade_no, transaction_id,
	out_refund_no, refund_id, state, result_code, amount, currency, refund, refund_currency, created_at, succeeded_at, peer, content_type, length,
	digest, body_form, body_key, body, serial, signed_at, nonce, signature_type, signature, trace, incident, answered_status, answered_at, duration) {given}
`

	growSender = `, '101.226.103.' || (k % 250), 'application/json', 1180, {short:h}, 'wechat', 'k' || substr(f, 1, 15), {bytes:body},
	upper(substr(f, 1, 40)), '1793' || (100000 + k % 900000), substr(h, 1, 32), 'WECHATPAY2-SHA256-RSA2048', {hash:k || '/s1'} || {hash:k || '/s2'} || substr(f, 1, 88), {trace:h}`

	growSigned = `'{"id":"' || {uuid:h} || '","create_time":"2026-05-01T12:00:00+08:00","resource_type":"encrypt-resource","event_type":"TRANSACTION.SUCCESS","summary":"支付成功",` +
		`"resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM","ciphertext":"' || {hash:k || '/b1'} || {hash:k || '/b2'} || {hash:k || '/b3'} || {hash:k || '/b4'} || ` +
		`{hash:k || '/b5'} || {hash:k || '/b6'} || substr(f, 1, 100) || '","associated_data":"transaction","nonce":"' || substr(f, 100, 12) || '"}}'`

	growArrivals = growColumns + `
SELECT k, CASE WHEN k = id THEN callback ELSE {uuid7:at} END, merchant, merchant, 'v3', at, at + 200, at,
	CASE WHEN ` + isCopy + ` THEN 'duplicate' WHEN ` + isFailed + ` OR ` + isOpen + ` THEN 'failed' ELSE 'accepted' END,
	CASE WHEN ` + isFailed + ` OR ` + isOpen + ` THEN 'proven' ELSE '' END, CASE WHEN ` + isFailed + ` OR ` + isOpen + ` THEN 'merchant_mismatch' ELSE '' END, '',
	CASE WHEN ` + isFailed + ` OR ` + isOpen + ` THEN 500 ELSE 204 END, k - id + 1, 0, id, notification_id, kind, event_type, mchid, appid, business_key,
	out_trade_no, transaction_id, out_refund_no, refund_id, state, result_code, amount, currency, refund, refund_currency, created_at, succeeded_at` +
		growSender + `, CASE WHEN ` + isFailed + ` OR ` + isOpen + ` THEN {incident} ELSE 0 END, CASE WHEN ` + isFailed + ` OR ` + isOpen + ` THEN 500 ELSE 204 END, at + 4000, 4000
FROM (SELECT a.k, a.at, a.h, a.f, n.*, ` + growSigned + ` AS body
	FROM (SELECT k, {at} AS at, {hash:k || '/ids'} AS h, {hash:k || '/facts'} AS f, CASE WHEN ` + isCopy + ` OR ` + isSecond + ` THEN k - 1 ELSE k END AS of_
		FROM {series} WHERE NOT ` + isStray + `) a JOIN notifications n ON n.id = a.of_ WHERE n.id BETWEEN {from} - 1 AND {to}) rows_
{ordered}`

	growStrays = growColumns + `
SELECT k, {uuid7:at}, merchant, merchant, 'v3', at, at + 200, at, 'failed', class, reason, '', 401, 0, 0, NULL, '', '', '', '', '', '', '', '', '', '', '', '',
	0, '', 0, '', 0, 0` + growSender + `, CASE WHEN class = 'unproven' THEN {incident} ELSE 0 END, 401, at + 900, 900
FROM (SELECT k, {at} AS at, {hash:k || '/ids'} AS h, {hash:k || '/facts'} AS f, {hash:k || '/b1'} AS body, 'shop-' || (k % {merchants}) AS merchant,
		CASE (k - 500) / 1000 % 3 WHEN 0 THEN 'probe' WHEN 1 THEN 'noise' ELSE 'unproven' END AS class,
		CASE (k - 500) / 1000 % 3 WHEN 0 THEN 'probe' WHEN 1 THEN 'unsigned' ELSE 'signature_invalid' END AS reason
	FROM {series} WHERE ` + isStray + `) rows_
{ordered}`

	growOrders = `INSERT INTO orders (merchant, out_trade_no, amount, currency, state, transaction_id, refunded, registered, paid_at, updated_at)
SELECT merchant, out_trade_no, amount, currency, 'paid', transaction_id, 0, FALSE, succeeded_at, closed_at
FROM notifications WHERE id BETWEEN {from} AND {to} AND kind = 'payment' AND standing = 'accepted' ORDER BY merchant, out_trade_no`

	growEvents = `INSERT INTO outbox (event_id, destination, notification, state, attempts, due_at, lease, leased_until, created_at, done_at)
SELECT event_id, 'shop', id, 'delivered', 1, closed_at, '', 0, closed_at, closed_at + 50000
FROM notifications WHERE id BETWEEN {from} AND {to} AND standing = 'accepted' ORDER BY event_id`

	growIncidents = `INSERT INTO incidents (id, rule, merchant, class, reason, subject, detail, opened_at, latest_at, count, told_at, told_count, lasting, closed_at) {given}
SELECT {incident}, 'failure', 'shop-0', 'proven', 'merchant_mismatch', '', '', {at}, {at}, 1, {at}, 1, FALSE, {at} + 900000000 FROM {series} WHERE k = {from}`
)

// grow fills an empty, migrated database with about that many callbacks of the
// last [grownDays] days, and tells the time of the eldest.
func grow(t testing.TB, engine string, db *sqlx.DB, rows int64, progress func(done int64)) (eldest time.Time) {
	t.Helper()
	s, ctx := soils[engine], t.Context()
	conn, err := db.Connx(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	run := func(statements ...string) {
		t.Helper()
		for _, statement := range statements {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				t.Fatalf("%s: %v", statement, err)
			}
		}
	}
	run(s.session...)
	var later []struct{ Name, Statement string }
	if s.indexes != "" {
		if err := conn.SelectContext(ctx, &later, s.indexes); err != nil {
			t.Fatal(err)
		}
	}
	for _, index := range later {
		run("DROP INDEX " + index.Name)
	}
	day := max(rows/grownDays/20, 1) * 20 // a refund and its payment are of one day
	eldest = time.Now().Add(-grownDays * 24 * time.Hour).Truncate(time.Millisecond)
	for d := range min(int64(grownDays), rows/day) {
		from, to := d*day+1, (d+1)*day
		start := eldest.Add(time.Duration(d) * 24 * time.Hour)
		for _, text := range []string{growIncidents, growMessages, growArrivals, growStrays, growOrders, growEvents} {
			run(s.fill(text, from, to, start, (24*time.Hour).Microseconds()/day))
		}
		progress(to)
	}
	for _, index := range later {
		run(index.Statement)
	}
	run(s.ending...)
	return eldest
}

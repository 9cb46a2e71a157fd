package main

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib" // the same drivers as the store: the benchmark compares designs, not drivers
	"github.com/jmoiron/sqlx"
	"github.com/labstack/echo/v4"
	"github.com/wechatpay-apiv3/wechatpay-go/core/auth/verifiers"
	"github.com/wechatpay-apiv3/wechatpay-go/core/notify"
	"github.com/wechatpay-apiv3/wechatpay-go/services/payments"
	_ "modernc.org/sqlite"

	"wxnotify/service/web"
)

// referenceSchema is the least that a merchant keeps: the callbacks it has
// acted on and the orders they have paid.
var referenceSchema = []string{
	`CREATE TABLE callbacks (
	id             %s,
	notification   VARCHAR(64) NOT NULL UNIQUE,
	event_type     VARCHAR(64) NOT NULL,
	transaction_id VARCHAR(64) NOT NULL,
	body           TEXT NOT NULL,
	received_at    VARCHAR(64) NOT NULL
)`, `CREATE TABLE orders (
	out_trade_no   VARCHAR(64) PRIMARY KEY,
	transaction_id VARCHAR(64) NOT NULL,
	amount         BIGINT NOT NULL,
	currency       VARCHAR(16) NOT NULL,
	state          VARCHAR(32) NOT NULL,
	paid_at        VARCHAR(64) NOT NULL
)`,
}

// Serial numbers of rows, and the way to write an order that may be there.
const (
	onConflict  = " ON CONFLICT (out_trade_no) DO UPDATE SET state = excluded.state, paid_at = excluded.paid_at"
	onDuplicate = " ON DUPLICATE KEY UPDATE state = VALUES(state), paid_at = VALUES(paid_at)"
)

// reference is what a competent team writes by hand for its notify_url, with
// the usual parts and in one sitting: echo, WeChat Pay's own SDK, sqlx, one
// transaction per callback, one log line. The benchmark measures wxnotify
// beside it, so it is written to be fast as well as right.
type reference struct {
	sdk *notify.Handler
	db  *sqlx.DB
	log *slog.Logger

	find, insert, upsert string
}

// referenceOptions is what it is told, as JSON by the variable [asReference].
type referenceOptions struct {
	Listen      string
	Dir         string // for the log, and the SQLite database
	URL         string // of a database server instead
	APIv3Key    string
	PublicKeyID string
	PublicKey   string // file
}

// newReference serves POST /wechatpay/{merchant} for one merchant.
func newReference(ctx context.Context, o referenceOptions) (_ http.Handler, end func() error, err error) {
	text, err := os.ReadFile(o.PublicKey)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, ok := parsed.(*rsa.PublicKey)
	if !ok {
		return nil, nil, errors.New("no RSA key")
	}
	r := &reference{}
	if r.sdk, err = notify.NewRSANotifyHandler(o.APIv3Key, verifiers.NewSHA256WithRSAPubkeyVerifier(o.PublicKeyID, *key)); err != nil {
		return nil, nil, err
	}
	if err = r.open(ctx, o); err != nil {
		return nil, nil, err
	}
	lines, err := os.Create(filepath.Join(o.Dir, "reference.log"))
	if err != nil {
		return nil, nil, errors.Join(err, r.db.Close())
	}
	r.log = slog.New(slog.NewJSONHandler(lines, nil))
	e := echo.New()
	e.POST("/wechatpay/:merchant", r.handle)
	return e, func() error { return errors.Join(r.db.Close(), lines.Close()) }, nil
}

// open connects with the durability that wxnotify has on the same engine, and
// makes the tables.
func (r *reference) open(ctx context.Context, o referenceOptions) (err error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return err
	}
	serial, upsert, connections := "BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY", onConflict, 32
	driver, source := "pgx", o.URL // prepares each statement once for a connection
	switch u.Scheme {
	case "":
		// SQLite has one writer. Waiting in Go's queue is fair and quick, waiting in
		// SQLite's busy handler is neither: at 64 senders this was 10 % faster than a
		// pool of 16.
		serial, connections = "INTEGER PRIMARY KEY", 1
		driver, source = "sqlite", "file:"+filepath.Join(o.Dir, "reference.db")+
			"?_txlock=immediate&_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)"
	case "mysql":
		serial, upsert = "BIGINT AUTO_INCREMENT PRIMARY KEY", onDuplicate
		c := mysql.NewConfig()
		c.User, c.Net, c.Addr, c.DBName = u.User.Username(), "tcp", u.Host, u.Path[1:]
		c.Passwd, _ = u.User.Password()
		c.InterpolateParams = true // one round trip for each statement
		driver, source = "mysql", c.FormatDSN()
	}
	if r.db, err = sqlx.ConnectContext(ctx, driver, source); err != nil {
		return err
	}
	r.db.SetMaxOpenConns(connections)
	r.db.SetMaxIdleConns(connections)
	for i, table := range referenceSchema {
		if i == 0 {
			table = fmt.Sprintf(table, serial)
		}
		if _, err := r.db.ExecContext(ctx, table); err != nil {
			return errors.Join(err, r.db.Close())
		}
	}
	r.find = r.db.Rebind(`SELECT transaction_id, amount, state FROM orders WHERE out_trade_no = ?`)
	r.insert = r.db.Rebind(`INSERT INTO callbacks (notification, event_type, transaction_id, body, received_at) VALUES (?, ?, ?, ?, ?)`)
	r.upsert = r.db.Rebind(`INSERT INTO orders (out_trade_no, transaction_id, amount, currency, state, paid_at) VALUES (?, ?, ?, ?, ?, ?)` + upsert)
	return nil
}

// asReference makes this test binary behave as the reference, a process of its
// own beside wxnotify's.
const asReference = "TEST_AS_REFERENCE"

func serveReference(ctx context.Context, options string) (err error) {
	var o referenceOptions
	if err := json.Unmarshal([]byte(options), &o); err != nil {
		return err
	}
	handler, end, err := newReference(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end()) }()
	server, err := web.Listen(ctx, o.Listen, handler)
	if err != nil {
		return err
	}
	<-ctx.Done()
	return server.Close(context.WithoutCancel(ctx))
}

func (r *reference) handle(c echo.Context) error {
	start := time.Now()
	var payment payments.Transaction
	request, err := r.sdk.ParseNotifyRequest(c.Request().Context(), c.Request(), &payment)
	if err != nil {
		r.log.Warn("callback refused", "merchant", c.Param("merchant"), "duration", time.Since(start))
		return c.JSON(http.StatusUnauthorized, echo.Map{"code": "FAIL", "message": "verification failed"})
	}
	if err := r.book(c.Request().Context(), request, payment); err != nil {
		r.log.Error("callback failed", "notification", request.ID, "error", err, "duration", time.Since(start))
		return c.JSON(http.StatusInternalServerError, echo.Map{"code": "FAIL", "message": "try again"})
	}
	r.log.Info("callback booked", "merchant", c.Param("merchant"), "notification", request.ID,
		"event_type", request.EventType, "transaction_id", *payment.TransactionId,
		"out_trade_no", *payment.OutTradeNo, "duration", time.Since(start))
	return c.NoContent(http.StatusNoContent)
}

// book moves the order and keeps the callback, in one transaction. A copy of a
// callback that is already booked changes nothing and writes nothing.
func (r *reference) book(ctx context.Context, request *notify.Request, p payments.Transaction) error {
	if p.OutTradeNo == nil || p.TransactionId == nil || p.TradeState == nil || p.Amount == nil || p.Amount.Total == nil {
		return errors.New("not a payment")
	}
	tx, err := r.db.BeginTxx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()

	var order struct {
		TransactionID string `db:"transaction_id"`
		Amount        int64
		State         string
	}
	err = tx.GetContext(ctx, &order, r.find, *p.OutTradeNo)
	switch {
	case errors.Is(err, sql.ErrNoRows):
	case err != nil:
		return err
	case order.Amount != *p.Amount.Total, order.TransactionID != *p.TransactionId:
		return errors.New("contradicts the order")
	case order.State == *p.TradeState:
		return nil
	}
	if _, err := tx.ExecContext(ctx, r.insert,
		request.ID, request.EventType, *p.TransactionId, request.Resource.Ciphertext, time.Now().UTC().Format(time.RFC3339Nano),
	); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, r.upsert,
		*p.OutTradeNo, *p.TransactionId, *p.Amount.Total, text(p.Amount.Currency), *p.TradeState, text(p.SuccessTime),
	); err != nil {
		return err
	}
	return tx.Commit()
}

// text reads one of the SDK's optional strings.
func text(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

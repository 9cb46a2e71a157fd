//go:build stack

package main

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

// ledger is WeChat Pay's own book: what it sent, and what it was answered.
type ledger struct {
	mu      sync.Mutex
	lines   map[string]*line // by notification id
	answers answers          // of all
	latest  time.Time        // when a callback was acknowledged
	slowest time.Duration
	errors  map[string]int // instead of answers
}

// line is one message.
type line struct {
	message *wechat.Message
	answers answers
}

// answers are counted. A sending that got none may have been booked or not.
type answers struct{ sent, acknowledged, refused, none, wrong int }

func (a *answers) add(status int) {
	switch {
	case status == 0:
		a.none++
	case status == http.StatusNoContent:
		a.acknowledged++
	case status == http.StatusServiceUnavailable:
		a.refused++
	default:
		a.wrong++
	}
}

func newLedger() *ledger { return &ledger{lines: map[string]*line{}, errors: map[string]int{}} }

// sending notes a sending before it leaves.
func (l *ledger) sending(m *wechat.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lines[m.ID] == nil {
		l.lines[m.ID] = &line{message: m}
	}
	l.lines[m.ID].answers.sent++
	l.answers.sent++
}

func (l *ledger) answered(m *wechat.Message, status int, err error, took time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines[m.ID].answers.add(status)
	l.answers.add(status)
	if status == http.StatusNoContent {
		l.latest = time.Now()
	}
	if err != nil {
		l.errors[err.Error()]++
	}
	l.slowest = max(l.slowest, took)
}

// total counts all answers until now.
func (l *ledger) total() answers {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.answers
}

// acknowledgedAfter reports whether a callback was acknowledged after a moment,
// and when the latest was.
func (l *ledger) acknowledgedAfter(moment time.Time) (time.Time, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.latest, l.latest.After(moment)
}

// due are the messages that WeChat Pay would send again.
func (l *ledger) due() (list []*wechat.Message) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, line := range l.lines {
		if line.answers.acknowledged == 0 {
			list = append(list, line.message)
		}
	}
	return list
}

// booked is what the database says of one message.
type booked struct {
	standing, event, trade string
	arrivals               int
	rows                   map[string]int // callbacks by outcome
}

// read reads the database as an auditor does: past wxnotify.
func (c *cluster) read(t *testing.T) map[string]*booked {
	t.Helper()
	// One state of the database, while the spool is being imported.
	tx, err := c.books.BeginTx(t.Context(), &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	books := map[string]*booked{}
	each(t, tx, `SELECT notification_id, standing, event_id, out_trade_no, arrivals FROM notifications`, func(rows *sql.Rows) error {
		var id string
		b := &booked{rows: map[string]int{}}
		err := rows.Scan(&id, &b.standing, &b.event, &b.trade, &b.arrivals)
		if books[id] != nil {
			t.Errorf("%s has two rows", id)
		}
		books[id] = b
		return err
	})
	each(t, tx, `SELECT notification_id, outcome, count(*) FROM callbacks GROUP BY notification_id, outcome`, func(rows *sql.Rows) error {
		var id, outcome string
		var n int
		if err := rows.Scan(&id, &outcome, &n); err != nil {
			return err
		}
		if books[id] == nil {
			return fmt.Errorf("%s has callbacks and no notification", id)
		}
		books[id].rows[outcome] = n
		return nil
	})
	return books
}

// querier is a database or a transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func each(t *testing.T, db querier, query string, row func(*sql.Rows) error) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := row(rows); err != nil {
			t.Fatal(err)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
}

// audit compares the ledger with the books when nothing is under way any more:
// what was acknowledged is booked, once; what was refused is outstanding or
// booked; nothing else is there.
func (c *cluster) audit(t *testing.T) {
	t.Helper()
	within(t, 30*time.Second, "everything that was refused is in the database", func() bool { return len(c.missing(t)) == 0 })
	books := c.read(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	events := map[string]string{}
	for id, line := range c.lines {
		b, a := books[id], line.answers
		if b == nil {
			if a.acknowledged > 0 {
				t.Errorf("%s was acknowledged %d times, and is not there", id, a.acknowledged)
			}
			continue
		}
		good := b.rows["accepted"] + b.rows["duplicate"]
		switch {
		case a.wrong > 0:
			t.Errorf("%s: %+v", id, a)
		case a.acknowledged > 0 && b.standing != "accepted":
			t.Errorf("%s was acknowledged and is %s", id, b.standing)
		case a.acknowledged == 0 && b.standing != "accepted" && b.standing != "outstanding":
			t.Errorf("%s was refused and is %s", id, b.standing)
		case good < a.acknowledged || good+b.rows["failed"] > a.sent || b.rows["accepted"] > 1:
			t.Errorf("%s: %+v, and the rows are %v", id, a, b.rows)
		case a.acknowledged == a.sent && (b.rows["accepted"] != 1 || b.arrivals != a.sent || good != a.sent):
			t.Errorf("%s was acknowledged %d times; rows %v, arrivals %d", id, a.sent, b.rows, b.arrivals)
		}
		if other := events[b.event]; other != "" || b.event == "" {
			t.Errorf("%s and %q are the same event %q", id, other, b.event)
		}
		events[b.event] = id
	}
	for id := range books {
		if c.lines[id] == nil {
			t.Errorf("nobody sent %s", id)
		}
	}
	c.auditOrders(t, books)
}

// missing are the messages that were refused with an answer, and have no row.
func (c *cluster) missing(t *testing.T) (list []string) {
	t.Helper()
	books := c.read(t)
	c.mu.Lock()
	defer c.mu.Unlock()
	for id, line := range c.lines {
		if line.answers.refused > 0 && books[id] == nil {
			list = append(list, id)
		}
	}
	return list
}

// purse is what an order must have come to, by the messages that are booked.
type purse struct {
	state    string
	refunded int64
}

// auditOrders: every order has moved once for each booked message about it. The
// caller holds the ledger's lock.
func (c *cluster) auditOrders(t *testing.T, books map[string]*booked) {
	t.Helper()
	want := map[string]purse{}
	for id, line := range c.lines {
		if b := books[id]; b == nil || b.standing != "accepted" {
			continue
		}
		o := line.message.Order
		p := want[o.OutTradeNo]
		if line.message.Kind.Refunded() {
			p.refunded += o.Refund
		}
		switch {
		case p.refunded == o.Total:
			p.state = "refunded"
		case p.refunded > 0:
			p.state = "partly_refunded"
		default:
			p.state = "paid"
		}
		want[o.OutTradeNo] = p
	}
	got := map[string]purse{}
	each(t, c.books, `SELECT out_trade_no, state, refunded FROM orders`, func(rows *sql.Rows) error {
		var number string
		var p purse
		err := rows.Scan(&number, &p.state, &p.refunded)
		got[number] = p
		return err
	})
	for _, number := range slices.Sorted(maps.Keys(want)) {
		if got[number] != want[number] {
			t.Errorf("order %s is %+v, want %+v", number, got[number], want[number])
		}
	}
	if len(got) != len(want) {
		t.Errorf("%d orders, want %d", len(got), len(want))
	}
}

// heal sends everything again that was not acknowledged yet, until it is.
func (c *cluster) heal(t *testing.T) {
	t.Helper()
	within(t, time.Minute, "everything is acknowledged", func() bool {
		due := c.due()
		c.all(due, func(m *wechat.Message) { c.send(m, c.anyReady()) })
		return len(c.due()) == 0
	})
	for id, b := range c.read(t) {
		if b.standing != "accepted" {
			t.Errorf("%s is still %s", id, b.standing)
		}
	}
}

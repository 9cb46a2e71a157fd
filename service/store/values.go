package store

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/jmoiron/sqlx"
)

// values inserts many rows with one list of values, and without RETURNING, which
// MySQL does not know. IGNORE would turn a row that does not fit into one that
// is cut to fit, with a warning; assigning a column to itself leaves the row
// alone and every error an error.
type values struct {
	callback, notice, order, event list
}

func newValues() values {
	return values{
		callback: listFor("callbacks", columns(arrival{}), ""),
		notice:   listFor("notifications", noticeColumns(), " ON DUPLICATE KEY UPDATE id = id"),
		order:    listFor("orders", columns(order{}), ""),
		event:    listFor("outbox", columns(outgoing{}), " ON DUPLICATE KEY UPDATE event_id = event_id"),
	}
}

func (in values) callbacks(w *writing, rows []arrival) error {
	return in.callback.exec(w, len(rows), func(i int) any { return &rows[i] })
}

func (in values) outbox(w *writing, rows []outgoing) error {
	return in.event.exec(w, len(rows), func(i int) any { return &rows[i] })
}

// answered joins a list of answers to their rows.
func (in values) answered(w *writing, rows []answer) error {
	for chunk := range slices.Chunk(rows, 200) {
		args := make([]any, 0, 4*len(chunk))
		for _, a := range chunk {
			args = append(args, a.ID, a.Status, a.At, a.Took)
		}
		if _, err := w.tx.ExecContext(w.ctx, `UPDATE callbacks c JOIN (SELECT ? AS id, ? AS status, ? AS at, ? AS took`+
			strings.Repeat(` UNION ALL SELECT ?, ?, ?, ?`, len(chunk)-1)+`) a ON c.id = a.id
SET c.answered_status = a.status, c.answered_at = a.at, c.duration = a.took`, args...); err != nil {
			return err
		}
	}
	return nil
}

// notices asks afterwards which rows are of these arrivals.
func (in values) notices(w *writing, rows []*notice) error {
	if len(rows) == 0 {
		return nil
	}
	if err := in.notice.exec(w, len(rows), func(i int) any { return rows[i] }); err != nil {
		return err
	}
	keys := make([]string, len(rows))
	for i, row := range rows {
		keys[i] = row.BusinessKey
	}
	query, args, err := sqlx.In(`SELECT id, callback FROM notifications WHERE business_key IN (?)`, keys)
	if err != nil {
		return err
	}
	var there []struct {
		ID       int64
		Callback string
	}
	if err := w.tx.SelectContext(w.ctx, &there, query, args...); err != nil {
		return err
	}
	ids := make(map[string]int64, len(there))
	for _, t := range there {
		ids[t.Callback] = t.ID
	}
	for _, row := range rows {
		row.ID = ids[row.Callback]
	}
	return nil
}

// orders are inserted in one go if all of them are new, which most are, and one
// by one otherwise. A statement that meets a known order changes nothing, and
// leaves the transaction as it was.
func (in values) orders(w *writing, rows []*order) ([]bool, error) {
	created := make([]bool, len(rows))
	if len(rows) == 0 {
		return created, nil
	}
	switch err := in.order.exec(w, len(rows), func(i int) any { return rows[i] }); {
	case err == nil:
		for i := range created {
			created[i] = true
		}
		return created, nil
	case !isDuplicate(err):
		return nil, err
	case len(rows) == 1:
		return created, nil
	}
	for i, row := range rows {
		switch err := in.order.exec(w, 1, func(int) any { return row }); {
		case err == nil:
			created[i] = true
		case !isDuplicate(err):
			return nil, err
		}
	}
	return created, nil
}

// isDuplicate reports ER_DUP_ENTRY.
// Source: https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
func isDuplicate(err error) bool { return mysqlNumber(err) == 1062 }

// list is one insertion: what stands around the rows, and their columns.
type list struct {
	head, row, ending string
	columns           []column
}

func listFor(table string, columns []column, ending string) list {
	return list{
		head:    fmt.Sprintf("INSERT INTO %s (%s) VALUES ", table, names(columns)),
		row:     "(?" + strings.Repeat(",?", len(columns)-1) + ")",
		ending:  ending,
		columns: columns,
	}
}

// packet bounds one statement's blobs, far below any server's max_allowed_packet.
const packet = 1 << 20

func (l list) exec(w *writing, n int, row func(int) any) error {
	for at := 0; at < n; {
		args := make([]any, 0, (n-at)*len(l.columns))
		from, size := at, 0
		for ; at < n && (at == from || size < packet); at++ {
			value := reflect.ValueOf(row(at)).Elem()
			for _, c := range l.columns {
				arg := c.of(value)
				if blob, ok := arg.([]byte); ok {
					size += len(blob)
				}
				args = append(args, arg)
			}
		}
		text := l.head + l.row + strings.Repeat(","+l.row, at-from-1) + l.ending
		if _, err := w.tx.ExecContext(w.ctx, text, args...); err != nil {
			return err
		}
	}
	return nil
}

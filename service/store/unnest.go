package store

import (
	"database/sql"
	"fmt"
	"reflect"
	"strings"
)

// unnest inserts any number of rows with one text that has one array for each
// column: PostgreSQL plans it once.
type unnest struct {
	callback, notice, order, event, answer arrays
}

func newUnnest() unnest {
	absent := onConflict("")
	return unnest{
		callback: arraysFor("callbacks", columns(arrival{}), ""),
		notice:   arraysFor("notifications", noticeColumns(), absent+" RETURNING id, callback"),
		order:    arraysFor("orders", columns(order{}), absent+" RETURNING merchant, out_trade_no"),
		event:    arraysFor("outbox", columns(outgoing{}), absent),
		answer: arrays{columns: columns(answer{}), text: `UPDATE callbacks
SET answered_status = a.status, answered_at = a.at, duration = a.took
FROM unnest($1::text[], $2::bigint[], $3::bigint[], $4::bigint[]) AS a (id, status, at, took)
WHERE callbacks.id = a.id`},
	}
}

func (in unnest) callbacks(w *writing, rows []arrival) error {
	return in.callback.exec(w, len(rows), func(i int) any { return &rows[i] })
}

func (in unnest) outbox(w *writing, rows []outgoing) error {
	return in.event.exec(w, len(rows), func(i int) any { return &rows[i] })
}

func (in unnest) answered(w *writing, rows []answer) error {
	return in.answer.exec(w, len(rows), func(i int) any { return &rows[i] })
}

func (in unnest) notices(w *writing, rows []*notice) error {
	var added []struct {
		ID       int64
		Callback string
	}
	if err := in.notice.read(w, &added, len(rows), func(i int) any { return rows[i] }); err != nil {
		return err
	}
	ids := make(map[string]int64, len(added))
	for _, a := range added {
		ids[a.Callback] = a.ID
	}
	for _, row := range rows {
		row.ID = ids[row.Callback]
	}
	return nil
}

func (in unnest) orders(w *writing, rows []*order) ([]bool, error) {
	type key struct {
		Merchant   string `db:"merchant"`
		OutTradeNo string `db:"out_trade_no"`
	}
	var added []key
	if err := in.order.read(w, &added, len(rows), func(i int) any { return rows[i] }); err != nil {
		return nil, err
	}
	is := make(map[key]bool, len(added))
	for _, k := range added {
		is[k] = true
	}
	created := make([]bool, len(rows))
	for i, row := range rows {
		created[i] = is[key{row.Merchant, row.OutTradeNo}]
	}
	return created, nil
}

// arrays is one insertion: its text, and the columns that become arrays.
type arrays struct {
	text    string
	columns []column
}

func arraysFor(table string, list []column, ending string) arrays {
	places := make([]string, len(list))
	for i, c := range list {
		places[i] = fmt.Sprintf("$%d::%s[]", i+1, c.postgres())
	}
	return arrays{
		text:    fmt.Sprintf("INSERT INTO %s (%s) SELECT * FROM unnest(%s)%s", table, names(list), strings.Join(places, ", "), ending),
		columns: list,
	}
}

func (a arrays) exec(w *writing, n int, row func(int) any) error {
	if n == 0 {
		return nil
	}
	_, err := w.tx.ExecContext(w.ctx, a.text, a.transpose(n, row)...)
	return err
}

func (a arrays) read(w *writing, into any, n int, row func(int) any) error {
	if n == 0 {
		return nil
	}
	return w.tx.SelectContext(w.ctx, into, a.text, a.transpose(n, row)...)
}

// transpose makes one array of each column. row gives a pointer to a row.
func (a arrays) transpose(n int, row func(int) any) []any {
	args := make([]any, len(a.columns))
	for i, c := range a.columns {
		switch c.kind {
		case textKind:
			args[i] = make([]string, n)
		case bytesKind:
			args[i] = make([][]byte, n)
		case boolKind:
			args[i] = make([]bool, n)
		case maybeKind:
			args[i] = make([]*int64, n)
		default:
			args[i] = make([]int64, n)
		}
	}
	for r := range n {
		value := reflect.ValueOf(row(r)).Elem()
		for i, c := range a.columns {
			field := value.FieldByIndex(c.index)
			switch list := args[i].(type) {
			case []string:
				list[r] = field.String()
			case [][]byte:
				list[r] = field.Bytes()
			case []bool:
				list[r] = field.Bool()
			case []int64:
				list[r] = field.Int()
			case []*int64:
				if maybe := field.Addr().Interface().(*sql.NullInt64); maybe.Valid { //nolint:forcetypeassert // its kind says so
					list[r] = &maybe.Int64
				}
			}
		}
	}
	return args
}

var (
	textKind  = reflect.TypeFor[string]()
	bytesKind = reflect.TypeFor[[]byte]()
	boolKind  = reflect.TypeFor[bool]()
	maybeKind = reflect.TypeFor[sql.NullInt64]()
)

// postgres is the type that PostgreSQL has for the column's values. The table's
// own type may be narrower: a value that does not fit is an error there.
func (c column) postgres() string {
	switch c.kind {
	case textKind:
		return "text"
	case bytesKind:
		return "bytea"
	case boolKind:
		return "boolean"
	}
	return "bigint"
}

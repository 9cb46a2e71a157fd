package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/jmoiron/sqlx"
)

// inserter adds rows, many at once where the engine is good at that. The rows
// are in the order in which writers meet without waiting for each other in a
// circle. What meets a unique key is left alone, and is no error, except in
// callbacks, whose ids are new.
type inserter interface {
	callbacks(w *writing, rows []arrival) error
	// notices gives the rows that are new their ID; the others keep 0.
	notices(w *writing, rows []*notice) error
	// orders tells which of the rows are new.
	orders(w *writing, rows []*order) (created []bool, err error)
	outbox(w *writing, rows []outgoing) error
	// answered notes what was put on the wire for rows that are there.
	answered(w *writing, rows []answer) error
}

// columns are the columns of a row type, as its db tags name them.
func columns(row any) (list []column) {
	for _, f := range reflect.VisibleFields(reflect.TypeOf(row)) {
		if name := f.Tag.Get("db"); name != "" {
			list = append(list, column{name, f.Index, f.Type})
		}
	}
	return list
}

type column struct {
	name  string
	index []int
	kind  reflect.Type
}

// of is the column's value in a row, in the form that drivers take as it is.
func (c column) of(row reflect.Value) any {
	field := row.FieldByIndex(c.index)
	switch c.kind {
	case textKind:
		return field.String() // no allocation for an empty one, which many are
	case bytesKind:
		return field.Bytes()
	case boolKind:
		return field.Bool()
	case maybeKind:
		return field.Interface()
	}
	return field.Int()
}

func names(list []column) string {
	words := make([]string, len(list))
	for i, c := range list {
		words[i] = c.name
	}
	return strings.Join(words, ", ")
}

// noticeColumns are all of a notice's but its id, which the database gives.
func noticeColumns() []column { return columns(notice{})[1:] }

// rowwise inserts row by row with prepared statements: where a statement costs
// no round trip, nothing is faster, and an error names its row.
type rowwise struct {
	callback, notice, order, event row
}

// row is the prepared insertion of one row, and the columns it takes in order.
type row struct {
	stmt    *sqlx.Stmt
	columns []column
}

func prepareRowwise(ctx context.Context, db *sqlx.DB) (inserter, error) {
	absent := onConflict("")
	var in rowwise
	var problems []error
	for _, p := range []struct {
		into    *row
		table   string
		columns []column
		ending  string
	}{
		{&in.callback, "callbacks", columns(arrival{}), ""},
		{&in.notice, "notifications", noticeColumns(), absent},
		{&in.order, "orders", columns(order{}), absent},
		{&in.event, "outbox", columns(outgoing{}), absent},
	} {
		places := strings.Repeat(", ?", len(p.columns))[2:]
		stmt, err := db.PreparexContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)%s", p.table, names(p.columns), places, p.ending))
		*p.into = row{stmt, p.columns}
		problems = append(problems, err)
	}
	return in, errors.Join(problems...)
}

func (in rowwise) callbacks(w *writing, rows []arrival) error {
	return each(w, in.callback, rows, func(int, sql.Result) error { return nil })
}

func (in rowwise) notices(w *writing, rows []*notice) error {
	return each(w, in.notice, rows, func(i int, r sql.Result) error {
		added, err := r.RowsAffected()
		if err != nil || added == 0 {
			return err
		}
		rows[i].ID, err = r.LastInsertId()
		return err
	})
}

func (in rowwise) orders(w *writing, rows []*order) ([]bool, error) {
	created := make([]bool, len(rows))
	return created, each(w, in.order, rows, func(i int, r sql.Result) error {
		added, err := r.RowsAffected()
		created[i] = added == 1
		return err
	})
}

func (in rowwise) outbox(w *writing, rows []outgoing) error {
	return each(w, in.event, rows, func(int, sql.Result) error { return nil })
}

func (in rowwise) answered(w *writing, rows []answer) error {
	for _, row := range rows {
		if _, err := w.exec(noteAnswer, row); err != nil {
			return err
		}
	}
	return nil
}

// each inserts one row after the other.
func each[T any](w *writing, insert row, rows []T, done func(i int, r sql.Result) error) error {
	if len(rows) == 0 {
		return nil
	}
	stmt := w.tx.StmtxContext(w.ctx, insert.stmt)
	args := make([]any, len(insert.columns))
	for i := range rows {
		value := reflect.Indirect(reflect.ValueOf(&rows[i]).Elem())
		for j, c := range insert.columns {
			args[j] = c.of(value)
		}
		result, err := stmt.ExecContext(w.ctx, args...)
		if err != nil {
			return err
		}
		if err := done(i, result); err != nil {
			return err
		}
	}
	return nil
}

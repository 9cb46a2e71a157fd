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
	callback, notice, order, event *sqlx.NamedStmt
}

func prepareRowwise(ctx context.Context, db *sqlx.DB) (inserter, error) {
	var in rowwise
	var problems []error
	for _, p := range []struct {
		into    **sqlx.NamedStmt
		table   string
		columns []column
		absent  string
	}{
		{&in.callback, "callbacks", columns(arrival{}), ""},
		{&in.notice, "notifications", noticeColumns(), ` ON CONFLICT DO NOTHING`},
		{&in.order, "orders", columns(order{}), ` ON CONFLICT DO NOTHING`},
		{&in.event, "outbox", columns(outgoing{}), ` ON CONFLICT DO NOTHING`},
	} {
		named := ":" + strings.ReplaceAll(names(p.columns), ", ", ", :")
		stmt, err := db.PrepareNamedContext(ctx, fmt.Sprintf("INSERT INTO %s (%s) VALUES (%s)%s", p.table, names(p.columns), named, p.absent)) //nolint:sqlclosecheck // kept for the life of the pool, which closes them
		*p.into = stmt
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

// each runs a statement for every row.
func each[T any](w *writing, prepared *sqlx.NamedStmt, rows []T, done func(i int, r sql.Result) error) error {
	if len(rows) == 0 {
		return nil
	}
	stmt := w.tx.NamedStmtContext(w.ctx, prepared) //nolint:sqlclosecheck // the end of the transaction closes it
	for i := range rows {
		result, err := stmt.ExecContext(w.ctx, &rows[i])
		if err != nil {
			return err
		}
		if err := done(i, result); err != nil {
			return err
		}
	}
	return nil
}

package telemetry

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/XSAM/otelsql"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// statementSpans is how many SQL spans one commit may have besides begin and
// commit. Of statements that follow each other and are alike only the first has
// one: an embedded engine writes a full batch with about a thousand.
const statementSpans = 48

// commit travels in the context of one transaction of the store.
type commit struct {
	mu                  sync.Mutex
	statements, omitted int64
	last                string
}

// spans reports whether the next statement gets a span.
func (c *commit) spans(query string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if query == c.last || c.statements == statementSpans {
		c.omitted++
		return false
	}
	c.statements++
	c.last = query
	return true
}

type commitKey struct{}

// Commit watches one transaction that size callbacks share, the longest of
// which waited that long for it. It is a trace of its own, to which the record
// spans link: the returned context is for the SQL, the string is the
// traceparent for the link, and the function ends it with the commit's result.
func (t *Telemetry) Commit(ctx context.Context, size int, waited time.Duration) (context.Context, string, func(error)) {
	ctx, span := t.tracer.Start(ctx, SpanCommit, trace.WithNewRoot(), trace.WithAttributes(
		attribute.Int(AttrBatchSize, size), attribute.Float64(AttrBatchWaited, waited.Seconds())))
	t.inst.batch.Record(ctx, int64(size))
	if !span.IsRecording() {
		return ctx, traceparent(span.SpanContext()), func(error) {}
	}
	c := &commit{}
	return context.WithValue(ctx, commitKey{}, c), traceparent(span.SpanContext()), func(err error) {
		if err != nil {
			span.SetStatus(codes.Error, "")
			span.SetAttributes(semconv.ErrorTypeKey.String(fmt.Sprintf("%T", err)))
		}
		c.mu.Lock()
		if c.omitted > 0 {
			span.SetAttributes(attribute.Int64(AttrSpansOmitted, c.omitted))
		}
		c.mu.Unlock()
		span.End()
	}
}

// OpenDB opens a database whose statements are measured. Spans are made only
// inside a store.commit: a background query would be a trace of one span that
// tells nobody anything. Arguments are never recorded, nor is the text of an
// error, which may quote them.
func (t *Telemetry) OpenDB(driverName, dsn string) (*sql.DB, error) {
	db, err := otelsql.Open(driverName, dsn,
		otelsql.WithTracerProvider(t.traces),
		otelsql.WithMeterProvider(t.metrics),
		otelsql.WithAttributes(dbSystem(driverName)),
		otelsql.WithDisableSkipErrMeasurement(true),
		otelsql.WithSpanErrorAttributesGetter(func(err error) []attribute.KeyValue {
			return []attribute.KeyValue{semconv.ErrorTypeKey.String(fmt.Sprintf("%T", err))}
		}),
		otelsql.WithSpanOptions(otelsql.SpanOptions{
			OmitConnResetSession: true,
			OmitConnPrepare:      true,
			OmitRows:             true,
			OmitConnectorConnect: true,
			DisableErrSkip:       true,
			RecordError:          func(error) bool { return false },
			SpanFilter:           spanned,
		}))
	if err != nil {
		return nil, fmt.Errorf("telemetry: open %s: %w", driverName, err)
	}
	return db, nil
}

// dbSystem is the engine behind a driver, as the conventions call it. MariaDB is
// spoken to as MySQL.
func dbSystem(driverName string) attribute.KeyValue {
	switch {
	case driverName == "pgx":
		return semconv.DBSystemNamePostgreSQL
	case strings.HasSuffix(driverName, "mysql"):
		return semconv.DBSystemNameMySQL
	}
	return semconv.DBSystemNameKey.String(driverName) // sqlite
}

// spanned says which statements get a span.
func spanned(ctx context.Context, method otelsql.Method, query string, _ []driver.NamedValue) bool {
	c, ok := ctx.Value(commitKey{}).(*commit)
	if !ok {
		return false
	}
	switch method {
	case otelsql.MethodConnBeginTx, otelsql.MethodTxCommit, otelsql.MethodTxRollback:
		return true
	}
	return c.spans(query)
}

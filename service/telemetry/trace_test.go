package telemetry_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	_ "modernc.org/sqlite"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// door is the public door, as far as spans are concerned.
func door(w *watched, accept telemetry.Accepter) http.Handler {
	e := echo.New()
	e.Use(w.Route())
	e.POST("/wechatpay/:merchant", func(c echo.Context) error {
		env := envelopeV3()
		env.Merchant = c.Param("merchant")
		_, err := accept.Accept(c.Request().Context(), env)
		if err != nil {
			return c.NoContent(callback.AsRefusal(err).Status())
		}
		return c.NoContent(http.StatusNoContent)
	})
	return w.HTTP(e)
}

func post(h http.Handler, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, target, strings.NewReader(envelopeBody))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer
}

// tree draws ended spans as "parent > child", roots first.
func tree(spans []sdktrace.ReadOnlySpan) []string {
	names := map[string]string{}
	for _, s := range spans {
		names[s.SpanContext().SpanID().String()] = s.Name()
	}
	var edges []string
	for _, s := range spans {
		edge := s.Name()
		if s.Parent().IsValid() {
			edge = names[s.Parent().SpanID().String()] + " > " + edge
		}
		edges = append(edges, edge)
	}
	slices.Sort(edges)
	return edges
}

func named(t *testing.T, spans []sdktrace.ReadOnlySpan, name string) sdktrace.ReadOnlySpan {
	t.Helper()
	for _, s := range spans {
		if s.Name() == name {
			return s
		}
	}
	t.Fatalf("no span %q among %v", name, tree(spans))
	return nil
}

func attr(s sdktrace.ReadOnlySpan, key string) string {
	for _, kv := range s.Attributes() {
		if kv.Key == attribute.Key(key) {
			return kv.Value.String()
		}
	}
	return ""
}

// TestSpanTree takes two arrivals of one notification through the whole chain
// and looks at the tree, the links, and what a stranger's headers can do.
func TestSpanTree(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	db, err := w.OpenDB("sqlite", filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`CREATE TABLE x (id TEXT)`); err != nil {
		t.Fatal(err)
	}

	var arrivals []string // traceparents, as the store would keep them
	h := door(w, w.chain(world{
		open: opens(payment()),
		record: func(_ context.Context, e callback.Entry) (callback.Receipt, error) {
			ctx, commit, end := w.Commit(context.Background(), 1, time.Millisecond)
			tx, err := db.BeginTx(ctx, nil)
			if err == nil {
				_, err = tx.ExecContext(ctx, `INSERT INTO x VALUES (?)`, e.Envelope.ID)
			}
			if err == nil {
				err = tx.Commit()
			}
			end(err)
			trail := callback.Trail{Row: e.Envelope.ID, Arrival: len(arrivals) + 1, Earlier: slices.Clone(arrivals), Commit: commit}
			arrivals = append(arrivals, e.Envelope.Trace)
			return callback.Committed(callback.Commit{Trail: trail, Duplicate: len(arrivals) > 1}), err
		},
	}))

	stranger := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"
	for range 2 {
		if got := post(h, "/wechatpay/shop", "traceparent", stranger, "baggage", "openid=o123").Code; got != http.StatusNoContent {
			t.Fatalf("answered %d", got)
		}
	}

	const server = "POST /wechatpay/{merchant}"
	ended := w.spans.Ended()
	want := []string{
		server, server,
		server + " > open", server + " > open",
		server + " > record", server + " > record",
		"store.commit", "store.commit",
		"store.commit > sql.conn.begin_tx", "store.commit > sql.conn.begin_tx",
		"store.commit > sql.conn.exec", "store.commit > sql.conn.exec",
		"store.commit > sql.tx.commit", "store.commit > sql.tx.commit",
	}
	if got := tree(ended); !slices.Equal(got, want) {
		t.Errorf("spans:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	var servers []sdktrace.ReadOnlySpan
	for _, s := range ended {
		if s.SpanContext().TraceID().String() == stranger[3:35] {
			t.Errorf("span %s joined a stranger's trace", s.Name())
		}
		if s.Name() == server {
			servers = append(servers, s)
		}
	}
	if got := traceparentOf(servers[0]); got != arrivals[0] {
		t.Errorf("Envelope.Trace was %q, the server span is %q", arrivals[0], got)
	}
	if len(servers[0].Links()) != 0 {
		t.Errorf("the first arrival links to %v", servers[0].Links())
	}
	if links := servers[1].Links(); len(links) != 1 || links[0].SpanContext.SpanID() != servers[0].SpanContext().SpanID() {
		t.Errorf("the second arrival links to %v, want the first", links)
	}
	record, commit := named(t, ended, "record"), named(t, ended, "store.commit")
	if links := record.Links(); len(links) != 1 || links[0].SpanContext.SpanID() != commit.SpanContext().SpanID() {
		t.Errorf("record links to %v, want its store.commit", links)
	}
	for key, want := range map[string]string{
		telemetry.FieldMerchant: "shop", telemetry.FieldStatus: "duplicate", telemetry.FieldArrival: "2",
		telemetry.FieldOutTradeNo: payment().OutTradeNo, telemetry.FieldTransactionID: payment().TransactionID,
		telemetry.FieldNotificationID: payment().ID, telemetry.FieldReason: "", "http.route": "/wechatpay/{merchant}",
	} {
		if got := attr(servers[1], key); got != want {
			t.Errorf("server span: %s is %q, want %q", key, got, want)
		}
	}
}

func traceparentOf(s sdktrace.ReadOnlySpan) string {
	return "00-" + s.SpanContext().TraceID().String() + "-" + s.SpanContext().SpanID().String() + "-01"
}

// TestSpanStatus: an error only for what pages somebody.
func TestSpanStatus(t *testing.T) {
	t.Parallel()
	for _, reason := range callback.Reasons() {
		for _, class := range reason.Classes() {
			t.Run(string(reason)+"/"+string(class), func(t *testing.T) {
				t.Parallel()
				w := start(t, telemetry.Options{})
				post(door(w, w.chain(failing(reason, class))), "/wechatpay/shop")
				s := named(t, w.spans.Ended(), "POST /wechatpay/{merchant}")
				if got, want := s.Status().Code == codes.Error, class.Pages(); got != want {
					t.Errorf("status %v, want an error: %v", s.Status(), want)
				}
				if got := attr(s, telemetry.FieldReason); got != string(reason) {
					t.Errorf("error.type %q", got)
				}
				if len(s.Events()) != 0 {
					t.Errorf("events %v: errors belong in the record", s.Events())
				}
			})
		}
	}
}

// failing is a world in which every callback fails for reason in class: at the
// opener, or as a quarantine at the store.
func failing(reason callback.Reason, class callback.Class) world {
	if reason.Quarantined() {
		return world{open: opens(payment()), record: accepts(callback.Commit{Quarantine: reason})}
	}
	return world{
		open:   refuses(callback.Refuse(reason, "why").InClass(class)),
		record: accepts(callback.Commit{}),
	}
}

// TestStatementSpansAreBounded: a full batch must not be a thousand spans.
func TestStatementSpansAreBounded(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	db, err := w.OpenDB("sqlite", filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.Exec(`CREATE TABLE x (id INTEGER)`); err != nil {
		t.Fatal(err)
	}
	if n := len(w.spans.Ended()); n != 0 {
		t.Errorf("%d spans outside of a commit", n)
	}
	ctx, _, end := w.Commit(t.Context(), 256, 0)
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 1000 {
		query := `INSERT INTO x VALUES (?)`
		if i >= 900 { // each unlike the one before
			query = fmt.Sprintf(`INSERT INTO x VALUES (? + %d)`, i)
		}
		if _, err := tx.ExecContext(ctx, query, i); err != nil {
			t.Fatal(err)
		}
	}
	if err := tx.Rollback(); err != nil {
		t.Fatal(err)
	}
	end(errPlain)
	ended := w.spans.Ended()
	if n := len(ended); n != 48+2+1 { // with the rollback and the commit itself
		t.Errorf("one commit made %d spans", n)
	}
	commit := named(t, ended, "store.commit")
	if attr(commit, telemetry.AttrSpansOmitted) != "952" || attr(commit, telemetry.AttrBatchSize) != "256" {
		t.Errorf("store.commit says %v", commit.Attributes())
	}
	if commit.Status().Code != codes.Error {
		t.Errorf("a failed commit has status %v", commit.Status())
	}
}

// TestHostileRequests: what a stranger writes into a request line can neither
// make series nor break an export.
func TestHostileRequests(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	h := door(w, w.chain(failing(callback.ReasonUnsigned, callback.Noise)))
	for i := range 50 {
		r := httptest.NewRequest("BREW", "/%ff%fe", nil)
		r.Host = strings.Repeat("x", i+1) + ".example.com"
		r.Header.Set("User-Agent", "\xff\xfe"+strings.Repeat("a", 5000))
		h.ServeHTTP(httptest.NewRecorder(), r)
	}
	for _, s := range w.spans.Ended() {
		for _, kv := range s.Attributes() {
			if text := kv.Value.String(); len(text) > 300 || strings.ToValidUTF8(text, "") != text {
				t.Fatalf("span attribute %s holds %q", kv.Key, text)
			}
		}
	}
	if n := len(w.collect(t)["http.server.request.duration"]); n != 1 {
		t.Errorf("50 hosts made %d series", n)
	}
}

// TestNobodyLooksAtSpans: without anything that takes spans none is recorded, and
// each callback has its trace's id all the same, in its row and in its record.
func TestNobodyLooksAtSpans(t *testing.T) {
	t.Parallel()
	w := &watched{stderr: &buffer{}}
	var err error
	if w.Telemetry, err = telemetry.Start(t.Context(), telemetry.Options{Merchants: []string{"shop"}, Stderr: w.stderr}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.Shutdown(context.Background()) })
	unrecorded := func(ctx context.Context, where string) {
		if s := trace.SpanFromContext(ctx); s.IsRecording() || !s.SpanContext().IsValid() {
			t.Errorf("%s: recording: %v, context %v", where, s.IsRecording(), s.SpanContext())
		}
	}
	var row, commit string
	h := door(w, w.chain(world{
		open: func(ctx context.Context, _ callback.Envelope) (callback.Notification, error) {
			unrecorded(ctx, "open")
			return payment(), nil
		},
		record: func(ctx context.Context, e callback.Entry) (callback.Receipt, error) {
			unrecorded(ctx, "record")
			var end func(error)
			ctx, commit, end = w.Commit(context.Background(), 1, 0)
			unrecorded(ctx, "commit")
			end(errPlain)
			row = e.Envelope.Trace
			return callback.Committed(callback.Commit{Trail: callback.Trail{Row: "r", Commit: commit, Earlier: []string{row}}}), nil
		},
	}))
	post(h, "/wechatpay/shop")
	for what, id := range map[string]string{"row": row, "commit": commit} {
		if sc, ok := telemetry.ParseTraceparent(id); !ok || sc.IsSampled() {
			t.Errorf("%s: traceparent %q, want one that says: not sampled", what, id)
		}
	}
	if record := w.handled(t)[0]; record["trace_id"] != row[3:35] {
		t.Errorf("the record names the trace %v, the row %s", record["trace_id"], row)
	}
}

package store_test

import (
	"context"
	"database/sql"
	"flag"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
)

var historyRows = flag.Int("history-rows", 20_000, "failures that nobody was told of when the first channel is configured")

// TestHistory: the first channel is configured after a year. What failed a moment
// ago is told at once, callbacks go on, and the year becomes one incident.
func TestHistory(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	fill(t, o, *historyRows)
	db := mustOpen(t, o)
	worst, stop := payments(t, db)
	fail := func() {
		_, _ = db.Record(t.Context(), storetest.Refuse("acme", callback.ReasonDecryptFailed, callback.Proven, nil))
	}
	fail()
	key := callback.FailureIncident("acme", callback.Proven, callback.ReasonDecryptFailed)
	list, took := look(t, db)
	if len(list) != 1 || list[0].IncidentKey != key || list[0].Count != 1 {
		t.Fatalf("after the first look: %+v", list)
	}
	t.Logf("the first look took %s", took)
	began := time.Now()
	for len(list) == 1 && !t.Failed() {
		list, _ = look(t, db)
	}
	t.Logf("the history was complete after %s", time.Since(began).Round(time.Millisecond))
	if len(list) != 2 || list[1].Rule != callback.RuleHistory || list[1].Count != int64(*historyRows) || list[1].Critical() || !list[1].Opened.Before(list[1].Latest) {
		t.Errorf("complete: %+v", list)
	}
	close(stop)
	t.Logf("the slowest callback meanwhile: %s", <-worst)
	for n := range int64(3) {
		fail()
		list, took = look(t, db)
		if list[0].Count != n+2 {
			t.Errorf("%+v, want %d failures", list[0], n+2)
		}
		t.Logf("one more failure: %s", took)
	}
}

// TestLargeIncident: a further failure of a large incident costs what the first
// one did.
func TestLargeIncident(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	fill(t, o, *historyRows)
	raw, err := sql.Open("sqlite", o.Path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := raw.Exec(`UPDATE callbacks SET counted_at = received_at + 400 * 86400000000`); err != nil {
		t.Fatal(err)
	}
	_ = raw.Close()
	db := mustOpen(t, o)
	var list []callback.Incident
	for len(list) == 0 || list[0].Count < int64(*historyRows) {
		list, _ = look(t, db)
	}
	_, _ = db.Record(t.Context(), storetest.Refuse("acme", callback.ReasonDecryptFailed, callback.Proven, nil))
	list, took := look(t, db)
	began := time.Now()
	facts, err := db.IncidentFacts(t.Context(), list[0])
	if err != nil || list[0].Count != int64(*historyRows)+1 || facts.Partial != (*historyRows >= 10_000) || len(facts.Orders) != 5 {
		t.Errorf("%+v, %+v, %v", list, facts, err)
	}
	t.Logf("one more: %s; its facts: %s", took, time.Since(began))
}

// fill makes failures of the last 300 days that belong to no incident.
func fill(t *testing.T, o store.Options, rows int) {
	t.Helper()
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	_, _ = db.Record(t.Context(), storetest.Refuse("acme", callback.ReasonDecryptFailed, callback.Proven, nil))
	if err := db.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	raw, err := sql.Open("sqlite", "file:"+o.Path+"?_pragma=synchronous(0)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = raw.Close() }()
	raw.SetMaxOpenConns(1)
	var columns string
	if err := raw.QueryRow(`SELECT group_concat(name) FROM pragma_table_info('callbacks') WHERE name <> 'seq'`).Scan(&columns); err != nil {
		t.Fatal(err)
	}
	values := "," + columns + ","
	for name, value := range map[string]string{
		"id": "id || n.i", "out_trade_no": "'ORDER' || n.i",
		"received_at": fmt.Sprintf("received_at - 2 * 86400000000 - n.i * (298 * 86400000000 / %d)", rows),
		"counted_at":  fmt.Sprintf("counted_at - 2 * 86400000000 - n.i * (298 * 86400000000 / %d)", rows),
	} {
		values = strings.Replace(values, ","+name+",", ","+value+",", 1)
	}
	for _, statement := range []string{
		fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
INSERT INTO callbacks (%s) SELECT %s FROM n, (SELECT * FROM callbacks LIMIT 1)`, rows, columns, strings.Trim(values, ",")),
		`DELETE FROM callbacks WHERE seq = (SELECT min(seq) FROM callbacks)`,
		`PRAGMA synchronous = FULL`,
		`PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		if _, err := raw.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
}

// look asks for incidents as the pager does.
func look(t *testing.T, db *store.DB) ([]callback.Incident, time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	began := time.Now()
	list, err := db.Incidents(ctx)
	if err != nil {
		t.Errorf("the pager hears nothing: %v", err)
	}
	return list, time.Since(began)
}

// payments come in one after the other until stop is closed; worst is how long
// one of them waited.
func payments(t *testing.T, db *store.DB) (worst chan time.Duration, stop chan struct{}) {
	t.Helper()
	worst, stop = make(chan time.Duration, 1), make(chan struct{})
	go func() {
		longest := time.Duration(0)
		for n := 0; ; n++ {
			select {
			case <-stop:
				worst <- longest
				return
			default:
			}
			began := time.Now()
			ctx, cancel := context.WithTimeout(context.Background(), 2500*time.Millisecond)
			if _, err := db.Record(ctx, storetest.Arrive(storetest.Payment(fmt.Sprint("P", n), 100))); err != nil {
				t.Errorf("a payment is refused: %v", err)
			}
			cancel()
			longest = max(longest, time.Since(began))
		}
	}()
	return worst, stop
}

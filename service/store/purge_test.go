package store_test

import (
	"database/sql/driver"
	"fmt"
	"strings"
	"testing"
	"time"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
)

// A chunk grows and shrinks with what the last one took.
func TestChunk(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		last int64
		work time.Duration
		want int64
	}{
		{100, 5 * time.Millisecond, 100},
		{100, 4 * time.Millisecond, 125},
		{100, time.Millisecond, 200}, // twice as many at most: the first may have been lucky
		{100, 0, 200},
		{1500, time.Millisecond, 2000},
		{1000, 50 * time.Millisecond, 100},
		{100, time.Minute, 20}, // or a busy machine would never finish
	} {
		t.Run(fmt.Sprint(tt.last, tt.work), func(t *testing.T) {
			t.Parallel()
			if got := store.ChunkFor(tt.last, tt.work); got != tt.want {
				t.Errorf("%d rows, want %d", got, tt.want)
			}
		})
	}
}

// Rests are ninety-nine times as long as the work, unless there is too much of it.
func TestRest(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ took, behind, want time.Duration }{
		{6 * time.Millisecond, time.Hour, 594 * time.Millisecond},
		{6 * time.Millisecond, 25 * time.Hour, 54 * time.Millisecond},
		{time.Minute, time.Hour, time.Second},
		{time.Minute, 25 * time.Hour, time.Second},
	} {
		t.Run(fmt.Sprint(tt.took, tt.behind), func(t *testing.T) {
			t.Parallel()
			if got := store.RestFor(tt.took, tt.behind); got != tt.want {
				t.Errorf("%s, want %s", got, tt.want)
			}
		})
	}
}

// A clock that was wrong for a moment keeps no row but its own.
func TestPurgeBeyond(t *testing.T) {
	t.Parallel()
	db := mustOpen(t, sqlite().Options(t))
	for i := range 150 {
		entry := storetest.Arrive(storetest.Payment(fmt.Sprint(i), 100))
		entry.Envelope.Received = time.Now().Add(-time.Hour)
		if i == 0 {
			entry.Envelope.Received = time.Now().AddDate(1, 0, 0)
		}
		if _, err := db.Record(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
	}
	if deleted, err := db.Purge(t.Context(), time.Now()); err != nil || deleted != 149 {
		t.Errorf("%d deleted, %v", deleted, err)
	}
}

// However much there is to purge, callbacks get in between: many transactions,
// with rests that are longer.
func TestPurgeRests(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	faults := new(storetest.Faults)
	o.Open = faults.Open
	db := mustOpen(t, o)
	const rows = 400
	for i := range rows {
		entry := storetest.Arrive(storetest.Payment(fmt.Sprint(i), 100))
		entry.Envelope.Received = time.Now().Add(-time.Hour)
		if _, err := db.Record(t.Context(), entry); err != nil {
			t.Fatal(err)
		}
	}
	var began []time.Time
	faults.OnExec(func(query string, _ []driver.NamedValue) error {
		if strings.HasPrefix(query, "DELETE FROM callbacks") {
			began = append(began, time.Now())
		}
		return nil
	})
	start := time.Now()
	deleted, err := db.Purge(t.Context(), time.Now())
	if err != nil || deleted != rows {
		t.Fatalf("%d deleted, %v", deleted, err)
	}
	if len(began) < 3 {
		t.Errorf("%d transactions", len(began))
	}
	if took := time.Since(start); took < 20*time.Millisecond {
		t.Errorf("%d transactions in %s: no rests", len(began), took)
	}
}

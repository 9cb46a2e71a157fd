package store_test

import (
	"os"
	"strings"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/store/storetest"
)

// TestFilesMoved takes the database away under a running store. SQLite would go
// on and report success; nobody must be told that their callback is safe.
func TestFilesMoved(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ away, back func(path string) error }{
		"deleted and put back": {
			func(path string) error { return os.Rename(path, path+".away") },
			func(path string) error { return os.Rename(path+".away", path) },
		},
		"replaced, and replaced again": {
			func(path string) error { return swap(path, path+".other") },
			func(path string) error { return swap(path, path+".other") },
		},
		"its log deleted": {
			func(path string) error { return os.Remove(path + "-wal") },
			func(string) error { return nil },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sqlite().Options(t)
			if err := other(o.Path + ".other"); err != nil {
				t.Fatal(err)
			}
			db := mustOpen(t, o)
			if _, err := db.Record(t.Context(), storetest.Arrive(storetest.Payment("before", 100))); err != nil {
				t.Fatal(err)
			}
			if err := c.away(o.Path); err != nil {
				t.Fatal(err)
			}
			_, err := db.Record(t.Context(), storetest.Arrive(storetest.Payment("meanwhile", 100)))
			refusal := callback.AsRefusal(err)
			if refusal == nil || refusal.Reason != callback.ReasonStoreUnavailable || !refusal.Trail.Spooled {
				t.Fatalf("acknowledged into a file that is gone: %v", err)
			}
			if !strings.Contains(refusal.Detail, "deleted or replaced") {
				t.Errorf("the cause is not told: %q", refusal.Detail)
			}
			if err := c.back(o.Path); err != nil {
				t.Fatal(err)
			}
			// It recovers by itself; what was acknowledged before is there.
			for found := 0; found == 0; {
				if _, err := db.Record(t.Context(), storetest.Arrive(storetest.Payment("after", 100))); err == nil {
					found = 1
				}
			}
			for _, id := range []string{"before", "meanwhile", "after"} {
				if stored, err := db.Find(t.Context(), storetest.Payment(id, 100).TransactionID); err != nil || len(stored) == 0 {
					t.Errorf("%s is lost (%v)", id, err)
				}
			}
		})
	}
}

func other(path string) error { return os.WriteFile(path, nil, 0o600) }

func swap(a, b string) error {
	for _, step := range [][2]string{{a, a + ".tmp"}, {b, a}, {a + ".tmp", b}} {
		if err := os.Rename(step[0], step[1]); err != nil {
			return err
		}
	}
	return nil
}

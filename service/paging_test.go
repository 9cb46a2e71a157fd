package main

import (
	"testing"
	"time"
)

// TestDaily: the drill's time is China's, whatever the host's.
func TestDaily(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ clock, now, want string }{
		{"09:30", "2026-11-23T00:00:00Z", "2026-11-23T01:30:00Z"},
		{"09:30", "2026-11-23T01:30:00Z", "2026-11-24T01:30:00Z"},
		{"00:00", "2026-12-31T15:59:00Z", "2026-12-31T16:00:00Z"},
	} {
		now, err := time.Parse(time.RFC3339, c.now)
		if err != nil {
			t.Fatal(err)
		}
		if got := daily(c.clock)(now).UTC().Format(time.RFC3339); got != c.want {
			t.Errorf("after %s comes %s at %s, want %s", c.now, c.clock, got, c.want)
		}
	}
	if daily("") != nil {
		t.Error("a drill that nobody asked for")
	}
}

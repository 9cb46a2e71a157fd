package main

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
)

// TestReady is the health check of the container.
func TestReady(t *testing.T) {
	t.Parallel()
	w := newWorld(t, nil)
	unready := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"ready":false}`, http.StatusServiceUnavailable)
	}))
	t.Cleanup(unready.Close)
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, c := range []struct {
		name, url string
		code      int
		says      string
	}{
		{"a running service", w.private + "/readyz", exitOK, `ready {"ready":true}`},
		{"one that is not ready", unready.URL, exitFailed, `503 Service Unavailable {"ready":false}`},
		{"nobody there", gone.URL, exitFailed, "not ready"},
		{"no address", "::", exitUsage, "private.listen"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := invoke(t.Context(), "ready", c.url)
			if code != c.code || !strings.Contains(out+errs, c.says) {
				t.Errorf("exit %d, want %d with %q:\n%s%s", code, c.code, c.says, out, errs)
			}
		})
	}
}

// TestKeysAreKept starts a demo twice: its account, and so its callbacks, stay
// good.
func TestKeysAreKept(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "account")
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"--keep"}, exitOK, "is in " + dir},
		{[]string{"--keep"}, exitOK, "kept"},
		{nil, exitUsage, "already holds"},
	} {
		code, out, errs := invoke(t.Context(), append([]string{"simulate", "keys", "--dir", dir}, c.args...)...)
		if code != c.code || !strings.Contains(out+errs, c.says) {
			t.Errorf("%q: exit %d, want %d with %q:\n%s%s", c.args, code, c.code, c.says, out, errs)
		}
	}
}

//go:build stack

package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
	"wxnotify/service/store/storetest/server"
)

// TestStackDatabaseRights makes the users as README.md says, on a server where
// nobody else has made anything, and needs no other right: one user migrates, and
// the service takes callbacks, lists and retires as the other.
func TestStackDatabaseRights(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *server.Server) {
		s.Exec(t, map[server.Engine]string{server.PostgreSQL: "DROP ROLE wxnotify", server.MariaDB: "DROP USER wxnotify"}[s.Engine()]) // the tests' own
		for _, statement := range rights(t, s.Engine()) {
			s.Exec(t, statement)
		}
		at := func(user string) string {
			u := url.URL{Scheme: s.Engine().Scheme(), User: url.User(user), Host: s.Addr(), Path: "/wxnotify"}
			return u.String()
		}
		// So that the right to make tables is seen to be needed by nobody else.
		if code, out, errs := invoke(t.Context(), "migrate", "--config", onServer(t, at("wxnotify"), "CHANGE-ME")); code != exitFailed || !strings.Contains(errs, "Choosing a database") {
			t.Errorf("the service's user migrates: exit %d\n%s%s", code, out, errs)
		}
		if code, out, errs := invoke(t.Context(), "migrate", "--config", onServer(t, at("wxnotify_migrate"), "CHANGE-ME")); code != exitOK {
			t.Fatalf("migrate: exit %d\n%s%s", code, out, errs)
		}
		w := newWorld(t, func(c *Config) {
			c.Store.URL, c.Store.Password.File = at("wxnotify"), filepath.Join(filepath.Dir(c.Store.Path), "password")
			if err := os.WriteFile(c.Store.Password.File, []byte("CHANGE-ME"), 0o600); err != nil {
				t.Error(err)
			}
		})
		order := wechat.NewOrder(100)
		if status := w.register(t, order.OutTradeNo, 100); status != http.StatusCreated {
			t.Errorf("an order ahead: %d", status)
		}
		message := w.wechat.Message(wechat.Payment, order)
		for range 2 {
			if status, _ := w.post(t, message.Sign(wechat.None, time.Now())); status != http.StatusNoContent {
				t.Errorf("a callback: %d\n%s", status, w.records.String())
			}
		}
		engine := map[server.Engine]string{server.PostgreSQL: "postgresql", server.MariaDB: "mysql"}[s.Engine()]
		if _, seen := w.get(t, "/metrics"); !strings.Contains(seen, `db_system_name="`+engine+`"`) {
			t.Errorf("no duration of %s in the metrics", engine)
		}
		if _, err := w.store.Purge(t.Context(), time.Now()); err != nil {
			t.Errorf("retention: %v", err)
		}
		if code, out, errs := invoke(t.Context(), "resolve", "--config", writeConfig(t, w.config)); code != exitOK {
			t.Errorf("resolve: exit %d\n%s%s", code, out, errs)
		}
	})
}

// rights are the statements of README.md's block for an engine.
func rights(t *testing.T, e server.Engine) (statements []string) {
	t.Helper()
	block := regexp.MustCompile("(?s)```sql\n-- " + map[server.Engine]string{server.PostgreSQL: "PostgreSQL", server.MariaDB: "MySQL, MariaDB"}[e] + ".*?```")
	text := block.FindString(read(t, "../README.md"))
	if twin := block.FindString(read(t, "../README.zh-CN.md")); text == "" || twin != text {
		t.Errorf("README.md and its twin differ, or say nothing:\n%s\n%s", text, twin)
	}
	into := ""
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " -- ")
		switch {
		case strings.HasPrefix(line, `\connect`):
			into = line + "\n"
		case strings.HasSuffix(line, ";"):
			statements = append(statements, into+line)
		}
	}
	return statements
}

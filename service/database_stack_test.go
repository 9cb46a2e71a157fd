//go:build stack

package main

import (
	"context"
	"net/url"
	"strings"
	"testing"
	"time"

	"wxnotify/service/store/storetest/server"
)

// onEach runs a test on a real server of each kind, as one that nobody shares.
func onEach(t *testing.T, test func(t *testing.T, s *server.Server), options ...server.Option) {
	t.Helper()
	for _, e := range server.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			s, err := server.New(e, options...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			test(t, s)
		})
	}
}

// address is a test database's, without the password.
func address(t *testing.T, database string, change func(*url.URL)) string {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	u.User = url.User(u.User.Username())
	if change != nil {
		change(u)
	}
	return u.String()
}

// The commands that need a database, each in words that somebody called at
// night can act on, and none with a password.
func TestStackDatabaseCommands(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *server.Server) {
		made := s.Database(t)
		own := address(t, made, nil)
		as := func(user string) string { return address(t, made, func(u *url.URL) { u.User = url.User(user) }) }
		elsewhere := address(t, made, func(u *url.URL) { u.Path = "/nowhere" })
		secured := address(t, made, func(u *url.URL) {
			u.RawQuery = map[string]string{"postgres": "sslmode=verify-full", "mysql": "tls=true"}[u.Scheme]
		})
		migrations, poor := "migrations", "CREATE ROLE poor LOGIN PASSWORD 'secret'"
		if s.Engine() == server.MariaDB {
			migrations, poor = server.Name(made)+".migrations", "CREATE USER poor IDENTIFIED BY 'secret'; GRANT CREATE TEMPORARY TABLES ON "+server.Name(made)+".* TO poor"
		}
		s.Exec(t, poor)

		everybody := []string{"migrate", "check", "serve", "resolve"}
		steps := []struct {
			name, url, password string
			commands            []string
			code                int
			says                map[server.Engine]string
		}{
			{"wrong password", own, dbPassword, everybody, exitFailed, map[server.Engine]string{
				server.PostgreSQL: `the password is wrong (SQLSTATE 28P01): password authentication failed for user "wxnotify"`,
				server.MariaDB:    "the user or the password is wrong (error 1045): Access denied for user 'wxnotify'",
			}},
			{"unknown user", as("stranger"), dbPassword, everybody, exitFailed, map[server.Engine]string{
				server.PostgreSQL: "store.password", server.MariaDB: "store.password",
			}},
			{"unknown database", elsewhere, server.Password, everybody, exitFailed, map[server.Engine]string{
				server.PostgreSQL: "there is no such database (SQLSTATE 3D000)", server.MariaDB: "the user may not use the database (error 1044)",
			}},
			{"no TLS there", secured, server.Password, everybody, exitFailed, map[server.Engine]string{
				server.PostgreSQL: "the server has no TLS", server.MariaDB: "the server has no TLS",
			}},
			{"nobody has migrated", own, server.Password, []string{"check", "serve", "resolve"}, exitFailed, map[server.Engine]string{
				server.PostgreSQL: "`wxnotify migrate` brings it up to date", server.MariaDB: "`wxnotify migrate` brings it up to date",
			}},
			{"no right to migrate", as("poor"), server.Password, []string{"migrate"}, exitFailed, map[server.Engine]string{
				server.PostgreSQL: "the user may not do this (SQLSTATE 42501): permission denied for schema public",
				server.MariaDB:    "the user may not do this (error 1142): ",
			}},
			{"migrate", own, server.Password, []string{"migrate"}, exitOK, map[server.Engine]string{
				server.PostgreSQL: "The schema was version 0 and is version 1 now.", server.MariaDB: "The schema was version 0 and is version 1 now.",
			}},
			{"once more", own, server.Password, []string{"migrate"}, exitOK, map[server.Engine]string{
				server.PostgreSQL: "The schema is up to date: version 1.", server.MariaDB: "The schema is up to date: version 1.",
			}},
			{"well", own, server.Password, []string{"check"}, exitOK, map[server.Engine]string{
				server.PostgreSQL: "fsync on, synchronous_commit on, nothing outstanding", server.MariaDB: "innodb_flush_log_at_trx_commit 1, nothing outstanding",
			}},
			{"no rights", as("poor"), server.Password, everybody, exitFailed, map[server.Engine]string{
				server.PostgreSQL: "Choosing a database", server.MariaDB: "Choosing a database",
			}},
		}
		run := func(name, path string, commands []string, code int, says string) {
			for _, command := range commands {
				got, out, errs := invoke(t.Context(), command, "--config", path)
				if got != code || !strings.Contains(out+errs, says) || code != exitOK && !strings.Contains(out+errs, "→") && !strings.Contains(says, "wxnotify migrate") {
					t.Errorf("%s: %s: exit %d, want %d with %q and what to do\n%s%s", name, command, got, code, says, out, errs)
				}
				unspoken(t, out+errs)
			}
		}
		for _, step := range steps {
			run(step.name, onServer(t, step.url, step.password), step.commands, step.code, step.says[s.Engine()])
		}

		into := "\\connect " + server.Name(made) + "\n"
		if s.Engine() == server.MariaDB {
			into = ""
		}
		s.Exec(t, into+"INSERT INTO "+migrations+" (version_id, is_applied) VALUES (99, true)")
		run("newer schema", onServer(t, own, server.Password), everybody, exitFailed, "the database is newer than this program: schema 99, this program knows 1")

		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		run("server down", onServer(t, own, dbPassword), everybody, exitFailed, "nobody listens at "+s.Addr())
	})
}

// TestStackDatabaseSilent meets a server that takes connections and says nothing.
func TestStackDatabaseSilent(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *server.Server) {
		path := onServer(t, address(t, s.Database(t), nil), dbPassword)
		if err := s.Pause(); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		code, _, errs := invoke(ctx, "migrate", "--config", path)
		if code != exitFailed || !strings.Contains(errs, "the server does not answer") {
			t.Errorf("exit %d\n%s", code, errs)
		}
		unspoken(t, errs)
	})
}

// TestStackMigrateWaits: two steps of a deployment at once are one after the other.
func TestStackMigrateWaits(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, s *server.Server) {
		made := s.Database(t)
		// Longer than anybody waits for a row.
		hold, held := "\\connect "+server.Name(made)+"\nSELECT pg_advisory_lock(hashtext('wxnotify migrations')), pg_sleep(6)", "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted"
		if s.Engine() == server.MariaDB {
			lock := "'wxnotify migrations " + server.Name(made) + "'"
			hold, held = "SELECT GET_LOCK("+lock+", 0), SLEEP(6)", "SELECT NOT IS_FREE_LOCK("+lock+")"
		}
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.Exec(t, hold)
		}()
		eventually(t, "another migration is at work", func() bool { return s.Exec(t, held) == "1" })
		code, out, errs := invoke(t.Context(), "migrate", "--config", onServer(t, address(t, made, nil), server.Password))
		if code != exitOK || !strings.Contains(out, "is version 1 now") {
			t.Errorf("exit %d\n%s%s", code, out, errs)
		}
		select {
		case <-ended:
		case <-time.After(2 * time.Second): // its client takes a moment to go
			t.Error("it did not wait")
		}
	})
}

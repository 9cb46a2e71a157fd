//go:build stack

package server_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"wxnotify/service/store/storetest/server"
)

func TestMain(m *testing.M) {
	if os.Getenv(asOwner) != "" {
		own()
	}
	os.Exit(server.M{M: m}.Run())
}

// each runs a test on every engine.
func each(t *testing.T, test func(t *testing.T, e server.Engine)) {
	t.Helper()
	for _, e := range server.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			test(t, e)
		})
	}
}

// fresh is a server for one test, which may break it.
func fresh(t *testing.T, e server.Engine, options ...server.Option) *server.Server {
	t.Helper()
	s, err := server.New(e, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(s.Log())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask runs SQL through a URL, statement by statement, with the engine's client.
func ask(ctx context.Context, database, sql string) (string, error) {
	u, err := url.Parse(database)
	if err != nil {
		return "", err
	}
	password, _ := u.User.Password()
	c := exec.CommandContext(ctx, "psql", "-XqAtv", "ON_ERROR_STOP=1", database)
	if u.Scheme == server.MariaDB.Scheme() {
		c = exec.CommandContext(ctx, "mariadb", "--no-defaults", "--protocol=tcp", "--batch", "--skip-column-names",
			"--host="+u.Hostname(), "--port="+u.Port(), "--user="+u.User.Username(), "--password="+password, server.Name(database))
	}
	c.Stdin = strings.NewReader(sql)
	var said bytes.Buffer
	c.Stderr = &said
	answer, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("%w: %s", err, said.Bytes())
	}
	return strings.TrimSpace(string(answer)), nil
}

// must is ask where the answer is known.
func must(t *testing.T, database, sql, want string) {
	t.Helper()
	if got, err := ask(t.Context(), database, sql); err != nil || got != want {
		t.Fatalf("%s: %q, %v; want %q", sql, got, err, want)
	}
}

// fails is ask where there must be no answer within a time. It is what is said
// instead.
func fails(t *testing.T, limit time.Duration, database, sql string) (said string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	got, err := ask(ctx, database, sql)
	if err == nil {
		t.Fatalf("%s: answers %q", sql, got)
	}
	return err.Error()
}

const table = "CREATE TABLE kept (id int PRIMARY KEY); INSERT INTO kept VALUES (1);"

func TestDatabase(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e server.Engine) {
		s := server.Shared(t, e)
		one, other := s.Database(t), s.Database(t)
		must(t, one, table+"SELECT id FROM kept", "1")
		fails(t, time.Minute, other, "SELECT id FROM kept")

		wrong := strings.Replace(one, server.Password, "wrong", 1)
		if err := fails(t, time.Minute, wrong, "SELECT 1"); strings.Contains(err, "refused") {
			t.Errorf("a wrong password: %s", err)
		}
		if again := server.Shared(t, e); again != s {
			t.Error("two shared servers")
		}
	})
}

// TestSettings reads back what tests of durability rest on.
func TestSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		engine  server.Engine
		options []server.Option
		sql     string
		want    string
	}{
		{server.PostgreSQL, nil, "SHOW fsync; SHOW synchronous_commit; SHOW full_page_writes", "on\non\non"},
		{server.PostgreSQL, []server.Option{server.WithoutSync(), server.WithSetting("synchronous_commit", "off")}, "SHOW fsync; SHOW synchronous_commit", "off\noff"},
		{server.MariaDB, nil, "SELECT @@innodb_flush_method, @@innodb_flush_log_at_trx_commit, @@sql_mode LIKE '%STRICT%', @@character_set_server", "O_DIRECT\t1\t1\tutf8mb4"},
		{server.MariaDB, []server.Option{server.WithoutSync(), server.WithSetting("innodb-flush-log-at-trx-commit", "2")}, "SELECT @@innodb_flush_method, @@innodb_flush_log_at_trx_commit", "nosync\t2"},
	} {
		t.Run(fmt.Sprint(test.engine, len(test.options)), func(t *testing.T) {
			t.Parallel()
			s := server.Shared(t, test.engine)
			if test.options != nil {
				s = fresh(t, test.engine, test.options...)
			}
			if got := s.Exec(t, test.sql); got != test.want {
				t.Errorf("%s: %q, want %q", test.sql, got, test.want)
			}
		})
	}
}

func TestKeepsDataAndPort(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e server.Engine) {
		s := fresh(t, e)
		database := s.Database(t)
		must(t, database, table, "")
		for _, end := range []struct {
			name string
			do   func() error
		}{
			{"Kill", s.Kill},
			{"Stop", func() error { return s.Stop(t.Context()) }},
			{"Kill again", s.Kill},
		} {
			address := s.Addr()
			if err := end.do(); err != nil {
				t.Fatal(end.name, err)
			}
			if conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address); err == nil {
				_ = conn.Close()
				t.Errorf("%s: still listens", end.name)
			}
			if err := s.Start(t.Context()); err != nil {
				t.Fatal(end.name, err)
			}
			if s.Addr() != address {
				t.Errorf("%s: from %s to %s", end.name, address, s.Addr())
			}
			must(t, database, "SELECT id FROM kept", "1")
		}
	})
}

// TestKillBusy kills a server in the middle of work that does not look up.
func TestKillBusy(t *testing.T) {
	t.Parallel()
	work := map[server.Engine]string{
		server.PostgreSQL: "SELECT count(*) FROM generate_series(1, 1e12::bigint) AS work",
		server.MariaDB:    "SELECT BENCHMARK(1000000000000, SHA1('work'))",
	}
	listed := map[server.Engine]string{
		server.PostgreSQL: "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND usename = 'wxnotify'",
		server.MariaDB:    "SELECT count(*) FROM information_schema.processlist WHERE command = 'Query' AND user = 'wxnotify'",
	}
	each(t, func(t *testing.T, e server.Engine) {
		s := fresh(t, e, server.WithoutSync())
		database := s.Database(t)
		answered := make(chan error, 1)
		go func() {
			_, err := ask(t.Context(), database, work[e])
			answered <- err
		}()
		for s.Exec(t, listed[e]) != "1" {
			if t.Context().Err() != nil {
				return
			}
		}
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := <-answered; err == nil {
			t.Error("the work was done")
		}
		if err := s.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		must(t, database, "SELECT 1", "1")
	})
}

func TestPause(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e server.Engine) {
		s := fresh(t, e, server.WithoutSync())
		database := s.Database(t)
		if err := s.Pause(); err != nil {
			t.Fatal(err)
		}
		fails(t, 300*time.Millisecond, database, "SELECT 1")
		if err := s.Resume(); err != nil {
			t.Fatal(err)
		}
		must(t, database, "SELECT 1", "1")
	})
}

func TestFill(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e server.Engine) {
		s := fresh(t, e, server.WithDisk(300))
		database := s.Database(t)
		must(t, database, "CREATE TABLE wide (t text)", "")
		free := s.Fill(t)
		rows := map[server.Engine]string{server.PostgreSQL: "generate_series(1, 30000)", server.MariaDB: "seq_1_to_30000"}
		insert := "INSERT INTO wide SELECT repeat('x', 1000) FROM " + rows[e]
		if err := fails(t, time.Minute, database, insert); !strings.Contains(err, "full") && !strings.Contains(err, "space") {
			t.Errorf("a full disk: %s", err)
		}
		free()
		must(t, database, insert+"; SELECT count(*) FROM wide", "30000")
	})
}

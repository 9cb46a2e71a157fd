//go:build stack

package server_test

import (
	"strings"
	"testing"
	"time"

	"wxnotify/service/store/storetest/server"
)

func TestProxy(t *testing.T) {
	t.Parallel()
	const probe = "SELECT 'answer'"
	each(t, func(t *testing.T, e server.Engine) {
		s := server.Shared(t, e)
		database := s.Database(t)
		p := s.Proxy(t)
		through := p.URL(database)
		for _, test := range []struct {
			fault string
			begin func()
			limit time.Duration // at which the client gives up
		}{
			{"Down", p.Down, time.Minute},
			{"Timeout", func() { p.Timeout(0) }, time.Second},
			{"ResetPeer", func() { p.ResetPeer(0) }, time.Minute},
			{"LimitData", func() { p.LimitData(20) }, time.Minute},
		} {
			must(t, through, probe, "answer")
			test.begin()
			err := fails(t, test.limit, through, probe)
			if hung := strings.Contains(err, "killed"); hung != (test.fault == "Timeout") {
				t.Errorf("%s: %s", test.fault, err)
			}
			p.Heal()
		}

		const delay = 200 * time.Millisecond
		p.Latency(delay/2, 0)
		p.Latency(delay, 0) // replaces the other
		began := time.Now()
		must(t, through, probe, "answer")
		if took := time.Since(began); took < 2*delay { // greeting and answer
			t.Errorf("answers %v late, after %v", delay, took)
		}
		p.Heal()

		p.Bandwidth(50)
		began = time.Now()
		if got, err := ask(t.Context(), through, "SELECT repeat('x', 50000)"); err != nil || len(got) != 50_000 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if took := time.Since(began); took < 800*time.Millisecond {
			t.Errorf("50 kB at 50 kB/s took %v", took)
		}
		p.Heal()
		must(t, through, probe, "answer")
	})
}

func TestWire(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e server.Engine) {
		s := server.Shared(t, e)
		database := s.Database(t)
		must(t, database, table, "")
		w := s.Wire(t)
		for _, test := range []struct {
			name, sql string
			arm       func([]byte) <-chan struct{}
			pattern   string
			kept      string
		}{
			{"the COMMIT does not arrive", "BEGIN; INSERT INTO kept VALUES (2); COMMIT;", w.CutQuestion, "commit", "1"},
			{"its answer does not", "BEGIN; INSERT INTO kept VALUES (2); COMMIT;", w.CutAnswer, "COMMIT", "1 2"},
			{"without a transaction", "INSERT INTO kept VALUES (3);", w.CutAnswer, "insert into", "1 2 3"},
		} {
			must(t, w.URL(database), "BEGIN; COMMIT; SELECT 'sound'", "sound")
			cut := test.arm([]byte(test.pattern))
			fails(t, time.Minute, w.URL(database), test.sql)
			select {
			case <-cut:
			default:
				t.Errorf("%s: nothing was cut", test.name)
			}
			got, err := ask(t.Context(), database, "SELECT id FROM kept ORDER BY id")
			if got = strings.Join(strings.Fields(got), " "); err != nil || got != test.kept {
				t.Errorf("%s: there are %s, %v; want %s", test.name, got, err, test.kept)
			}
		}
	})
}

func TestWireWithoutServer(t *testing.T) {
	t.Parallel()
	each(t, func(t *testing.T, e server.Engine) {
		s := fresh(t, e, server.WithoutSync())
		database := s.Database(t)
		w := s.Wire(t)
		if err := s.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		fails(t, time.Minute, w.URL(database), "SELECT 1")
	})
}

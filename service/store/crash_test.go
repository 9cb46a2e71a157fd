package store_test

import (
	"bufio"
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
	"wxnotify/service/store/storetest/server"
)

// crasherEnv makes the test binary a process that records until it is killed.
const crasherEnv = "WXNOTIFY_TEST_CRASHER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crasherEnv); dir != "" {
		crasher(dir)
		return
	}
	goleak.VerifyTestMain(server.M{M: m},
		// After a panic below database/sql, its transaction waits for ever for a
		// lock that the panic left held: one goroutine for each such panic.
		goleak.IgnoreAnyFunction("database/sql.(*Tx).awaitDone"))
}

// crasherOptions are for the store in a folder, or for that on a server if its URL
// stands before the folder.
func crasherOptions(dir string) store.Options {
	if url, dir, remote := strings.Cut(dir, " "); remote {
		return store.Options{
			URL: url, SpoolPath: filepath.Join(dir, "spool"), SpoolSize: 1 << 20, Destinations: []string{"shop"},
		}
	}
	return store.Options{
		Path: filepath.Join(dir, "wxnotify.db"), SpoolPath: filepath.Join(dir, "spool"), SpoolSize: 1 << 20,
		Destinations: []string{"shop"},
	}
}

// crasher records payments from few keys and prints every receipt: row and key.
func crasher(dir string) {
	db, err := store.Open(context.Background(), crasherOptions(dir))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for {
				n := storetest.Payment(fmt.Sprint(rand.IntN(400)), 100)
				r, err := db.Record(context.Background(), storetest.Arrive(n))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				fmt.Printf("%s %s %s\n", r.Outcome(), r.Trail().Row, n.Key) // one write call
			}
		})
	}
	all.Wait()
}

// What was answered with a receipt is there after kill -9, and moved its order
// once (P1, P2).
func TestKill(t *testing.T) {
	t.Parallel()
	const cycles = 20
	dir := t.TempDir()
	acked, accepted := make(map[string]string), make(map[string]int)
	for range cycles {
		kill(t, dir, 1+rand.IntN(150), func(outcome, row, key string) {
			acked[row] = key
			if outcome == "accepted" {
				accepted[key]++
			}
		})
	}
	for key, times := range accepted {
		if times > 1 {
			t.Errorf("%s was accepted %d times", key, times)
		}
	}
	o := crasherOptions(dir)
	db, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	for row, key := range acked {
		s, err := db.Callback(t.Context(), row)
		if err != nil || s.Notification.Key != key {
			t.Errorf("row %s of %s: %v", row, key, err)
		}
	}
	raw := sqlite().Raw(t, o)
	for query, want := range map[string]int{
		`SELECT count(*) FROM (SELECT business_key FROM callbacks WHERE outcome = 'accepted' GROUP BY business_key HAVING count(*) > 1)`: 0,
		`SELECT count(*) FROM notifications n WHERE (SELECT count(*) FROM outbox o WHERE o.notification = n.id) <> 1`:                    0,
		`SELECT count(*) FROM notifications n WHERE NOT EXISTS (SELECT 1 FROM orders o WHERE o.out_trade_no = n.out_trade_no)`:           0,
	} {
		if got := number(t, raw.DB, query); got != want {
			t.Errorf("%s: %d", query, got)
		}
	}
	if len(acked) < cycles || len(accepted) == 0 {
		t.Errorf("only %d receipts in %d cycles: nothing was tested", len(acked), cycles)
	}
	t.Logf("%d kills, %d receipts, %d orders", cycles, len(acked), len(accepted))
}

// kill runs the crasher until it has printed that many receipts.
func kill(t *testing.T, dir string, receipts int, got func(outcome, row, key string)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), crasherEnv+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == receipts {
			_ = cmd.Process.Kill()
		}
		line, err := lines.ReadString('\n') // what was printed before the kill is read too
		if err != nil {
			break
		}
		word := strings.Fields(line)
		got(word[0], word[1], word[2])
	}
	if err := cmd.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the process ended by itself: %v", err)
	}
}

func number(t testing.TB, db *sql.DB, query string, args ...any) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), query, args...).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

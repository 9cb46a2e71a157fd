//go:build stack

package server_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/store/storetest/server"
)

// asOwner makes this program start servers, and then wait to be killed.
const asOwner = "SERVER_TEST_OWNER"

func own() {
	for _, e := range server.Engines() {
		s, err := server.New(e, server.WithDisk(300))
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(s.Addr())
		switch e {
		case server.PostgreSQL:
			_, err = s.Create(context.Background())
		case server.MariaDB:
			err = s.Pause() // what is frozen is ended all the same
		}
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	fmt.Println("ready")
	select {}
}

// TestNoOrphans kills the owner of servers at several moments: nothing may be left
// of them, neither process nor file.
func TestNoOrphans(t *testing.T) {
	t.Parallel()
	for _, moment := range []struct {
		name string
		line string        // that the owner has said
		wait time.Duration // since then
	}{
		{"in the first installation", "", 150 * time.Millisecond},
		{"in the second installation", "127.0.0.1:", 50 * time.Millisecond},
		{"in the second start", "127.0.0.1:", 500 * time.Millisecond},
		{"while they run", "ready", 0},
	} {
		t.Run(moment.name, func(t *testing.T) {
			t.Parallel()
			dir, err := os.MkdirTemp("", "owner-") //nolint:usetesting // t.TempDir is closed to the servers' users
			if err == nil {
				err = os.Chmod(dir, 0o755)
			}
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			owner := exec.Command(os.Args[0])
			owner.Env = append(os.Environ(), asOwner+"=yes", "TMPDIR="+dir)
			out, err := owner.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := owner.Start(); err != nil {
				t.Fatal(err)
			}
			lines := bufio.NewScanner(out)
			for said := ""; !strings.HasPrefix(said, moment.line); said = lines.Text() {
				if !lines.Scan() {
					t.Fatalf("the owner has ended: %s", said)
				}
			}
			<-time.After(moment.wait)
			if err := owner.Process.Signal(syscall.SIGKILL); err != nil {
				t.Fatal(err)
			}
			_ = owner.Wait()
			gone(t, dir)
		})
	}
}

// gone waits until no file is in a folder, and no process has it as its working
// directory or on its command line.
func gone(t *testing.T, dir string) {
	t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	end := time.After(30 * time.Second)
	for {
		files, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		left := len(files)
		processes, err := filepath.Glob("/proc/[0-9]*")
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range processes {
			command, _ := os.ReadFile(filepath.Join(p, "cmdline"))
			where, _ := os.Readlink(filepath.Join(p, "cwd"))
			if strings.Contains(string(command), dir) || strings.HasPrefix(where, dir) {
				left++
			}
		}
		if left == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("%d files and processes left over in %s: %v", left, dir, files)
		}
	}
}

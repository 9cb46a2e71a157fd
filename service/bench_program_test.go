//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// program is one that is measured: a process of its own, so that its CPU time
// and its memory are its own.
type program struct {
	cmd    *exec.Cmd
	stderr string
	ended  chan struct{}
	begun  time.Duration // CPU time when the load began
}

// startLimit is how long it may take to listen.
const startLimit = 30 * time.Second

// startProgram runs a program until it listens on the address. What it says on
// stderr goes to a file.
func startProgram(b *testing.B, address, stderr, path string, args, env []string) *program {
	b.Helper()
	said, err := os.OpenFile(stderr, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		b.Fatal(err)
	}
	p := &program{cmd: exec.Command(path, args...), stderr: stderr, ended: make(chan struct{})}
	p.cmd.Env, p.cmd.Stderr = append(os.Environ(), env...), said
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	_ = said.Close()
	b.Cleanup(p.kill)
	go func() { defer close(p.ended); _ = p.cmd.Wait() }()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(startLimit)
	for {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			_ = conn.Close()
			return p
		}
		select {
		case <-tick.C:
			continue
		case <-p.ended:
			b.Fatalf("%s ended instead of listening:\n%s", path, p.said())
		case <-late:
			b.Fatalf("%s does not listen on %s:\n%s", path, address, p.said())
		}
	}
}

func (p *program) said() string {
	text, _ := os.ReadFile(p.stderr)
	return string(text[max(0, len(text)-4000):])
}

func (p *program) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// stop ends the program as an orchestrator does, so that what it still had to do
// is done and counted.
func (p *program) stop(b *testing.B) {
	b.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		b.Fatal(err)
	}
	select {
	case <-p.ended:
	case <-time.After(startLimit):
		b.Fatalf("%s does not end:\n%s", p.cmd.Path, p.said())
	}
	if !p.cmd.ProcessState.Success() {
		b.Errorf("%s: %s:\n%s", p.cmd.Path, p.cmd.ProcessState, p.said())
	}
}

// cpu is the CPU time of the process so far, to the nanosecond.
// Source: clock_getcpuclockid(3); MAKE_PROCESS_CPUCLOCK in the kernel's
// include/linux/posix-timers_types.h.
func (p *program) cpu(b *testing.B) time.Duration {
	b.Helper()
	const scheduled = 2
	return clock(b, int32(^p.cmd.Process.Pid<<3|scheduled))
}

func clock(b *testing.B, id int32) time.Duration {
	b.Helper()
	var t unix.Timespec
	if err := unix.ClockGettime(id, &t); err != nil {
		b.Fatal(err)
	}
	return time.Duration(t.Nano())
}

// used is the CPU time since the load began, until the end of the process: what
// is exported after the last answer is part of the price.
func (p *program) used() time.Duration {
	return p.cmd.ProcessState.UserTime() + p.cmd.ProcessState.SystemTime() - p.begun
}

// memory reads VmHWM (the peak) or VmRSS (now), in MiB. What getrusage calls the
// peak begins with the memory of the process that forked.
func (p *program) memory(b *testing.B, which string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range bytes.Lines(text) {
		if value, ok := strings.CutPrefix(string(line), which+":"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(value)[0], 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatalf("no %s:\n%s", which, text)
	return 0
}

// scrape is the program's /metrics page.
func scrape(b *testing.B, address string) string {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), http.MethodGet, "http://"+address+"/metrics", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testToken)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}

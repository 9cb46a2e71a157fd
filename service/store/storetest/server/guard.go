package server

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// guard is a folder and a small shell that waits for our end. However we end, the
// kernel closes our side of the shell's input; then it ends the process that it
// was told last and removes the folder. So a killed test leaves nothing behind.
type guard struct {
	dir   string
	owner *syscall.Credential // of the folder and of the processes; nil is us
	tell  *os.File            // the other side of the shell's input
	shell *exec.Cmd
	close func() error
}

// watch reads the ids of processes, of which an empty line is none.
const watch = `
while read -r id; do process=$id; done
if [ -n "$process" ]; then
	kill -s "$1" "$process"; kill -s CONT "$process"
	n=0
	while kill -0 "$process" && [ $n -lt 100 ]; do n=$((n + 1)); sleep 0.05; done
	kill -s KILL "$process"
fi 2>/dev/null
if mountpoint -q "$2/data"; then umount -l "$2/data" || sudo -n umount -l "$2/data"; fi 2>/dev/null
n=0 # what a killed installation had started may still be making files
until rm -rf "$2" 2>/dev/null || [ $n -ge 100 ]; do n=$((n + 1)); sleep 0.05; done
[ ! -e "$2" ]`

// announced tells the shell of a process before there is anything to end. While
// it does, the shell's input stays open, even if we have ended meanwhile.
const announced = `echo $$ >&3; exec "$@" 3>&-`

// newGuard makes the folder. Where we are root, it is the user's.
func newGuard(name, user string, how syscall.Signal) (*guard, error) {
	g := &guard{dir: filepath.Join(os.TempDir(), "wxnotify-"+name+"-"+rand.Text()[:10])}
	if err := g.watch(how); err != nil { // before there is anything to remove
		return nil, err
	}
	if err := errors.Join(os.Mkdir(g.dir, 0o700), g.give(user)); err != nil {
		return nil, errors.Join(err, g.close())
	}
	return g, nil
}

// give makes the folder and all later processes a user's.
func (g *guard) give(name string) error {
	if name == "" || os.Geteuid() != 0 {
		return nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return fmt.Errorf("server: root may not run it, and: %w", err)
	}
	uid, errUID := strconv.ParseUint(u.Uid, 10, 32)
	gid, errGID := strconv.ParseUint(u.Gid, 10, 32)
	g.owner = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return errors.Join(errUID, errGID, os.Chown(g.dir, int(uid), int(gid)))
}

func (g *guard) watch(how syscall.Signal) error {
	input, tell, err := os.Pipe()
	if err != nil {
		return err
	}
	g.tell = tell
	g.shell = exec.Command("sh", "-c", watch, "sh", strconv.Itoa(int(how)), g.dir) //nolint:noctx // it outlives every context
	g.shell.Stdin = input
	g.shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // Ctrl-C is not for it
	g.close = sync.OnceValue(func() error { return errors.Join(tell.Close(), g.shell.Wait()) })
	err = errors.Join(g.shell.Start(), input.Close())
	if err != nil {
		return errors.Join(err, tell.Close())
	}
	return nil
}

// process is one that runs, or has.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed when it has
}

// start starts a process, which ends with us at the latest. What it says is added
// to a file in the folder.
func (g *guard) start(log, program string, args ...string) (*process, error) {
	said, err := os.OpenFile(filepath.Join(g.dir, log), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	c := exec.Command("sh", append([]string{"-c", announced, "sh", program}, args...)...) //nolint:noctx // it outlives every context
	c.Dir = g.dir
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + g.dir, "TMPDIR=" + g.dir, "LC_ALL=C", "TZ=UTC"}
	c.Stdout, c.Stderr = said, said
	c.ExtraFiles = []*os.File{g.tell}
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Credential: g.owner}
	if err := errors.Join(c.Start(), said.Close()); err != nil {
		return nil, err
	}
	p := &process{cmd: c, ended: make(chan struct{})}
	go func() {
		defer close(p.ended)
		_ = c.Wait() // how it ended is in its log
		_, _ = g.tell.WriteString("\n")
	}()
	return p, nil
}

// run runs a program to its end.
func (g *guard) run(ctx context.Context, log, program string, args ...string) error {
	p, err := g.start(log, program, args...)
	if err != nil {
		return err
	}
	select {
	case <-p.ended:
	case <-ctx.Done():
		return errors.Join(ctx.Err(), p.end())
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s: %s\n%s", program, p.cmd.ProcessState, g.said(log))
	}
	return nil
}

// said is the end of a log.
func (g *guard) said(log string) string {
	text, err := os.ReadFile(filepath.Join(g.dir, log))
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-4000):]))
}

// signal is no error for a process that has ended.
func (p *process) signal(what syscall.Signal) error {
	if err := p.cmd.Process.Signal(what); !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	return nil
}

// end kills a process with its children: PostgreSQL's would take a moment to
// notice that it is gone, and until then it cannot be started again.
func (p *process) end() error {
	if err := p.signal(syscall.SIGSTOP); err != nil { // no more children
		return err
	}
	children := childrenOf(p.cmd.Process.Pid)
	for _, child := range children {
		_ = syscall.Kill(child, syscall.SIGKILL)
	}
	err := p.signal(syscall.SIGKILL)
	<-p.ended
	// They are init's now, and hold the memory that they shared while they end.
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	limit := time.After(2 * time.Second)
	for _, child := range children {
		for syscall.Kill(child, 0) == nil {
			select {
			case <-tick.C:
			case <-limit:
				return err
			}
		}
	}
	return err
}

// childrenOf are the processes that one has started.
func childrenOf(parent int) (all []int) {
	list, err := exec.Command("ps", "-A", "-o", "ppid=", "-o", "pid=").Output() //nolint:noctx // it does not wait
	if err != nil {
		return nil
	}
	for line := range bytes.Lines(list) {
		var of, id int
		if n, _ := fmt.Sscan(string(line), &of, &id); n == 2 && of == parent {
			all = append(all, id)
		}
	}
	return all
}

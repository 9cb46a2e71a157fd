package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// WithDisk gives the server a disk of its own, in memory, which [Server.Fill] can
// fill. It needs root, or sudo without a password.
func WithDisk(megabytes int) Option { return func(s *Server) { s.disk = megabytes } }

// mount puts the disk where the data will be. The guard takes it away.
func (s *Server) mount(ctx context.Context) error {
	if s.disk == 0 {
		return nil
	}
	uid, sudo := os.Geteuid(), []string{"sudo", "-n"}
	if s.guard.owner != nil {
		uid, sudo = int(s.guard.owner.Uid), nil
	}
	line := append(sudo, "mount", "-t", "tmpfs", "-o", fmt.Sprintf("size=%dm,mode=0700,uid=%d", s.disk, uid), "wxnotify-test", s.data())
	if err := os.Mkdir(s.data(), 0o700); err != nil {
		return err
	}
	if said, err := exec.CommandContext(ctx, line[0], line[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("server: a disk of its own: %w: %s", err, said)
	}
	return nil
}

// Fill fills the server's disk to the last byte. The disk is free again when the
// returned function is called, or the test ends.
func (s *Server) Fill(t testing.TB) (free func()) {
	t.Helper()
	if s.disk == 0 {
		t.Fatal("server: only a disk of its own may be filled: WithDisk")
	}
	path := filepath.Join(s.data(), "balloon")
	balloon, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(balloon, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("filling the disk: %v", err)
	}
	if err := balloon.Close(); err != nil {
		t.Error(err)
	}
	free = func() { _ = os.Remove(path) } // it may be gone, with the server
	t.Cleanup(free)
	return free
}

// zeros has no end.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

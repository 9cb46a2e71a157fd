//go:build linux || darwin || freebsd

package store_test

import (
	"os"
	"syscall"
	"testing"

	"wxnotify/service/store"
)

func TestSpoolHasItsBlocks(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	o.SpoolSize = 1 << 20
	mustOpen(t, o)
	info, err := os.Stat(o.SpoolPath)
	if err != nil {
		t.Fatal(err)
	}
	if blocks := info.Sys().(*syscall.Stat_t).Blocks * 512; info.Size() != 1<<20 || blocks < 1<<20 {
		t.Errorf("%d bytes on %d bytes of blocks", info.Size(), blocks)
	}
}

func TestSpoolHasOneOwner(t *testing.T) {
	t.Parallel()
	o := sqlite().Options(t)
	o.SpoolSize = 64 << 10
	mustOpen(t, o)
	if _, err := store.Open(t.Context(), o); err == nil {
		t.Error("two stores on one spool")
	}
	o.SpoolPath = ""
	mustOpen(t, o) // a command beside the service
}

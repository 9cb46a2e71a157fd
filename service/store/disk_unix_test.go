//go:build linux || darwin || freebsd

package store_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"wxnotify/service/store"
	"wxnotify/service/store/storetest"
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

// The database names orders and amounts: it is nobody else's to read, and
// neither are the files beside it.
func TestDatabaseIsPrivate(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ before, want os.FileMode }{
		"new":               {0, 0o600},
		"shared on purpose": {0o640, 0o640},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := sqlite().Options(t)
			if tt.before != 0 {
				if err := os.WriteFile(o.Path, nil, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(o.Path, tt.before); err != nil { // whatever the umask is
					t.Fatal(err)
				}
			}
			db := mustOpen(t, o)
			if _, err := db.Record(t.Context(), storetest.Arrive(storetest.Payment("1", 100))); err != nil {
				t.Fatal(err)
			}
			for _, path := range []string{o.Path, o.Path + "-wal", o.Path + "-shm"} {
				info, err := os.Stat(path)
				if err != nil {
					t.Fatal(err)
				}
				if got := info.Mode().Perm(); got != tt.want {
					t.Errorf("%s has mode %o, want %o", filepath.Base(path), got, tt.want)
				}
			}
		})
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

package main

import (
	"fmt"
	"os"
	"runtime/pprof"
)

// toProfile names the file into which this test binary, run as wxnotify, writes
// where its CPU time went.
const toProfile = "TEST_CPU_PROFILE"

// profiled begins the profile, if one is wanted.
func profiled() (end func()) {
	path := os.Getenv(toProfile)
	if path == "" {
		return func() {}
	}
	f, err := os.Create(path)
	if err == nil {
		err = pprof.StartCPUProfile(f)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "no profile:", err)
		return func() {}
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}
}

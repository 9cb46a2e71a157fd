//go:build !linux

package main

import "errors"

// fileSystem is known on Linux alone.
func fileSystem(string) (free uint64, volatile string, err error) {
	return 0, "", errors.ErrUnsupported
}

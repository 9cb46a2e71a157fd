package main

import "golang.org/x/sys/unix"

// fileSystem tells the bytes free for this user below dir, and the name of the
// file system if it loses what was acknowledged, or cannot lock.
func fileSystem(dir string) (free uint64, volatile string, err error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return 0, "", err
	}
	switch fs.Type {
	case unix.TMPFS_MAGIC:
		volatile = "tmpfs"
	case unix.RAMFS_MAGIC:
		volatile = "ramfs"
	case unix.NFS_SUPER_MAGIC:
		volatile = "NFS"
	}
	return fs.Bavail * uint64(fs.Bsize), volatile, nil
}

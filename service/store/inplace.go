package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// errMoved is the outage of a database whose files are not where they were
// opened. SQLite goes on writing to files that have been deleted or replaced,
// and reports success: what it writes there, nobody will ever read.
var errMoved = errors.New("store: the database file was deleted or replaced under the running service; " +
	"put it back, or restart wxnotify to begin with what is there now")

// files remembers the files of an open database. A nil value has not been seen
// yet: the write-ahead log appears with the first commit.
type files map[string]os.FileInfo

// inPlace reports whether the paths still lead to the files that are open. It
// is asked after every commit and before anybody hears of it.
func (f files) inPlace() error {
	for path, known := range f {
		now, err := os.Stat(path)
		switch {
		case err != nil && known == nil:
		case err != nil:
			return fmt.Errorf("%w: %s is gone", errMoved, filepath.Base(path))
		case known == nil:
			f[path] = now
		case !os.SameFile(known, now):
			return fmt.Errorf("%w: %s is another file", errMoved, filepath.Base(path))
		}
	}
	return nil
}

// letGo ends the reading connections first: the last connection to a database
// brings its log home when it closes, even one that has no name any more.
func (d *DB) letGo() {
	d.reader.SetMaxIdleConns(0)
	d.writer.close()
	d.reader.SetMaxIdleConns(readers)
}

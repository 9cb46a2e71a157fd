package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"wxnotify/service/callback"
)

// entry is one arrival in the spool: the row as it is to be, with what the
// ledger must know beside it.
type entry struct {
	arrival
	Known    bool // the columns tell a message
	Verified bool // that message was verified
}

// spool keeps arrivals while the database cannot. Appends share their fsync;
// entries leave only after the commit that imported them. A disk that hangs
// holds up those who append and the importer, never who holds only mu: nothing
// is read or written under it.
type spool struct {
	file disk
	size int64

	writing sync.Mutex // taken before mu: frames are written, and runs ended, one at a time

	mu         sync.Mutex
	synced     sync.Cond // signals that durable, broken or the generation has changed
	generation uint64
	number     uint32               // of the next frame
	end        int64                // where it will be written
	durable    int64                // frames up to here have been synced
	syncing    bool                 // somebody is syncing
	read       spoolMark            // frames up to here are imported
	at         map[string]spoolMark // by entry id
	broken     error
	latest     int64 // received_at of the newest entry found at start
}

// disk is what the spool does with its file.
type disk interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
}

// openSpool opens or makes the file and finds what waits in it. Without a path
// the spool is a nil pointer that keeps nothing.
func openSpool(path string, size int64) (*spool, error) {
	if path == "" {
		return nil, nil
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("store: opening the spool: %w", err)
	}
	s := &spool{file: file, size: size}
	s.synced.L = &s.mu
	if err := s.prepare(file, path); err != nil {
		return nil, errors.Join(fmt.Errorf("store: preparing the spool: %w", err), file.Close())
	}
	return s, nil
}

func (s *spool) prepare(file *os.File, path string) error {
	if err := lockFile(file); err != nil {
		return fmt.Errorf("another process uses %s: %w", filepath.Base(path), err)
	}
	if err := preallocate(file, s.size); err != nil {
		return err
	}
	// The name must survive a power cut as well as the content.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	s.fresh()
	info, err := file.Stat()
	if err != nil {
		return err
	}
	s.size = max(s.size, info.Size()) // a smaller setting must not hide what waits
	return s.recall()
}

// recall finds the run that the process before left.
func (s *spool) recall() error {
	imported, err := readMark(s.file, s.size)
	if err != nil {
		return err
	}
	begin, generation, err := findRun(s.file, s.size, imported)
	if errors.Is(err, errNoFrame) {
		return nil
	}
	if err != nil {
		return err
	}
	s.generation, s.end, s.number = generation, begin.offset, begin.number
	for {
		at := spoolMark{offset: s.end, number: s.number}
		payload, err := readFrame(s.file, at, s.size, generation)
		if errors.Is(err, errNoFrame) {
			if at, _, err = resync(s.file, at, s.size, s.belongs); err == nil {
				s.end, s.number = at.offset, at.number
				continue
			}
		}
		if errors.Is(err, errNoFrame) {
			s.durable = s.end
			return nil
		}
		if err != nil {
			return err
		}
		var e entry
		if json.Unmarshal(payload, &e) == nil {
			s.latest = max(s.latest, e.Received)
			s.note(e)
		}
		s.advance(len(payload))
	}
}

func (s *spool) belongs(generation uint64) bool { return generation == s.generation }

// fresh starts an empty run.
func (s *spool) fresh() {
	s.generation = newGeneration()
	s.number, s.end, s.durable, s.read = 0, spoolStart, spoolStart, spoolMark{offset: spoolStart}
	s.at = make(map[string]spoolMark)
}

func (s *spool) note(e entry) {
	s.at[e.ID] = spoolMark{offset: s.end, number: s.number, of: callback.FailureCount{
		Merchant: e.Merchant, Class: callback.Class(e.Class), Reason: callback.Reason(e.Reason),
	}}
}

func (s *spool) advance(payload int) {
	s.end += frameHeader + int64(payload)
	s.number++
}

// keep appends an entry and returns when it is durable, or when ctx ends: a disk
// that hangs must not keep the answer back.
func (s *spool) keep(ctx context.Context, e entry) error {
	if s == nil {
		return errors.New("store: no spool")
	}
	payload, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("store: encoding a spool entry: %w", err)
	}
	ctx, cancel := graced(ctx)
	defer cancel()
	kept := make(chan error, 1)
	go func() { kept <- s.append(e, payload) }()
	select {
	case err := <-kept:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-kept:
		return err
	default:
		return context.Cause(ctx)
	}
}

func (s *spool) append(e entry, payload []byte) error {
	generation, end, err := s.write(e, payload)
	if err != nil {
		return err
	}
	return s.sync(generation, end)
}

// write puts a frame at the end of the run and tells where it ends.
func (s *spool) write(e entry, payload []byte) (generation uint64, end int64, err error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	generation, at, err := s.generation, spoolMark{offset: s.end, number: s.number}, s.broken
	s.mu.Unlock()
	switch {
	case err != nil:
		return 0, 0, err
	case at.offset+frameHeader+int64(len(payload)) > s.room(e) || len(payload) > frameMax:
		return 0, 0, errSpoolFull
	}
	if _, err := s.file.WriteAt(frame(generation, at.number, payload), at.offset); err != nil {
		// The number is not used up: the next frame overwrites what was torn.
		return 0, 0, fmt.Errorf("store: writing to the spool: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.note(e)
	s.advance(len(payload))
	return generation, s.end, nil
}

// room is how far an entry may reach: strangers get a quarter of the file, so
// that they cannot keep out what is proven.
func (s *spool) room(e entry) int64 {
	if !e.Known && e.Class != string(callback.Proven) {
		return s.size / 4
	}
	return s.size
}

// sync makes the frames up to end durable. One caller syncs for all that have
// written by then. After a failed fsync the kernel may have dropped the pages,
// so nothing in this run is trusted any more until it is replaced.
func (s *spool) sync(generation uint64, end int64) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.generation == generation && s.durable < end && s.broken == nil {
		if s.syncing {
			s.synced.Wait()
			continue
		}
		s.syncing = true
		written := s.end
		s.mu.Unlock()
		err := s.file.Sync()
		s.mu.Lock()
		s.syncing = false
		if err != nil {
			s.broken = fmt.Errorf("store: syncing the spool: %w", err)
		} else {
			s.durable = written
		}
		s.synced.Broadcast()
	}
	if s.generation != generation {
		return nil // imported meanwhile
	}
	return s.broken
}

// close ends the spool; what waits in it stays.
func (s *spool) close() error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.broken == nil {
		s.broken = errors.New("store: the spool is closed")
	}
	return s.file.Close()
}

// state tells the bytes in use, the entries waiting and what is wrong.
func (s *spool) state() (used int64, entries int, err error) {
	if s == nil {
		return 0, 0, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end - spoolStart, len(s.at), s.broken
}

// spoolGrace is what an append gets even when the answer is already due: WeChat
// Pay waits 5 s, twice the door's deadline.
const spoolGrace = 500 * time.Millisecond

func graced(ctx context.Context) (context.Context, context.CancelFunc) {
	left := spoolGrace
	if deadline, ok := ctx.Deadline(); ok {
		left = max(left, time.Until(deadline))
	}
	return context.WithTimeout(context.WithoutCancel(ctx), left)
}

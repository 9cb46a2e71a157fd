package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
)

// entry is one arrival in the spool: the row as it is to be, with what the
// ledger must know beside it.
type entry struct {
	arrival
	Known    bool // the columns tell a message
	Verified bool // that message was verified
}

// spool keeps arrivals while the database cannot. Appends share their fsync;
// entries leave only after the commit that imported them.
type spool struct {
	mu         sync.Mutex
	synced     sync.Cond // signals that durable or broken has changed
	file       *os.File
	size       int64
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
	if err := s.prepare(path); err != nil {
		return nil, errors.Join(fmt.Errorf("store: preparing the spool: %w", err), file.Close())
	}
	return s, nil
}

func (s *spool) prepare(path string) error {
	if err := lockFile(s.file); err != nil {
		return fmt.Errorf("another process uses %s: %w", filepath.Base(path), err)
	}
	if err := preallocate(s.file, s.size); err != nil {
		return err
	}
	// The name must survive a power cut as well as the content.
	if err := syncDir(filepath.Dir(path)); err != nil {
		return err
	}
	s.fresh()
	for {
		payload, generation, err := readFrame(s.file, s.end, s.size, s.generation, s.number)
		if errors.Is(err, errNoFrame) {
			on, generation, err := resync(s.file, spoolMark{s.end, s.number}, s.size, s.generation)
			if errors.Is(err, errNoFrame) {
				s.durable = s.end
				return nil
			}
			if err != nil {
				return err
			}
			s.generation, s.end, s.number = generation, on.offset, on.number
			continue
		}
		if err != nil {
			return err
		}
		s.generation = generation
		var e entry
		if json.Unmarshal(payload, &e) == nil {
			s.latest = max(s.latest, e.Received)
			s.note(e.ID)
		}
		s.advance(len(payload))
	}
}

// fresh starts an empty run.
func (s *spool) fresh() {
	s.generation = newGeneration()
	s.number, s.end, s.durable, s.read = 0, 0, 0, spoolMark{}
	s.at = make(map[string]spoolMark)
}

func (s *spool) note(id string) { s.at[id] = spoolMark{offset: s.end, number: s.number} }

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
	kept := make(chan error, 1)
	go func() { kept <- s.append(e.ID, payload) }()
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

func (s *spool) append(id string, payload []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken != nil:
		return s.broken
	case s.end+frameHeader+int64(len(payload)) > s.size || len(payload) > frameMax:
		return errSpoolFull
	}
	if _, err := s.file.WriteAt(frame(s.generation, s.number, payload), s.end); err != nil {
		// The number is not used up: the next frame overwrites what was torn.
		return fmt.Errorf("store: writing to the spool: %w", err)
	}
	s.note(id)
	s.advance(len(payload))
	return s.sync(s.end)
}

// sync makes the frames up to offset durable. One caller syncs for all that
// have written by then. After a failed fsync the kernel may have dropped the
// pages, so nothing in this run is trusted any more until it is replaced.
func (s *spool) sync(offset int64) error {
	generation := s.generation
	for s.generation == generation && s.durable < offset && s.broken == nil {
		if s.syncing {
			s.synced.Wait()
			continue
		}
		s.syncing = true
		end := s.end
		s.mu.Unlock()
		err := s.file.Sync()
		s.mu.Lock()
		s.syncing = false
		if err != nil {
			s.broken = fmt.Errorf("store: syncing the spool: %w", err)
		} else {
			s.durable = end
		}
		s.synced.Broadcast()
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
	return s.end, len(s.at), s.broken
}

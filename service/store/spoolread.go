package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"

	"wxnotify/service/callback"
)

// batch reads up to limit entries that are not imported yet, eldest first.
// Entries that cannot be read any more are counted in damaged.
func (s *spool) batch(limit int) (entries []entry, upTo spoolMark, damaged int, err error) {
	if s == nil {
		return nil, spoolMark{}, 0, nil
	}
	s.mu.Lock()
	upTo = s.read
	generation, last := s.generation, spoolMark{offset: s.end, number: s.number}
	end := s.durable
	if s.broken != nil {
		end = s.end // nobody was promised these, but they may well be readable
	}
	s.mu.Unlock()
	for len(entries)+damaged < limit && upTo.offset < end {
		payload, err := readFrame(s.file, upTo, s.size, generation)
		if errors.Is(err, errNoFrame) { // damaged since it was written
			on, _, err := resync(s.file, upTo, last.offset, s.belongs)
			if err != nil && !errors.Is(err, errNoFrame) {
				return nil, spoolMark{}, 0, err
			}
			if err != nil {
				on = last
			}
			damaged += int(on.number - upTo.number)
			upTo = on
			continue
		}
		if err != nil {
			return nil, spoolMark{}, 0, err
		}
		var e entry
		if json.Unmarshal(payload, &e) == nil {
			entries = append(entries, e)
		} else {
			damaged++
		}
		upTo = spoolMark{offset: upTo.offset + frameHeader + int64(len(payload)), number: upTo.number + 1}
	}
	return entries, upTo, damaged, nil
}

// spoolMark is a place between two frames.
type spoolMark struct {
	offset int64
	number uint32
	of     callback.FailureCount // whose failure it is; Count is not used
}

// failures counts what waits: however old it is, nobody may have been told.
func (s *spool) failures() map[callback.FailureCount]int64 {
	counts := make(map[callback.FailureCount]int64)
	if s == nil {
		return counts
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, at := range s.at {
		counts[at.of]++
	}
	return counts
}

// imported moves past entries whose import is durable. When none is left the
// run ends: the mark says so, and the next frame starts a new one.
func (s *spool) imported(upTo spoolMark) error {
	if s == nil {
		return nil
	}
	s.mu.Lock()
	s.read = upTo
	maps.DeleteFunc(s.at, func(_ string, at spoolMark) bool { return at.number < upTo.number })
	over := s.over()
	s.mu.Unlock()
	if !over {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	s.mu.Lock()
	generation, over := s.generation, s.over()
	s.mu.Unlock()
	if !over { // somebody was quicker to append
		return nil
	}
	_, err := s.file.WriteAt(frame(generation, markNumber, nil), 0)
	if err == nil {
		err = s.file.Sync()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.broken = fmt.Errorf("store: emptying the spool: %w", err)
		return s.broken
	}
	s.fresh()
	s.broken = nil // a whole new run is synced from here on
	s.synced.Broadcast()
	return nil
}

// over reports whether the run has entries, all of them imported.
func (s *spool) over() bool {
	return s.end > spoolStart && s.read.offset >= s.end && !s.syncing
}

// holds reports whether an entry waits.
func (s *spool) holds(id string) bool {
	if s == nil {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, ok := s.at[id]
	return ok
}

// find reads one entry by its id.
func (s *spool) find(id string) (callback.Stored, bool) {
	if s == nil {
		return callback.Stored{}, false
	}
	s.mu.Lock()
	at, ok := s.at[id]
	generation := s.generation
	s.mu.Unlock()
	if !ok {
		return callback.Stored{}, false
	}
	payload, err := readFrame(s.file, at, s.size, generation)
	var e entry
	if err != nil || json.Unmarshal(payload, &e) != nil {
		return callback.Stored{}, false
	}
	return e.stored(), true
}

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
	defer s.mu.Unlock()
	upTo = s.read
	end := s.durable
	if s.broken != nil {
		end = s.end // nobody was promised these, but they may well be readable
	}
	for len(entries)+damaged < limit && upTo.offset < end {
		payload, _, err := readFrame(s.file, upTo.offset, s.size, s.generation, upTo.number)
		if errors.Is(err, errNoFrame) { // damaged since it was written
			on, _, err := resync(s.file, upTo, s.end, s.generation)
			if err != nil && !errors.Is(err, errNoFrame) {
				return nil, spoolMark{}, 0, err
			}
			if err != nil {
				on = spoolMark{offset: s.end, number: s.number}
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
}

// imported moves past entries whose import is durable. When none is left the
// run ends: its first header is wiped, and the next frame starts a new one.
func (s *spool) imported(upTo spoolMark) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.read = upTo
	maps.DeleteFunc(s.at, func(_ string, at spoolMark) bool { return at.number < upTo.number })
	if s.read.offset < s.end || s.syncing || s.end == 0 {
		return nil
	}
	if _, err := s.file.WriteAt(make([]byte, frameHeader), 0); err != nil {
		return fmt.Errorf("store: emptying the spool: %w", err)
	}
	if err := s.file.Sync(); err != nil {
		s.broken = fmt.Errorf("store: syncing the spool: %w", err)
		return s.broken
	}
	s.fresh()
	s.broken = nil // a whole new run is synced from here on
	return nil
}

// find reads one entry by its id.
func (s *spool) find(id string) (callback.Stored, bool) {
	if s == nil {
		return callback.Stored{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at, ok := s.at[id]
	if !ok {
		return callback.Stored{}, false
	}
	payload, _, err := readFrame(s.file, at.offset, s.size, s.generation, at.number)
	var e entry
	if err != nil || json.Unmarshal(payload, &e) != nil {
		return callback.Stored{}, false
	}
	return e.stored(), true
}

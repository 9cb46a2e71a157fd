package pager

import (
	"bytes"
	"encoding/json"
	"os"
	"time"
)

// limits remembers, beyond the life of this process, when each limited channel
// got its latest messages: processes that die young share what a robot bears.
// It helps where it can, and hinders nobody: a file that cannot be read or written
// is one that says nothing.
type limits struct {
	file *os.File
	busy chan struct{} // holds one while the disk takes its time
}

// limitsSize is written whole each time, over itself, so that a full disk takes
// it too.
const limitsSize = 4096

// diskWithin bounds how long a message waits for the disk: one that hangs may be
// what people must be told of.
const diskWithin = 100 * time.Millisecond

func openLimits(path string) limits {
	if path == "" {
		return limits{}
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return limits{}
	}
	return limits{file, make(chan struct{}, 1)}
}

func (l limits) close() {
	if l.file != nil {
		_ = l.file.Close()
	}
}

// past reports whether a message counts no more. What was sent in the future was
// sent by a clock that ran ahead.
func past(at, now time.Time) bool { return now.Sub(at) >= time.Minute || at.After(now) }

// restore tells the couriers what the processes before this one sent.
func (l limits) restore(couriers []*courier, now time.Time) {
	if l.file == nil {
		return
	}
	content := make([]byte, limitsSize)
	n, _ := l.file.ReadAt(content, 0)
	var sent map[string][]int64 // milliseconds
	if json.Unmarshal(content[:n], &sent) != nil {
		return
	}
	for _, c := range couriers {
		for _, ms := range sent[c.Name] {
			if at := time.UnixMilli(ms); c.PerMinute > 0 && !past(at, now) {
				c.sent = append(c.sent, at)
			}
		}
	}
}

// keep writes down what was sent, before it can have arrived.
func (l limits) keep(couriers []*courier) {
	if l.file == nil {
		return
	}
	sent := map[string][]int64{}
	for _, c := range couriers {
		for _, at := range c.sent {
			if c.PerMinute > 0 {
				sent[c.Name] = append(sent[c.Name], at.UnixMilli())
			}
		}
	}
	content, err := json.Marshal(sent)
	if err != nil || len(content) > limitsSize {
		return
	}
	content = append(content, bytes.Repeat([]byte{' '}, limitsSize-len(content))...)
	select {
	case l.busy <- struct{}{}:
	default:
		return
	}
	written := make(chan struct{})
	go func() {
		_, _ = l.file.WriteAt(content, 0)
		<-l.busy
		close(written)
	}()
	select {
	case <-written:
	case <-time.After(diskWithin):
	}
}

package telemetry

import (
	"context"
	"io"
	"sync"
	"sync/atomic"
)

// queueBytes bounds what may wait for stderr: some thousands of records.
const queueBytes = 8 << 20

// queue is a writer that never waits: a reader of stderr that stalls (a full
// pipe, a stuck log driver) must not stall a callback. Lines that do not fit
// are dropped whole and counted.
type queue struct {
	mu      sync.Mutex
	waiting []byte        // lines not yet taken by the writer goroutine
	spare   []byte        // the buffer written last, for reuse
	idle    chan struct{} // closed when nothing is waiting or being written
	closed  bool

	wake    chan struct{}
	dropped *atomic.Int64
}

func newQueue(w io.Writer, dropped *atomic.Int64) *queue {
	q := &queue{wake: make(chan struct{}, 1), idle: make(chan struct{}), dropped: dropped}
	close(q.idle)
	go q.run(w)
	return q
}

// Write takes one line. It always reports success.
func (q *queue) Write(line []byte) (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed || len(q.waiting)+len(line) > queueBytes {
		q.dropped.Add(1)
		return len(line), nil
	}
	if len(q.waiting) == 0 {
		select {
		case <-q.idle:
			q.idle = make(chan struct{})
		default: // the goroutine is still writing
		}
		q.signal()
	}
	q.waiting = append(q.waiting, line...)
	return len(line), nil
}

func (q *queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *queue) run(w io.Writer) {
	for range q.wake {
		for {
			lines, closed := q.take()
			if lines == nil {
				if closed {
					return
				}
				break
			}
			// A broken stderr has nobody to be reported to.
			_, _ = w.Write(lines)
		}
	}
}

// take hands out everything that waits, or nil when idle.
func (q *queue) take() (lines []byte, closed bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		select {
		case <-q.idle:
		default:
			close(q.idle)
		}
		return nil, q.closed
	}
	lines = q.waiting
	q.waiting, q.spare = q.spare[:0], lines
	return lines, q.closed
}

// flush waits until everything written so far is out, within ctx.
func (q *queue) flush(ctx context.Context) error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	idle := q.idle
	q.mu.Unlock()
	select {
	case <-idle:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close flushes and ends the goroutine; later lines are dropped.
func (q *queue) close(ctx context.Context) error {
	if q == nil {
		return nil
	}
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	return q.flush(ctx)
}

package telemetry

import (
	"context"
	"errors"
	"sync"
	"time"
)

// stopWithin is how long Shutdown may take when its context has no deadline.
// A collector that is down uses all of it, so it must fit well inside the
// grace period of whoever stops the process.
const stopWithin = 3 * time.Second

// Shutdown exports what is waiting and stops every goroutine of this package,
// within ctx or 3 s. Spans and logs go first, in parallel and with at most
// half of the time; metrics go last, so that the final counts, those of lost
// spans included, still get out. Further calls return the first one's result.
func (t *Telemetry) Shutdown(ctx context.Context) error {
	t.stopping.Do(func() { t.stopErr = t.shutdown(ctx) })
	return t.stopErr
}

func (t *Telemetry) shutdown(ctx context.Context) error {
	deadline, ok := ctx.Deadline()
	if !ok {
		deadline = time.Now().Add(stopWithin)
	}
	ctx, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	defer t.abandon()
	if left := t.strangers.rest(); left > 0 {
		t.Logger().InfoContext(ctx, "records of strangers left out since their last one", FieldSuppressed, left)
	}
	t.stop()

	early, cancelEarly := context.WithTimeout(ctx, time.Until(deadline)/2)
	defer cancelEarly()
	err := within(early, t.traces.Shutdown, t.logs.Shutdown)
	return errors.Join(err,
		within(ctx, t.metrics.Shutdown, t.stderr.close,
			func(context.Context) error { t.done.Wait(); return nil }),
	)
}

// within runs the steps in parallel and waits for them no longer than ctx,
// whatever they make of it themselves.
func within(ctx context.Context, steps ...func(context.Context) error) error {
	var (
		mu   sync.Mutex
		errs []error
		wg   sync.WaitGroup
	)
	for _, step := range steps {
		wg.Go(func() {
			if err := step(ctx); err != nil {
				mu.Lock()
				errs = append(errs, err)
				mu.Unlock()
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	return errors.Join(append(errs, ctx.Err())...)
}

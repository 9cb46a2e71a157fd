package telemetry

import (
	"context"
	"sync/atomic"
)

// For the fuzz targets: these parsers meet whatever a stranger sends.
var (
	BodyText = bodyText
	Mask     = mask
	Clip     = clip

	// Persist is how a batch gets out; it returns how many of its items were lost.
	Persist = func(over context.Context, n int, export func(context.Context) error) (lost int64) {
		var count atomic.Int64
		g := newGate(over, n, &count)
		g.tell = func(error) {} // the global handler is another test's
		_ = g.persist(over, n, export)
		return count.Load()
	}

	Traceparent      = traceparent
	ParseTraceparent = parseTraceparent
)

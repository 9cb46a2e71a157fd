package pager

import (
	"context"
	"time"

	"wxnotify/service/callback"
)

// Book remembers incidents. The store is one.
type Book interface {
	// Incidents puts failures that belong to no incident into the open one of
	// their kind, opening one where there is none, and lists all that are open.
	Incidents(ctx context.Context) ([]callback.Incident, error)
	// IncidentFacts reads what a page says beside the incident itself.
	IncidentFacts(ctx context.Context, i callback.Incident) (callback.IncidentFacts, error)
	// OpenIncident opens i, or joins it to the one of its key that is open or has
	// closed since i was opened.
	OpenIncident(ctx context.Context, i callback.Incident) error
	// EaseIncident lets one end that was kept open.
	EaseIncident(ctx context.Context, key callback.IncidentKey, at time.Time) error
	// IncidentTold notes that a channel took a page which counted so many failures.
	IncidentTold(ctx context.Context, id, count int64, at time.Time) error
	// CloseIncident ends one, unless more than so many failures belong to it.
	CloseIncident(ctx context.Context, id, count int64, at time.Time) error
}

// Failures tells of failures beside the book.
type Failures interface {
	// Waiting counts the failures in the spool. It asks no database.
	Waiting() []callback.FailureCount
	// Snapshot tells what is outstanding.
	Snapshot(ctx context.Context) (callback.Snapshot, error)
}

// Duty sees to it that one replica tells, not each.
type Duty interface {
	Lease(ctx context.Context, name, holder string, ttl time.Duration) (held bool, err error)
}

package callback

import "time"

// Snapshot is what the store knows about failures at one moment; the gauges
// that page people are read from it.
type Snapshot struct {
	Taken time.Time
	// Failures counts the failed callbacks of the last five minutes.
	Failures []FailureCount
	// Outstanding sums up, per merchant and reason, the proven notifications
	// that have failed and not been accepted since (未入账).
	Outstanding []OutstandingCount
	// LastCallback is when each merchant's latest callback arrived.
	LastCallback map[string]time.Time
	// Rows is the number of callback rows kept (an estimate is fine).
	Rows int64
}

// FailureCount is one series of the failure gauge.
type FailureCount struct {
	Merchant string
	Class    Class
	Reason   Reason
	Count    int64
}

// OutstandingCount is what one merchant misses for one reason: that of the
// latest arrival that failed.
type OutstandingCount struct {
	Merchant string
	Reason   Reason
	Count    int64
	Amount   int64 // minor units, of all currencies; merchants here have one
	Oldest   time.Time
}

// Local is what a store knows without asking its database.
type Local struct {
	SpoolUsed, SpoolSize int64 // bytes
	DiskFree             int64 // bytes on the store's file system
	Pending              int   // entries waiting for a commit
}

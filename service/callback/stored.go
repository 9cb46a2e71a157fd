package callback

// Stored is a callback read back from the store, for replay and search.
type Stored struct {
	Envelope Envelope // without Body
	Body     Sealed
	Digest   []byte
	Outcome  Outcome
	Reason   Reason
	Class    Class
	Detail   string
	Status   int
	// Notification holds what the row's clear columns tell; nil when unknown.
	Notification *Notification
	Arrival      int
}

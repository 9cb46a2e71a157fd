package callback

// Trail says where an arrival was recorded and what came before it.
type Trail struct {
	// Row is the id of the audit row; empty when nothing durable was written.
	Row string
	// Spooled is true when the row waits in the local spool for the database.
	Spooled bool
	// Arrival counts the sendings of this notification, this one included.
	// Zero when the notification is not known.
	Arrival int
	// Earlier holds the traceparents of the first and the previous arrival.
	Earlier []string
	// Commit is the traceparent of the commit that made the row durable.
	Commit string
}

// Commit is what a store says of a transaction that is durable.
type Commit struct {
	Trail
	// Duplicate is true when an earlier arrival had been accepted.
	Duplicate bool
	// Quarantine is set when the callback is kept but not believed.
	Quarantine Reason
	// Event is the id of the event for the merchant's system; empty when
	// the callback is quarantined.
	Event string
}

// Receipt proves that a callback is durably recorded. The success answer can
// only be built from one. Its zero value proves nothing.
type Receipt struct {
	commit Commit
	proof  bool
}

// Committed makes a Receipt. Only a store may call it, and only after its
// transaction is durable; the floors test holds everyone else off.
func Committed(c Commit) Receipt { return Receipt{commit: c, proof: true} }

// Proof reports whether the receipt comes from a store: a zero Receipt does not.
func (r Receipt) Proof() bool { return r.proof }

// Trail says where the callback was recorded.
func (r Receipt) Trail() Trail { return r.commit.Trail }

// Duplicate reports whether the notification had been accepted before.
func (r Receipt) Duplicate() bool { return r.commit.Duplicate }

// Reason is why the callback is quarantined, or "".
func (r Receipt) Reason() Reason { return r.commit.Quarantine }

// Event is the id of the event this callback became.
func (r Receipt) Event() string { return r.commit.Event }

// Outcome is what became of one arrival.
type Outcome string

// The three outcomes. A quarantined callback is a failed one.
const (
	Accepted  Outcome = "accepted"
	Duplicate Outcome = "duplicate"
	Failed    Outcome = "failed"
)

// Outcome sums the receipt up. A receipt without proof is a failure.
func (r Receipt) Outcome() Outcome {
	switch {
	case !r.proof, r.commit.Quarantine != "":
		return Failed
	case r.commit.Duplicate:
		return Duplicate
	}
	return Accepted
}

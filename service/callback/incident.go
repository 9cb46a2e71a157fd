package callback

import "time"

// The rules that open incidents. An alert that comes from outside is a rule of
// its own, by its name.
const (
	RuleFailed        = "callback_failed" // one or more failures in five minutes
	RuleOutstanding   = "outstanding"     // paid and not booked (未入账)
	RuleOrderConflict = "order_conflict"  // registered again with another amount
	RuleHistory       = "history"         // failures from a time when nobody was told
)

// IncidentKey is what makes two troubles one: people are told once of the
// incident, not of each of its failures.
type IncidentKey struct {
	Rule     string
	Merchant string // configured name or [OtherMerchant]; empty: not one merchant's
	Class    Class  // of failed callbacks; of an alert, its severity
	Reason   Reason // of failed callbacks
	Subject  string // an order number, a disk: what else tells it from others
}

// FailureIncident is the incident that a failed callback belongs to. What fails
// for our own fault fails for everybody: then the merchant says nothing.
func FailureIncident(merchant string, class Class, reason Reason) IncidentKey {
	if reason.OwnFault() {
		merchant = ""
	}
	return IncidentKey{Rule: RuleFailed, Merchant: merchant, Class: class, Reason: reason}
}

// Critical reports whether somebody must get up for it.
func (k IncidentKey) Critical() bool {
	switch k.Class {
	case Unproven, "warning", "info", "none":
		return false
	}
	return true
}

// Incident is what people are told about: it opens with its first failure and
// is over when there was none for a while.
type Incident struct {
	ID int64
	IncidentKey
	Detail string    // an alert's own words; empty for what we see ourselves
	Opened time.Time // the first failure
	Latest time.Time // the latest failure
	Count  int64     // failures that belong to it
	Told   time.Time // when a page about it was taken; zero: never
	// ToldCount is how many of the failures that page had counted.
	ToldCount int64
	// Lasting keeps the incident open, however long ago its latest failure was:
	// an alert that fires, money that is still missing.
	Lasting bool
}

// IncidentFacts is what a page says beside the incident itself, read when it is
// written.
type IncidentFacts struct {
	// Known is whether they could be read. Without it, none missing means that
	// nobody knows.
	Known   bool
	Amounts []Money  // at stake, by currency
	Orders  []string // some 商户订单号, the eldest first
	More    int      // how many orders there are beside these
	Sources []Source // where an unproven flood comes from, the busiest first
	Traces  []string // traceparents of some failures
	// Partial says that only the latest of very many failures were looked at:
	// there is more at stake than Amounts and More tell.
	Partial bool
	// Sampled is how many callbacks Sources are a count of, where only some of a
	// flood were kept; 0: all.
	Sampled int64
	// Outstanding is how many notifications of its merchant and reason are not
	// accepted yet.
	Outstanding int64
	// Next is when WeChat Pay sends one of them again; Left is how often it will
	// send the one that has least left. Zero when it will not.
	Next time.Time
	Left int
}

// Source is where callbacks come from.
type Source struct {
	Network string // an address of the sender's network, never the full address
	Count   int64
}

package pager

import (
	"time"

	"wxnotify/service/callback"
)

const (
	// quiet is how long an incident must have been without a failure to be over.
	// It bridges WeChat Pay's pauses between its first six sendings.
	quiet = 15 * time.Minute
	// repeatCritical and repeatOther are how often people are told of an incident
	// that goes on.
	repeatCritical = 30 * time.Minute
	repeatOther    = 4 * time.Hour
	// grace is how long money may be missing before that is an incident of its
	// own: by then WeChat Pay has sent six times.
	grace = 20 * time.Minute
	// forgotten is when an alert is no longer believed to fire: whoever posts
	// repeats sooner.
	forgotten = 24 * time.Hour
	// aheadAtMost is what the clocks of two replicas may differ by.
	aheadAtMost = time.Minute
	// blindAfter is how long the book may be unreadable while its database is not.
	blindAfter = 10 * time.Second
)

// due says whether people must be told of an incident now, and why. While the
// book is away nothing is over: who knows what the others see?
func due(i callback.Incident, now time.Time, away bool) (Occasion, bool) {
	switch {
	case i.Told.IsZero():
		return Opened, true
	case silent(i) && i.Count > i.ToldCount && !away && over(i, now):
		return Again, true // no last page would tell of them
	case !away && over(i, now):
		return Over, true
	case (i.Count > i.ToldCount || lasting(i, now)) && now.Sub(i.Told) >= repeatAfter(i):
		return Again, true
	}
	return "", false
}

// over needs the quiet time after the last page as well: an incident that is
// found long after its last failure does not end with its first page.
func over(i callback.Incident, now time.Time) bool {
	since := i.Told
	if i.Latest.After(since) && !i.Latest.After(now) { // not by a clock that ran ahead
		since = i.Latest
	}
	return !lasting(i, now) && now.Sub(since) >= quiet
}

// lasting is what keeps an incident open without failures.
func lasting(i callback.Incident, now time.Time) bool {
	return i.Lasting && now.Sub(i.Latest) < forgotten
}

func repeatAfter(i callback.Incident) time.Duration {
	if i.Critical() && i.Rule != callback.RuleOutstanding {
		return repeatCritical
	}
	return repeatOther
}

// silent incidents end without a word: there is nothing left to say of them.
func silent(i callback.Incident) bool {
	return i.Rule == callback.RuleOrderConflict || i.Rule == callback.RuleHistory
}

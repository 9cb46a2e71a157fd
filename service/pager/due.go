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
	// forgotten is when an alert is no longer believed to fire.
	forgotten = 24 * time.Hour
)

// due says whether people must be told of an incident now, and why.
func due(i callback.Incident, now time.Time) (Occasion, bool) {
	switch {
	case i.Told.IsZero():
		return Opened, true
	case silent(i) && i.Count > i.ToldCount && over(i, now):
		return Again, true // no last page would tell of them
	case over(i, now):
		return Over, true
	case (i.Count > i.ToldCount || lasting(i, now)) && now.Sub(i.Told) >= repeatAfter(i):
		return Again, true
	}
	return "", false
}

// over needs the quiet time after the last page as well: an incident that is
// found long after its last failure does not end with its first page.
func over(i callback.Incident, now time.Time) bool {
	since := i.Latest
	if i.Told.After(since) {
		since = i.Told
	}
	return !lasting(i, now) && now.Sub(since) >= quiet
}

// lasting is what keeps an incident open without failures. An alert that nobody
// has posted for a day has ended without a word: whoever posts repeats sooner.
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

package wechat

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// OutageReport is what an outage cost. Durations are virtual but for Elapsed.
type OutageReport struct {
	Kind        OutageKind // as in OutageOptions, like the next three
	For         time.Duration
	Rate        float64
	LostAnswers float64

	Notifications int64 // payments, during the outage and after it
	Acknowledged  int64
	GivenUp       int64 // lost: the schedule ended first
	Pending       int64 // not zero only when the run was cut short

	Sendings   int64 // sendings WeChat Pay made or tried to
	Sent       int64 // those that were really sent
	Duplicates int64 // sendings of what the target had already had
	Outcomes   map[Outcome]int64

	Peak    int32 // most sendings in one second
	PeakAt  time.Duration
	Backlog int           // most notifications waiting for a re-send
	Oldest  time.Duration // longest time until a notification was acknowledged
	Drain   time.Duration // end of the outage until its last payment was acknowledged

	Elapsed time.Duration // real
}

// Amplification is sendings per notification; 1 when nothing goes wrong.
func (r OutageReport) Amplification() float64 { return ratio(r.Sendings, r.Notifications) }

// DuplicateRatio is the share of the sendings really sent that the target had
// already had.
func (r OutageReport) DuplicateRatio() float64 { return ratio(r.Duplicates, r.Sent) }

func ratio(part, whole int64) float64 { return float64(part) / float64(max(whole, 1)) }

// WriteTo writes the report for people.
func (r OutageReport) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	row := func(name, format string, args ...any) {
		fmt.Fprintf(&b, "%-22s "+format+"\n", append([]any{name}, args...)...)
	}
	row("outage", "%s for %s at %g payments/s, %g%% of answers lost", r.Kind, r.For, r.Rate, 100*r.LostAnswers)
	row("notifications", "%d: acknowledged %d, given up %d, pending %d", r.Notifications, r.Acknowledged, r.GivenUp, r.Pending)
	row("sendings", "%d, %d of them real", r.Sendings, r.Sent)
	row("amplification", "%.2f sendings per notification", r.Amplification())
	row("peak", "%d sendings/s, %s after the beginning", r.Peak, r.PeakAt)
	row("backlog", "at most %d waiting for a re-send", r.Backlog)
	row("drained", "%s after the end", r.Drain)
	row("oldest", "%s until acknowledged", r.Oldest)
	row("duplicates", "%d, %.2f%% of the real sendings", r.Duplicates, 100*r.DuplicateRatio())
	row("answers", "%s", outcomes(r.Outcomes))
	row("played in", "%s, %.0f real sendings/s", r.Elapsed.Round(time.Millisecond), float64(r.Sent)/max(r.Elapsed.Seconds(), 1e-9))
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// String is the report as WriteTo writes it.
func (r OutageReport) String() string { return text(r) }

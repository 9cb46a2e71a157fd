package wechat

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
)

// Report is the ledger in numbers. Between messages and sendings:
// Messages = Acknowledged + GivenUp + Pending.
type Report struct {
	Messages     int64 `json:"messages"` // WeChat Pay's own
	Acknowledged int64 `json:"acknowledged"`
	GivenUp      int64 `json:"given_up"` // lost: never acknowledged, and never sent again
	Pending      int64 `json:"pending"`
	Strangers    int64 `json:"strangers"` // forgeries and junk

	Sendings int64 `json:"sendings"`
	// Repeats is how many more sendings were acknowledged than messages: what a
	// receiver should have recorded as duplicates, give or take LostAnswers.
	Repeats     int64  `json:"repeats"`
	Copies      int64  `json:"copies"`       // sound sendings at the same instant as another
	LostAnswers int64  `json:"lost_answers"` // whole and sound sendings whose answer was not read
	Lines       []Line `json:"lines"`
}

// Line counts equal sendings.
type Line struct {
	Nature Nature `json:"nature"`
	Kind   Kind   `json:"kind"`
	Outcome
	Count int64 `json:"count"`
}

// Unexpected reports whether the receiver should have answered otherwise.
func (l Line) Unexpected() bool {
	return !l.Nature.want().metBy(l.Outcome)
}

// Report sums the ledger up.
func (l *Ledger) Report() Report {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := Report{
		Acknowledged: l.states[Acknowledged], GivenUp: l.states[GivenUp],
		Pending: l.states[Pending], Strangers: l.states[Strange],
	}
	r.Messages = r.Acknowledged + r.GivenUp + r.Pending
	for t, n := range l.tallies {
		r.Lines = append(r.Lines, Line{t.nature, t.kind, t.Outcome, n})
		r.Sendings += n
		switch {
		case t.Acknowledged && t.nature.want() == acknowledge:
			r.Repeats += n
		case t.nature == Nature(LostAnswer) && t.Failure == Unread:
			r.LostAnswers += n
		}
		if t.nature == Copy {
			r.Copies += n
		}
	}
	r.Repeats -= r.Acknowledged
	slices.SortFunc(r.Lines, func(a, b Line) int {
		return cmp.Or(cmp.Compare(a.Nature, b.Nature), cmp.Compare(a.Kind, b.Kind),
			cmp.Compare(a.Status, b.Status), cmp.Compare(a.Failure, b.Failure))
	})
	return r
}

// Unexpected are the lines whose answer should have been another.
func (r Report) Unexpected() []Line {
	var lines []Line
	for _, l := range r.Lines {
		if l.Unexpected() {
			lines = append(lines, l)
		}
	}
	return lines
}

// Table counts sendings by nature and outcome, over all kinds.
func (r Report) Table() []Line {
	var rows []Line
	for _, l := range r.Lines {
		l.Kind = ""
		at := slices.IndexFunc(rows, func(row Line) bool { return row.Nature == l.Nature && row.Outcome == l.Outcome })
		if at < 0 {
			rows = append(rows, l)
			continue
		}
		rows[at].Count += l.Count
	}
	return rows
}

// WriteTo writes the report for people.
func (r Report) WriteTo(w io.Writer) (int64, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "messages   %8d   acknowledged %d, given up %d, pending %d\n", r.Messages, r.Acknowledged, r.GivenUp, r.Pending)
	fmt.Fprintf(&b, "sendings   %8d   copies %d, acknowledged again %d, answers lost %d, strangers %d\n",
		r.Sendings, r.Copies, r.Repeats, r.LostAnswers, r.Strangers)
	for _, l := range r.Table() {
		fmt.Fprintf(&b, "  %-17s %8d   %s", l.Nature, l.Count, l.Outcome)
		if l.Unexpected() {
			fmt.Fprintf(&b, "   UNEXPECTED, should %s", l.Nature.want())
		}
		b.WriteByte('\n')
	}
	n, err := io.WriteString(w, b.String())
	return int64(n), err
}

// String is the report as WriteTo writes it.
func (r Report) String() string { return text(r) }

func text(report io.WriterTo) string {
	var b strings.Builder
	_, _ = report.WriteTo(&b) // a builder does not fail
	return b.String()
}

package pager

import (
	"fmt"
	"net/url"
	"strings"

	"wxnotify/service/callback"
)

// Language of the messages.
type Language string

// The languages a message can be written in.
const (
	English Language = "en"
	Chinese Language = "zh"
)

// Links are where a message sends its reader. An empty one is left out.
type Links struct {
	Dashboard string // Grafana's address, such as https://grafana.example.com
	Runbooks  string // where the runbooks are served
	Trace     string // a trace's address with {trace_id} in it
}

// Writer writes messages.
type Writer struct {
	Language Language
	Links    Links
	// Environment names the installation, where there are several.
	Environment string
}

// text is a message before it has a form: plain words, nothing escaped.
type text struct {
	Title    string
	Sections []section
	More     string // about what there is no room for
}

type section struct {
	Heading  string
	Critical bool
	Over     bool
	Lines    []line
	Links    []link
}

type line struct{ Label, Value string }

type link struct{ Label, URL string }

// described is how many incidents one message describes; beyond, it counts.
const described = 10

func (w Writer) words() words {
	if w.Language == Chinese {
		return chinese
	}
	return english
}

// text puts a message into words. They come from the registry, from numbers and
// from identifiers of closed form; nothing that a stranger wrote is among them.
func (w Writer) text(m Message) text {
	in := w.words()
	t := text{Title: w.title(m)}
	for n, p := range m.Pages {
		if n == described {
			failures := int64(0)
			for _, rest := range m.Pages[n:] {
				failures += rest.Count
			}
			t.More = fmt.Sprintf(in.more, len(m.Pages)-n, failures)
			break
		}
		t.Sections = append(t.Sections, w.section(p))
	}
	return t
}

// title is what a telephone shows without being unlocked.
func (w Writer) title(m Message) string {
	in := w.words()
	first := m.Pages[0]
	parts := []string{"wxnotify"}
	if w.Environment != "" {
		parts = append(parts, w.Environment)
	}
	if first.Occasion != Drill && first.Occasion != Over {
		parts = append(parts, in.severity(first.Critical()))
	}
	title := "[" + strings.Join(parts, " ") + "] " + in.occasion[first.Occasion] + w.headline(first)
	if others := len(m.Pages) - 1; others > 0 {
		title += " (+" + fmt.Sprint(others) + ")"
	}
	return title
}

func (w Writer) headline(p Page) string {
	in := w.words()
	count := fmt.Sprint(p.Count)
	switch p.Rule {
	case callback.RuleFailed:
		where := p.Merchant
		if where == "" {
			where = in.everybody
		}
		return fmt.Sprintf(in.failed, count) + " · " + where + " · " + string(p.Reason)
	case callback.RuleOutstanding:
		return fmt.Sprintf(in.outstanding, count) + " · " + p.Merchant
	case callback.RuleOrderConflict:
		return in.orderConflict + " · " + p.Merchant + " · " + p.Subject
	case drillKey.Rule:
		return in.drill
	}
	return strings.Join(notEmpty(p.Rule, p.Merchant, p.Subject), " · ")
}

func notEmpty(all ...string) (some []string) {
	for _, s := range all {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}

func (w Writer) section(p Page) section {
	in := w.words()
	s := section{Heading: in.occasion[p.Occasion] + w.headline(p), Critical: p.Critical(), Over: p.Occasion == Over}
	say := func(label, value string) {
		if value != "" {
			s.Lines = append(s.Lines, line{label, value})
		}
	}
	if p.Occasion == Drill {
		say(in.what, in.drillText)
		return s
	}
	switch {
	case p.Reason != "":
		say(in.what, in.reason(p.Reason)+" ("+strings.Join(notEmpty(string(p.Reason), string(p.Class)), ", ")+")")
	case p.Detail != "":
		say(in.what, p.Detail)
	}
	if p.Occasion == Over {
		over := in.overAlert
		if p.Rule == callback.RuleFailed {
			over = in.overFailed
		}
		say(in.what, over)
	}
	say(in.merchant, p.Merchant)
	if p.Rule == callback.RuleFailed {
		say(in.count, fmt.Sprint(p.Count))
	}
	if p.Opened.Equal(p.Latest) {
		say(in.span, at(p.Opened))
	} else {
		say(in.span, at(p.Opened)+" – "+at(p.Latest))
	}
	w.money(p, say)
	s.Links = w.links(p)
	return s
}

// money says what is at stake and what WeChat Pay will still do about it.
func (w Writer) money(p Page, say func(label, value string)) {
	in := w.words()
	var amounts []string
	for _, a := range p.Amounts {
		amounts = append(amounts, a.String())
	}
	say(in.amount, strings.Join(amounts, ", "))
	orders := strings.Join(p.Orders, ", ")
	if p.More > 0 {
		orders += " " + fmt.Sprintf(in.andMore, p.More)
	}
	say(in.orders, orders)
	var sources []string
	for _, s := range p.Sources {
		sources = append(sources, fmt.Sprintf("%s (%d)", s.Network, s.Count))
	}
	say(in.sources, strings.Join(sources, ", "))
	switch {
	case p.Outstanding == 0 && p.Occasion == Over:
		say(in.unbooked, in.none)
	case p.Outstanding > 0:
		say(in.unbooked, fmt.Sprint(p.Outstanding))
		if p.Left > 0 {
			say(in.retry, in.next(at(p.Next), p.Left))
		} else {
			say(in.retry, in.noMore)
		}
	}
}

// links lead to where the investigation ends.
func (w Writer) links(p Page) (all []link) {
	in := w.words()
	if base := strings.TrimRight(w.Links.Dashboard, "/"); base != "" {
		to := url.Values{}
		if p.Merchant != "" {
			to.Set("var-merchant", p.Merchant)
		}
		to.Set("from", fmt.Sprint(p.Opened.Add(-quiet).UnixMilli()))
		all = append(all, link{in.dashboard, base + "/d/wxnotify-callbacks?" + to.Encode()})
	}
	if base := strings.TrimRight(w.Links.Runbooks, "/"); base != "" {
		page := p.Rule
		switch p.Rule {
		case callback.RuleFailed:
			page = alertFailed
		case callback.RuleOutstanding, callback.RuleOrderConflict:
			page = alertOutstanding
		}
		if w.Language == Chinese {
			page += ".zh-CN"
		}
		page += ".html"
		if p.Reason != "" {
			page += "#" + string(p.Reason)
		}
		all = append(all, link{in.runbook, base + "/" + page})
	}
	for _, trace := range p.Traces {
		// A traceparent: version, trace id, span id, flags.
		if id := strings.Split(trace, "-"); w.Links.Trace != "" && len(id) == 4 {
			all = append(all, link{in.trace, strings.ReplaceAll(w.Links.Trace, "{trace_id}", id[1])})
			break
		}
	}
	return all
}

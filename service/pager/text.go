package pager

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

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
	Written  string
	Colon    string // between a label and what it says
}

type section struct {
	Heading string
	Tone    tone
	Lines   []line
	Links   []link
}

// tone is how grave a section looks.
type tone string

const (
	toneCritical tone = "critical"
	toneWarning  tone = "warning"
	toneGood     tone = "good"
)

type line struct {
	Label, Value string
	Do           bool // what the reader is asked to do
}

// Short lines stand two in a row where there is room.
func (l line) Short() bool {
	return !l.Do && utf8.RuneCountInString(l.Label) <= shortLength && utf8.RuneCountInString(l.Value) <= shortLength
}

type link struct{ Label, URL string }

const (
	described   = 10   // incidents that one message describes; beyond, it counts
	shortLength = 20   // characters
	titleLength = 120  // characters
	valueLength = 1000 // of what another system wrote
)

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
	t := text{Title: w.title(m), Colon: in.colon, Written: fmt.Sprintf(in.written, m.Written.In(china).Format(moment))}
	for n, p := range m.Pages {
		if n == described {
			failures := int64(0)
			for _, rest := range m.Pages[n:] {
				failures += rest.Count
			}
			t.More = in.more(len(m.Pages)-n, failures)
			break
		}
		t.Sections = append(t.Sections, w.section(p, m.Written))
	}
	return t
}

// title is what a telephone shows without being unlocked.
func (w Writer) title(m Message) string {
	in := w.words()
	first := m.Pages[0]
	parts := notEmpty("wxnotify", w.Environment)
	if first.Occasion != Drill && first.Occasion != Over {
		parts = append(parts, in.severity(first.Critical()))
	}
	title := "[" + strings.Join(parts, " ") + "] " + w.heading(first)
	if others := len(m.Pages) - 1; others > 0 {
		title += fmt.Sprintf(" (+%d)", others)
	}
	return shorten(oneLine(visible(title)), titleLength)
}

// heading says what happened and why people are told now.
func (w Writer) heading(p Page) string {
	in := w.words()
	if p.Occasion == Over && p.Outstanding > 0 {
		return in.stillMissing(p.Outstanding) + w.headline(p)
	}
	return in.occasion[p.Occasion] + w.headline(p)
}

func (w Writer) headline(p Page) string {
	in := w.words()
	if p.Occasion == Drill {
		return in.drill
	}
	switch p.Rule {
	case callback.RuleFailed:
		return strings.Join(notEmpty(in.failed(p.Count), w.merchant(p), string(p.Reason)), " · ")
	case callback.RuleOutstanding:
		return strings.Join(notEmpty(in.outstanding(p.Count), w.merchant(p), string(p.Reason)), " · ")
	case callback.RuleOrderConflict:
		return strings.Join(notEmpty(in.orderConflict(p.Count), p.Merchant), " · ")
	case callback.RuleHistory:
		return in.history(p.Count)
	}
	return strings.Join(notEmpty(p.Rule, p.Merchant, p.Subject), " · ")
}

// merchant is whose callbacks they are.
func (w Writer) merchant(p Page) string {
	switch in := w.words(); {
	case p.Merchant == callback.OtherMerchant:
		return in.stranger
	case p.Merchant == "" && p.Rule == callback.RuleFailed:
		return in.everybody
	}
	return p.Merchant
}

// section puts what helps most on top: what it is, what to do, which money.
func (w Writer) section(p Page, now time.Time) section {
	in := w.words()
	s := section{Heading: shorten(oneLine(visible(w.heading(p))), titleLength), Tone: p.tone()}
	say := func(label, value string) {
		if value != "" {
			s.Lines = append(s.Lines, line{label, shorten(visible(value), valueLength), label == in.label.do})
		}
	}
	if p.Occasion == Drill {
		say(in.label.note, in.drillText)
		return s
	}
	if p.Reason == "" {
		say(in.label.note, w.what(p))
	} else {
		say(in.label.what, w.what(p))
	}
	if p.Occasion != Over || p.Outstanding > 0 {
		say(in.label.do, p.doFirst(w.Language))
	}
	w.money(p, now, say)
	say(in.label.merchant, w.merchant(p))
	if p.Rule == callback.RuleFailed || p.Rule == callback.RuleHistory {
		say(in.label.count, strconv.FormatInt(p.Count, 10))
		say(in.label.span, between(p.Opened, p.Latest))
	} else {
		say(in.label.since, between(p.Opened, p.Opened))
	}
	orders := strings.Join(p.Orders, ", ")
	if p.More > 0 {
		more := fmt.Sprintf(in.andMore, p.More)
		if p.Partial {
			more = fmt.Sprintf(in.andMoreThan, p.More)
		}
		orders += " " + more
	}
	say(in.label.orders, orders)
	var sources []string
	for _, s := range p.Sources {
		sources = append(sources, fmt.Sprintf("%s (%d)", s.Network, s.Count))
	}
	if p.Sampled > 0 && len(sources) > 0 {
		sources = append(sources, fmt.Sprintf(in.sampled, p.Sampled))
	}
	say(in.label.sources, strings.Join(sources, ", "))
	s.Links = w.links(p)
	return s
}

func (p Page) tone() tone {
	switch {
	case p.Occasion == Drill, p.Occasion == Over && p.Outstanding == 0:
		return toneGood
	case p.Occasion != Over && p.Critical():
		return toneCritical
	}
	return toneWarning
}

// alarming reports whether somebody is called for the message: not for a drill,
// and not for what is over.
func (m Message) alarming() bool {
	return slices.ContainsFunc(m.Pages, func(p Page) bool { return p.tone() == toneCritical })
}

// what says what happened, or that it does no more.
func (w Writer) what(p Page) string {
	in := w.words()
	over := p.Occasion == Over
	switch p.Rule {
	case callback.RuleFailed:
		reason := in.reason(p.Reason) + fmt.Sprintf(in.codes, strings.Join(notEmpty(string(p.Reason), string(p.Class)), ", "))
		if over {
			return fmt.Sprintf(in.overFailed, reason)
		}
		return reason
	case callback.RuleOutstanding:
		if over {
			return in.overOutstanding
		}
		return in.whatOutstanding
	case callback.RuleOrderConflict:
		return in.whatOrderConflict
	case callback.RuleHistory:
		return in.whatHistory
	}
	if over {
		return in.overAlert
	}
	return p.Detail
}

// money says what is at stake and what WeChat Pay will still do about it.
func (w Writer) money(p Page, now time.Time, say func(label, value string)) {
	in := w.words()
	switch {
	case p.Outstanding > 0:
		say(in.label.unbooked, in.notifications(p.Outstanding))
	case p.Occasion == Over && p.Rule == callback.RuleFailed && p.Class == callback.Proven:
		if p.Known {
			say(in.label.unbooked, in.nothingMissing)
		} else {
			say(in.label.unbooked, in.noMoney)
		}
	}
	var amounts []string
	for _, a := range p.Amounts {
		amounts = append(amounts, a.String())
	}
	if p.Partial && len(amounts) > 0 {
		amounts[0] = in.atLeast + amounts[0]
	}
	say(in.label.amount, strings.Join(amounts, ", "))
	if p.Outstanding > 0 {
		say(in.label.retry, w.retry(p, now))
	}
}

// retry says when WeChat Pay sends again. What it was told to have been received
// it never does.
func (w Writer) retry(p Page, now time.Time) string {
	in := w.words()
	switch {
	case p.Next.IsZero(), p.Reason != "" && p.Reason.Quarantined():
		return in.noMore
	case p.Left == 0:
		return in.nextForSome(when(p.Next, now), p.Next.Sub(now))
	}
	return in.next(when(p.Next, now), p.Next.Sub(now), p.Left)
}

// links lead to where the investigation ends.
func (w Writer) links(p Page) (all []link) {
	in := w.words().link
	if base := strings.TrimRight(w.Links.Dashboard, "/"); base != "" {
		to := url.Values{}
		if p.Merchant != "" {
			to.Set("var-merchant", p.Merchant)
		}
		if w.Environment != "" {
			to.Set("var-environment", w.Environment)
		}
		to.Set("from", strconv.FormatInt(p.Opened.Add(-quiet).UnixMilli(), 10))
		all = append(all, link{in.dashboard, base + "/d/wxnotify-callbacks?" + to.Encode()})
	}
	if base := strings.TrimRight(w.Links.Runbooks, "/"); base != "" {
		all = append(all, link{in.runbook, base + "/" + w.runbook(p)})
	}
	for _, trace := range p.Traces {
		// A traceparent: version, trace id, span id, flags. With 00 nobody recorded it.
		if id := strings.Split(trace, "-"); w.Links.Trace != "" && len(id) == 4 && id[3] != "00" {
			all = append(all, link{in.trace, strings.ReplaceAll(w.Links.Trace, "{trace_id}", url.PathEscape(id[1]))})
			break
		}
	}
	return all
}

// runbook is the page about a rule, and its section about a reason.
func (w Writer) runbook(p Page) string {
	page := url.PathEscape(p.Rule)
	switch p.Rule {
	case callback.RuleFailed, callback.RuleHistory:
		page = alertFailed
	case callback.RuleOutstanding, callback.RuleOrderConflict:
		page = alertOutstanding
	}
	if w.Language == Chinese {
		page += ".zh-CN"
	}
	page += ".html"
	if p.Rule == callback.RuleFailed {
		page += "#" + url.PathEscape(string(p.Reason))
	}
	return page
}

func notEmpty(all ...string) (some []string) {
	for _, s := range all {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}

// visible leaves out what cannot be seen: control characters, and marks that
// turn the direction of writing round.
func visible(s string) string {
	return strings.Map(func(r rune) rune {
		if r != '\n' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) || r == utf8.RuneError {
			return -1
		}
		return r
	}, s)
}

// oneLine makes one line of what has several.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// shorten cuts to at most n characters.
func shorten(s string, n int) string {
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

package dingtalk

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/yuin/goldmark"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// bubble is a message as it stands in the chat.
type bubble struct {
	At     string
	Notice string // what the locked telephone shows
	Body   template.HTML
}

// shown is how many messages the page has.
const shown = 50

// page shows the messages as a telephone would, the latest last.
func (r *Robot) page(w http.ResponseWriter, _ *http.Request) {
	all := r.Messages()
	var bubbles []bubble
	for _, m := range all[max(0, len(all)-shown):] {
		bubbles = append(bubbles, bubble{m.At.In(china).Format("01-02 15:04"), m.Title, render(m)})
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")
	_ = pageTemplate.Execute(w, bubbles) // the other side has gone
}

// block is the message in a terminal: its markdown as it was sent.
func (m Message) block() string {
	var b strings.Builder
	fmt.Fprintf(&b, "━━ %s  %s ━━\n", m.At.In(china).Format("15:04:05"), printable(m.Title))
	for line := range strings.Lines(m.Text) {
		if line = strings.TrimSpace(line); line != "" {
			fmt.Fprintf(&b, "   %s\n", printable(line))
		}
	}
	b.WriteByte('\n')
	return b.String()
}

// printable leaves out what a terminal would obey.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return -1
		}
		return r
	}, s)
}

// china is where the telephones are.
var china = time.FixedZone("UTC+8", 8*60*60)

// render makes HTML of DingTalk's markdown, a small part of CommonMark: what is
// HTML already is left out. Who is called by name stands out.
func render(m Message) template.HTML {
	var b bytes.Buffer
	if m.Type != "markdown" || goldmark.Convert([]byte(m.Text), &b) != nil {
		return template.HTML(template.HTMLEscapeString(m.Text)) // escaped just now
	}
	html := b.String()
	called := slices.Clone(m.Called)
	slices.SortFunc(called, func(a, b string) int { return len(b) - len(a) })
	for _, mobile := range slices.Compact(called) {
		if digits(mobile) {
			html = strings.ReplaceAll(html, "@"+mobile, `<span class="called">@`+mobile+`</span>`)
		}
	}
	return template.HTML(html) // goldmark passes no HTML through
}

func digits(s string) bool { return s != "" && strings.Trim(s, "0123456789+-") == "" }

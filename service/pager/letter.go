package pager

import (
	_ "embed"
	"html/template"
	"strings"
)

//go:embed letter.html
var letterHTML string

var letterTemplate = template.Must(template.New("letter").Parse(letterHTML))

// html is the message as a mail shows it: on a telephone, in light and dark.
func (t text) html(language Language) (string, error) {
	var b strings.Builder
	err := letterTemplate.Execute(&b, struct {
		text
		Language Language
	}{t, language})
	return b.String(), err
}

// Text is a message as it reads where nothing has a form: a terminal, a log.
func (w Writer) Text(m Message) string {
	t := w.text(m)
	return t.Title + "\n\n" + t.plain()
}

// plain is the message without any form.
func (t text) plain() string {
	var b strings.Builder
	for n, s := range t.Sections {
		if n > 0 {
			b.WriteString("\n")
		}
		b.WriteString(oneLine(s.Heading) + "\n")
		for _, l := range s.Lines {
			b.WriteString("  " + l.Label + t.Colon + strings.ReplaceAll(l.Value, "\n", "\n    ") + "\n")
		}
		for _, l := range s.Links {
			b.WriteString("  " + l.Label + t.Colon + l.URL + "\n")
		}
	}
	if t.More != "" {
		b.WriteString("\n" + t.More + "\n")
	}
	return b.String() + "\n" + t.Written + "\n"
}

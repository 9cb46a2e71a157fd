package pager

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// markdown is the message as DingTalk shows it: headings, bold, lists and links
// are all it knows. It holds at most limit bytes; what does not fit is counted.
func (t text) markdown(limit int) string {
	head := "### " + escapeMarkdown(t.Title) + "\n\n"
	var b strings.Builder
	b.WriteString(head)
	for n, s := range t.Sections {
		part := s.markdown(len(t.Sections) > 1 || t.More != "")
		rest := fmt.Sprintf("… +%d\n", len(t.Sections)-n)
		if b.Len()+len(part)+len(rest)+len(t.More)+64 > limit {
			if n == 0 {
				b.WriteString(cut(part, limit-b.Len()-len(rest)-len(t.More)-64) + "\n\n")
				continue
			}
			b.WriteString(rest + "\n")
			break
		}
		b.WriteString(part)
	}
	if t.More != "" {
		b.WriteString(escapeMarkdown(t.More) + "\n")
	}
	return b.String()
}

func (s section) markdown(heading bool) string {
	var b strings.Builder
	if heading {
		b.WriteString("**" + escapeMarkdown(s.Heading) + "**\n\n")
	}
	for _, l := range s.Lines {
		b.WriteString("- **" + escapeMarkdown(l.Label) + "**: " + escapeMarkdown(l.Value) + "\n")
	}
	if len(s.Links) > 0 {
		var links []string
		for _, l := range s.Links {
			links = append(links, "["+escapeMarkdown(l.Label)+"]("+l.URL+")")
		}
		b.WriteString("\n" + strings.Join(links, " · ") + "\n")
	}
	return b.String() + "\n"
}

var markdownEscapes = strings.NewReplacer(
	`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "(", `\(`, ")", `\)`,
	"#", `\#`, "!", `\!`, "|", `\|`, "<", "&lt;", ">", "&gt;", "\r", " ", "\n", " ", "@", "＠",
)

// escapeMarkdown makes text of text: an order number may hold * and _, and an @
// could call somebody.
func escapeMarkdown(s string) string { return markdownEscapes.Replace(s) }

// cut shortens to at most n bytes, between characters.
func cut(s string, n int) string {
	if n <= 0 {
		return ""
	}
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

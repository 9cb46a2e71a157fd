package pager

import (
	"fmt"
	"strings"
	"unicode"
)

// markdown is the message as DingTalk shows it: headings, bold, lists and links
// are all it knows. It holds at most limit bytes; what does not fit is counted,
// and no line of it is broken.
func (t text) markdown(limit int) string {
	var b strings.Builder
	b.WriteString("### " + escapeMarkdown(t.Title) + "\n\n")
	heading := len(t.Sections) > 1 || t.More != ""
	end := ""
	if t.More != "" {
		end = escapeMarkdown(t.More) + "\n"
	}
	for n, s := range t.Sections {
		part := s.markdown(heading, t.Colon)
		rest := fmt.Sprintf("… +%d\n\n", len(t.Sections)-n)
		if b.Len()+len(part)+len(rest)+len(end) <= limit {
			b.WriteString(part)
			continue
		}
		if n == 0 { // one section that is too long says the most important in its first lines
			rest = fmt.Sprintf("… +%d\n\n", len(t.Sections)-1)
			b.WriteString(wholeLines(part, limit-b.Len()-len(rest)-len(end)))
			if len(t.Sections) == 1 {
				break
			}
		}
		b.WriteString(rest)
		break
	}
	return b.String() + end
}

func (s section) markdown(heading bool, colon string) string {
	var b strings.Builder
	if heading {
		b.WriteString("**" + escapeMarkdown(s.Heading) + "**\n\n")
	}
	for _, l := range s.Lines {
		b.WriteString("- **" + escapeMarkdown(l.Label) + "**" + colon + escapeMarkdown(l.Value) + "\n")
	}
	if len(s.Links) > 0 {
		var links []string
		for _, l := range s.Links {
			links = append(links, "["+escapeMarkdown(l.Label)+"]("+linkTarget.Replace(l.URL)+")")
		}
		b.WriteString("\n" + strings.Join(links, " · ") + "\n")
	}
	return b.String() + "\n"
}

// Backslashes for what DingTalk is known to let them stand for; the twin of full
// width for what calls people, opens tags, or makes a link by itself.
var (
	markdownEscapes = strings.NewReplacer(
		`\`, `\\`, "`", "\\`", "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`,
		"<", "＜", ">", "＞", "&", "＆", "~", "～", "@", "＠", "://", "：//", "\r", " ", "\n", " ",
	)
	linkTarget = strings.NewReplacer(" ", "%20", "(", "%28", ")", "%29", "<", "%3C", ">", "%3E", "\\", "%5C", "\n", "", "\r", "")
)

// escapeMarkdown makes text of text: an order number may hold * and _, and an @
// could call somebody.
func escapeMarkdown(s string) string { return markdownEscapes.Replace(undomain(s)) }

// undomain keeps telephones from making links of names such as example.com.
func undomain(s string) string {
	all := []rune(s)
	for i := 1; i < len(all)-1; i++ {
		if all[i] == '.' && isWord(all[i-1]) && unicode.IsLetter(all[i+1]) {
			all[i] = '．'
		}
	}
	return string(all)
}

func isWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// wholeLines is as many lines of s as n bytes hold.
func wholeLines(s string, n int) string {
	if len(s) <= n {
		return s
	}
	end := strings.LastIndexByte(s[:max(0, n)], '\n')
	return s[:end+1]
}

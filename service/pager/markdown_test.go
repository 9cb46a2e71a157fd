package pager_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/text"
	"github.com/yuin/goldmark/util"

	"wxnotify/service/callback"
	"wxnotify/service/pager"
)

// reading is a message as a reader's program understands it, one that makes
// links even of bare addresses.
type reading struct {
	links    []string
	headings []string
	text     string // without what marks it up
	strange  []string
}

func understand(source string) (r reading) {
	src := []byte(source)
	parser := goldmark.New(goldmark.WithExtensions(extension.GFM)).Parser()
	_ = ast.Walk(parser.Parse(text.NewReader(src)), func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			r.links = append(r.links, string(n.Destination))
		case *ast.AutoLink:
			r.links = append(r.links, string(n.URL(src)))
		case *ast.Heading:
			r.headings = append(r.headings, string(n.Lines().Value(src)))
		case *ast.Image, *ast.RawHTML, *ast.HTMLBlock, *ast.CodeSpan, *ast.CodeBlock, *ast.FencedCodeBlock, *ast.Blockquote, *ast.ThematicBreak:
			r.strange = append(r.strange, n.Kind().String())
		case *ast.Text:
			r.text += string(util.UnescapePunctuations(n.Value(src)))
			if n.SoftLineBreak() || n.HardLineBreak() {
				r.text += "\n"
			}
		case *ast.String:
			r.text += string(n.Value)
		default:
			if n.Kind().String() == "Table" || n.Kind().String() == "Strikethrough" {
				r.strange = append(r.strange, n.Kind().String())
			}
		}
		return ast.WalkContinue, nil
	})
	return r
}

// FuzzMarkdown: whatever stands where a stranger could have written, nothing of
// it becomes a link, a heading, an image, HTML or a call.
func FuzzMarkdown(f *testing.F) {
	f.Add(hostile, "db1", "T*1_2|3")
	f.Add("](https://evil.example)", "[x", "@all")
	f.Add("\n\n# heading\n\n---\n\n> quote\n\n```\ncode", "<b>", "~~gone~~")
	f.Add("a\\", "\\[x\\](https://evil.example)", "&lt;b&gt; http://1.example")
	f.Add("a.b", "HTTPS://EVIL.EXAMPLE", "ftp://x.y mailto:a@b.c xmpp:a@b.c")
	f.Fuzz(func(t *testing.T, detail, subject, order string) {
		robot, channel := near(pager.English)
		p := of(pager.Opened, callback.IncidentKey{Rule: "Rule" + subject, Class: "warning", Merchant: subject, Subject: subject}, callback.IncidentFacts{
			Orders: []string{order}, Sources: []callback.Source{{Network: order, Count: 1}}, Traces: []string{order + "-" + detail + "-x-y"},
		})
		p.Detail = detail
		m := pager.Message{Pages: []pager.Page{p, p}, Written: night}
		if err := channel.Send(t.Context(), m); err != nil {
			t.Fatal(err)
		}
		r := understand(robot.Messages()[0].Text)
		if len(r.headings) != 1 || len(r.strange) > 0 {
			t.Errorf("headings %q, and %q, in %q", r.headings, r.strange, robot.Messages()[0].Text)
		}
		for _, l := range r.links {
			if !slices.ContainsFunc([]string{"grafana", "runbooks", "jaeger"}, func(ours string) bool {
				return strings.HasPrefix(l, "https://"+ours+".example.com/")
			}) {
				t.Errorf("a link to %q in %q", l, robot.Messages()[0].Text)
			}
		}
		if strings.Contains(r.text, "@") {
			t.Errorf("somebody is called in %q", robot.Messages()[0].Text)
		}
	})
}

// TestOrderNumbersCanBeCopied: what is escaped is read as it was.
func TestOrderNumbersCanBeCopied(t *testing.T) {
	t.Parallel()
	const number = `1217_752501*2014|07-03_3233*368018` // all that WeChat Pay allows
	robot, channel := near(pager.Chinese)
	p := with(failed(callback.Proven, callback.ReasonConflict, 1), pager.Opened, callback.IncidentFacts{Orders: []string{number, "a__b**c"}})
	if err := channel.Send(t.Context(), pager.Message{Pages: []pager.Page{p}, Written: night}); err != nil {
		t.Fatal(err)
	}
	r := understand(robot.Messages()[0].Text)
	for _, want := range []string{number, "a__b**c", "[wxnotify prod 严重]"} {
		if !strings.Contains(r.text, want) {
			t.Errorf("%q is not in what is read: %q", want, r.text)
		}
	}
}

package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"html/template"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/yuin/goldmark"
	"github.com/yuin/goldmark/ast"
	"github.com/yuin/goldmark/extension"
	"github.com/yuin/goldmark/parser"
	"github.com/yuin/goldmark/text"
)

// The addresses that the runbooks are written with: those of the stack.
const (
	localGrafana = "http://localhost:3000"
	localJaeger  = "http://localhost:16686"
)

// addresses are where the links of the pages lead.
type addresses struct{ grafana, jaeger string }

// language is one of the two that every runbook is written in.
type language struct {
	Code, Suffix                 string // of the file's name
	Name                         string // of itself
	Index, Title, Sections, Hint string
}

var languages = []language{
	{
		"en", "", "English", "All runbooks", "What to do when wxnotify pages", "Reasons",
		"The commands need the service's configuration: export WXNOTIFY_CONFIG=wxnotify.yaml, or --config. In compose: docker compose exec service /wxnotify resolve; while the service is down: docker compose run --rm --no-deps service check. Times in pages are Asia/Shanghai.",
	},
	{
		"zh-CN", ".zh-CN", "中文", "全部处置手册", "wxnotify 告警处置手册", "各原因",
		"命令需要读取服务的配置：export WXNOTIFY_CONFIG=wxnotify.yaml，或用 --config 指定。在 compose 中：docker compose exec service /wxnotify resolve；服务停止时：docker compose run --rm --no-deps service check。告警中的时间均为北京时间。",
	},
}

// runbook is one page, of one alert in one language.
type runbook struct {
	Alert, Lede string
	Language    language
	Other       language
	Body        template.HTML
	Sections    []section
}

// section is an entry of a long page's table of contents.
type section struct{ ID, Title string }

func (r runbook) File() string  { return r.Alert + r.Language.Suffix + ".html" }
func (r runbook) Twin() string  { return r.Alert + r.Other.Suffix + ".html" }
func (r runbook) Index() string { return "index" + r.Language.Suffix + ".html" }

//go:embed page.html.tmpl
var layout string

// render makes all pages from the runbooks of a folder, by file name.
func render(from fs.FS, at addresses) (map[string][]byte, error) {
	views, err := template.New("").Parse(layout)
	if err != nil {
		return nil, err
	}
	pages := map[string][]byte{}
	show := func(view, name string, data any) error {
		var out bytes.Buffer
		err := views.ExecuteTemplate(&out, view, data)
		pages[name] = out.Bytes()
		return err
	}
	for i, l := range languages {
		other := languages[1-i]
		all, err := read(from, l, other, at)
		if err != nil {
			return nil, err
		}
		for _, r := range all {
			if err := show("runbook", r.File(), r); err != nil {
				return nil, err
			}
		}
		index := struct {
			Language, Other language
			Runbooks        []runbook
		}{l, other, all}
		if err := show("index", "index"+l.Suffix+".html", index); err != nil {
			return nil, err
		}
	}
	return pages, nil
}

// read renders the runbooks in one language, in the order of their names.
func read(from fs.FS, l, other language, at addresses) (all []runbook, err error) {
	files, err := fs.Glob(from, "*.md")
	if err != nil {
		return nil, err
	}
	slices.Sort(files)
	for _, file := range files {
		alert, suffix, _ := strings.Cut(strings.TrimSuffix(file, path.Ext(file)), ".")
		if suffix != strings.TrimPrefix(l.Suffix, ".") {
			continue
		}
		source, err := fs.ReadFile(from, file)
		if err != nil {
			return nil, err
		}
		r, err := page(source, at)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		r.Alert, r.Language, r.Other = alert, l, other
		all = append(all, r)
	}
	return all, nil
}

var markdown = goldmark.New(goldmark.WithExtensions(extension.GFM), goldmark.WithParserOptions(parser.WithAutoHeadingID()))

// page renders one runbook. Its first paragraph becomes the line in the index.
func page(source []byte, at addresses) (r runbook, err error) {
	context := parser.NewContext(parser.WithIDs(anchors{}))
	tree := markdown.Parser().Parse(text.NewReader(source), parser.WithContext(context))
	err = ast.Walk(tree, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if !entering {
			return ast.WalkContinue, nil
		}
		switch n := n.(type) {
		case *ast.Link:
			n.Destination = at.lead(n.Destination)
		case *ast.Paragraph:
			if r.Lede == "" {
				r.Lede = words(n, source)
			}
		case *ast.Heading:
			if id, ok := n.AttributeString("id"); ok && n.Level == 3 {
				r.Sections = append(r.Sections, section{string(id.([]byte)), words(n, source)})
			}
		}
		return ast.WalkContinue, nil
	})
	if err != nil {
		return r, err
	}
	var out bytes.Buffer
	err = markdown.Renderer().Render(&out, source, tree)
	r.Body = template.HTML(out.String()) // our own Markdown, and goldmark drops raw HTML
	return r, err
}

// words is the text of a node without its marks.
func words(n ast.Node, source []byte) string {
	var out strings.Builder
	_ = ast.Walk(n, func(n ast.Node, entering bool) (ast.WalkStatus, error) {
		if t, ok := n.(*ast.Text); ok && entering {
			out.Write(t.Segment.Value(source))
			if t.SoftLineBreak() {
				out.WriteByte(' ')
			}
		}
		return ast.WalkContinue, nil
	})
	return out.String()
}

// lead turns a link of the Markdown into one of the page: another runbook's page
// beside this one, your Grafana instead of the stack's.
func (a addresses) lead(link []byte) []byte {
	to := string(link)
	switch {
	case strings.HasPrefix(to, localGrafana):
		to = a.grafana + strings.TrimPrefix(to, localGrafana)
	case strings.HasPrefix(to, localJaeger):
		to = a.jaeger + strings.TrimPrefix(to, localJaeger)
	case !strings.Contains(to, "://"):
		to = strings.Replace(to, ".md", ".html", 1)
	}
	return []byte(to)
}

// anchors names headings by their text, as code hosts do: #signature_invalid.
// The usual generator would turn the underscore into a hyphen, and the links in
// the alerts are made from the reasons as they are.
type anchors struct{}

// Generate makes an id of a heading's text.
func (anchors) Generate(value []byte, _ ast.NodeKind) []byte {
	return bytes.ReplaceAll(bytes.ToLower(bytes.TrimSpace(value)), []byte(" "), []byte("-"))
}

// Put is told of ids given by hand; there are none.
func (anchors) Put([]byte) {}

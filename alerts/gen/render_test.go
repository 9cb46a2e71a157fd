package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
)

var update = flag.Bool("update", false, "write the pages anew")

const (
	runbooks = "../runbooks"
	html     = "../runbooks/html"
)

// TestPagesAreUpToDate keeps the committed pages equal to what the runbooks say.
func TestPagesAreUpToDate(t *testing.T) {
	t.Parallel()
	if *update {
		if err := write(runbooks, html, addresses{localGrafana, localJaeger}); err != nil {
			t.Fatal(err)
		}
	}
	pages, err := render(os.DirFS(runbooks), addresses{localGrafana, localJaeger})
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range pages {
		if got, _ := os.ReadFile(filepath.Join(html, name)); string(got) != string(want) {
			t.Errorf("%s is not what the runbook says; run: go run ./alerts/gen", name)
		}
	}
	there, err := os.ReadDir(html)
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range there {
		if _, wanted := pages[file.Name()]; !wanted {
			t.Errorf("%s has no runbook; run: go run ./alerts/gen", file.Name())
		}
	}
}

func TestLinks(t *testing.T) {
	t.Parallel()
	pages, err := render(fstest.MapFS{
		"A.md": {Data: []byte("# A\n\nWhat *A* is,\nin one line.\n\n### signature_invalid\n\n" +
			"[b](B.md#x_y) [panel](http://localhost:3000/d/x?viewPanel=4) [trace](http://localhost:16686/trace/1) [out](https://example.com/a.md)\n\n" +
			"<script>alert(1)</script>\n")},
		"A.zh-CN.md": {Data: []byte("# A\n\n这是 A。\n\n### signature_invalid\n\n### 各原因\n")},
	}, addresses{"https://grafana.example.com", "https://jaeger.example.com"})
	if err != nil {
		t.Fatal(err)
	}
	for name, wanted := range map[string][]string{
		"A.html": {
			`<h3 id="signature_invalid">`, `href="B.html#x_y"`, `href="https://grafana.example.com/d/x?viewPanel=4"`,
			`href="https://jaeger.example.com/trace/1"`, `href="https://example.com/a.md"`, `href="A.zh-CN.html"`, `<a href="#signature_invalid">`,
		},
		"A.zh-CN.html":     {`<html lang="zh-CN">`, `<h3 id="signature_invalid">`, `<h3 id="各原因">`, `href="A.html"`, `href="index.zh-CN.html"`},
		"index.html":       {`href="A.html"`, `href="A.zh-CN.html"`, "What A is, in one line."},
		"index.zh-CN.html": {`href="A.zh-CN.html"`, `href="A.html"`, "这是 A。"},
	} {
		for _, w := range wanted {
			if !strings.Contains(string(pages[name]), w) {
				t.Errorf("%s lacks %s:\n%s", name, w, pages[name])
			}
		}
	}
	if strings.Contains(string(pages["A.html"]), "<script>alert") {
		t.Error("raw HTML of a runbook reaches its page")
	}
}

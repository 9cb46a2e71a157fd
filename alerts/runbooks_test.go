package alerts_test

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"wxnotify/service/callback"
)

// tongue is one of the languages of the runbooks.
type tongue struct {
	suffix   string // of the file's name
	headings []string
	reasons  string // the heading over the reasons
	colon    string
	comma    string
	pages    map[callback.Class]string // what one failure of a class does
	explain  func(callback.Reason) string
}

var tongues = []tongue{
	{
		".md",
		[]string{"What it means", "Who is hit", "Look first", "Make it stop", "Over when"},
		"Reasons", ": ", ", ",
		map[callback.Class]string{callback.Proven: "critical", callback.Unproven: "warning", callback.Probe: "no page", callback.Noise: "no page"},
		callback.Reason.English,
	},
	{
		".zh-CN.md",
		[]string{"含义", "影响谁", "先看三处", "如何止住", "何时算结束"},
		"各原因", "：", "，",
		map[callback.Class]string{callback.Proven: "严重", callback.Unproven: "警告", callback.Probe: "不告警", callback.Noise: "不告警"},
		callback.Reason.Chinese,
	},
}

// pages are all runbooks, by file name.
func pages(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	files, err := fs.Glob(os.DirFS("runbooks"), "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join("runbooks", file))
		if err != nil {
			t.Fatal(err)
		}
		all[file] = string(text)
	}
	return all
}

func TestEveryAlertHasItsRunbookInBothLanguages(t *testing.T) {
	t.Parallel()
	all := pages(t)
	named := map[string]bool{}
	for _, r := range alertsOnly(shippedRules(t)) {
		url, _, _ := strings.Cut(r.Annotations["runbook_url"], "#")
		page := strings.TrimSuffix(path.Base(url), ".html")
		if named[page] = true; page != r.Alert && r.Labels["severity"] != "none" {
			t.Errorf("%s links to the runbook %s; want its own", r.Alert, page)
		}
		for _, l := range tongues {
			if text, there := all[page+l.suffix]; !there {
				t.Errorf("runbooks/%s%s is missing", page, l.suffix)
			} else if !strings.HasPrefix(text, "# "+page+"\n\n") {
				t.Errorf("runbooks/%s%s does not begin with its name", page, l.suffix)
			}
		}
	}
	for file := range all {
		if page, _, _ := strings.Cut(file, "."); !named[page] {
			t.Errorf("runbooks/%s: no alert links to it", file)
		}
	}
}

var heading = regexp.MustCompile(`(?m)^## (.+)$`)

func TestEveryRunbookHasTheSameSections(t *testing.T) {
	t.Parallel()
	for file, text := range pages(t) {
		l := tongueOf(file)
		wanted := l.headings
		if strings.HasPrefix(file, "WechatPayCallbackFailed.") {
			wanted = append(slices.Clone(wanted), l.reasons)
		}
		var got []string
		for _, m := range heading.FindAllStringSubmatch(text, -1) {
			got = append(got, m[1])
		}
		if !slices.Equal(got, wanted) {
			t.Errorf("%s has the sections %q; want %q", file, got, wanted)
			continue
		}
		first := section(text, "## "+l.headings[2])
		if n := len(regexp.MustCompile(`(?m)^\d\. `).FindAllString(first, -1)); n != 3 {
			t.Errorf("%s names %d things to look at first; want 3", file, n)
		}
		if !strings.Contains(first, "viewPanel=") && !strings.Contains(first, "```") {
			t.Errorf("%s: what to look at first has neither a panel nor a command", file)
		}
	}
}

// TestEveryReasonHasItsSection holds the sections against the registry: answer,
// class and what follows from it.
func TestEveryReasonHasItsSection(t *testing.T) {
	t.Parallel()
	for _, l := range tongues {
		file := "WechatPayCallbackFailed" + l.suffix
		text := pages(t)[file]
		var found []callback.Reason
		for _, m := range regexp.MustCompile(`(?m)^### (.+)$`).FindAllStringSubmatch(text, -1) {
			found = append(found, callback.Reason(m[1]))
		}
		if !slices.Equal(found, callback.Reasons()) {
			t.Errorf("%s has sections for %q; the registry has %q", file, found, callback.Reasons())
		}
		for _, r := range callback.Reasons() {
			if fact := l.fact(r); !strings.HasPrefix(section(text, "### "+string(r)), "\n\n"+fact+"\n\n") {
				t.Errorf("%s: the section of %s does not begin with\n%s", file, r, fact)
			}
		}
	}
}

// fact is the line under a reason's heading.
func (l tongue) fact(r callback.Reason) string {
	var parts []string
	for _, c := range r.Classes() {
		parts = append(parts, fmt.Sprintf("%s%s**%d**%s%s", c, l.colon, r.Status(c), l.comma, l.pages[c]))
	}
	return "> " + strings.Join(append(parts, l.explain(r)), " · ")
}

// TestTwinsSayTheSame compares what does not depend on the language: commands,
// queries, panels and the number of steps.
func TestTwinsSayTheSame(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for file, english := range all {
		alert, suffix, _ := strings.Cut(file, ".")
		if suffix != "md" {
			continue
		}
		chinese := all[alert+tongues[1].suffix]
		for _, same := range []*regexp.Regexp{
			regexp.MustCompile(`(?m)^#+ [a-z_]+$`), regexp.MustCompile(`(?m)^ *(\d\.|-) `),
			regexp.MustCompile(`\(http[^)]+\)`), regexp.MustCompile("(?m)^ *```[a-z]+$"), regexp.MustCompile("(?ms)^ *```(promql|logql)\n.*?```$"), regexp.MustCompile("(?m)(`|^ *)wxnotify [a-z]+"),
		} {
			if e, c := same.FindAllString(english, -1), same.FindAllString(chinese, -1); !slices.Equal(e, c) {
				t.Errorf("%s and its twin differ in %s:\n%q\n%q", file, same, e, c)
			}
		}
	}
}

var link = regexp.MustCompile(`\]\(([^):]+\.md)?(#[^)]+)?\)`)

func TestLinksBetweenRunbooksLead(t *testing.T) {
	t.Parallel()
	all := pages(t)
	for file, text := range all {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			to, anchor := m[1], strings.TrimPrefix(m[2], "#")
			if to == "" {
				to = file
			}
			target, there := all[to]
			switch {
			case !there:
				t.Errorf("%s links to %s, which is not there", file, to)
			case tongueOf(to).suffix != tongueOf(file).suffix:
				t.Errorf("%s links to the other language: %s", file, to)
			case anchor != "" && !regexp.MustCompile(`(?im)^#+ `+regexp.QuoteMeta(anchor)+`$`).MatchString(target):
				t.Errorf("%s links to %s#%s, which is no heading", file, to, anchor)
			}
		}
	}
}

func tongueOf(file string) tongue {
	if strings.HasSuffix(file, tongues[1].suffix) {
		return tongues[1]
	}
	return tongues[0]
}

// section is the text under a heading, up to the next of the same or a higher level.
func section(text, heading string) string {
	_, rest, _ := strings.Cut(text, heading+"\n")
	level := strings.Count(strings.Fields(heading)[0], "#")
	if end := regexp.MustCompile(fmt.Sprintf(`(?m)^#{1,%d} `, level)).FindStringIndex(rest); end != nil {
		rest = rest[:end[0]]
	}
	return "\n" + rest
}

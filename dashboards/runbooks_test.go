package dashboards_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"wxnotify/service/telemetry"
)

// runbooks are the pages' words, by file name.
func runbooks(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob("../alerts/runbooks/*.md")
	if err != nil || len(files) < 2 {
		t.Fatalf("%d runbooks: %v", len(files), err)
	}
	all := map[string]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[filepath.Base(file)] = string(raw)
	}
	return all
}

var fenced = regexp.MustCompile("(?ms)^ *(?:\\d\\. )?```([a-z]+)\n(.*?)^ *```$")

// advised are the queries in one language that runbooks tell people to run.
func advised(t *testing.T, language string) (all []asked) {
	t.Helper()
	for file, text := range runbooks(t) {
		for _, block := range fenced.FindAllStringSubmatch(text, -1) {
			if block[1] == language {
				all = append(all, asked{"the runbook " + file, block[2]})
			}
		}
	}
	if len(all) == 0 {
		t.Fatalf("no runbook speaks %s", language)
	}
	return all
}

// TestLogFields: every field that LogQL names is one of the record's contract.
func TestLogFields(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"service_name": true, environment: true, "service_instance_id": true, "trace_id": true, "Time": true}
	for _, f := range telemetry.Fields() {
		known[underscored(f.Name)] = true
	}
	filter := regexp.MustCompile(`(?:\|\s*|\{)([a-z_]+)\s*(?:=~|!=|>=|<=|=|>|<)\s*"?([^"\s\]]*)`)
	named := regexp.MustCompile(`(?:unwrap|by|\{\{)\s*\(?\.?([a-z_]+)`)
	fields := map[string]bool{}
	look := func(by, query string) {
		for _, found := range filter.FindAllStringSubmatch(query, -1) {
			fields[found[1]] = true
			closed(t, by, found[1], found[2])
		}
		for _, found := range named.FindAllStringSubmatch(query, -1) {
			fields[found[1]] = true
		}
	}
	for _, a := range advised(t, "logql") {
		look(a.by, a.expr)
	}
	for _, p := range shipped(t).all() {
		if p.Datasource.Type != "loki" {
			continue
		}
		for _, target := range p.Targets {
			look("the panel "+p.Title, target.Expr+target.Legend)
			if !strings.Contains(target.Expr, `|= "`+telemetry.EventHandled+`"`) {
				t.Errorf("%s looks at other records than callbacks'", p.Title)
			}
		}
		for _, tr := range p.Transformations {
			if include, ok := tr.Options["include"].(map[string]any); ok {
				for _, name := range include["names"].([]any) {
					fields[name.(string)] = true
				}
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !known[name] {
			t.Errorf("%s is no field of a record", name)
		}
	}
	if len(fields) < 12 {
		t.Errorf("%d fields; this test looks at nothing", len(fields))
	}
}

// TestTextsNameWhatExists: a name in a runbook or in the text of an alert is a
// metric, a field or an attribute; nobody is sent to a series that is not there.
func TestTextsNameWhatExists(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		telemetry.EventHandled: true, telemetry.EventReceived: true, telemetry.AttrLink: true,
		telemetry.AttrBatchSize: true, telemetry.AttrBatchWaited: true, telemetry.AttrSpansOmitted: true,
	}
	for name := range vocabulary(t) {
		known[name] = true
	}
	for _, in := range telemetry.Instruments() {
		known[in.Name] = true
	}
	for _, f := range telemetry.Fields() {
		known[f.Name], known[underscored(f.Name)] = true, true
	}
	texts := runbooks(t)
	for _, r := range rules(t) {
		texts["the alert "+r.Alert] += r.Annotations["description"] + r.Annotations["count"]
	}
	name := regexp.MustCompile(`\b(?:wechatpay[_.][a-z_.]*[a-z]|otelcol_[a-z_]*[a-z]|db_client_[a-z_]*[a-z]|http_server_[a-z_]*[a-z])\b`)
	for by, text := range texts {
		for _, found := range name.FindAllString(text, -1) {
			if !known[found] && !known[strings.TrimSuffix(found, ".html")] {
				t.Errorf("%s names %s, which does not exist", by, found)
			}
		}
	}
}

// TestRunbooksLeadToPanels: their links to panels lead to one.
func TestRunbooksLeadToPanels(t *testing.T) {
	t.Parallel()
	b := shipped(t)
	links := 0
	for file, text := range runbooks(t) {
		for _, m := range regexp.MustCompile(`/d/([a-z-]+)\?viewPanel=(\d+)`).FindAllStringSubmatch(text, -1) {
			links++
			there := slices.ContainsFunc(b.all(), func(p panel) bool { return strconv.Itoa(p.ID) == m[2] })
			if m[1] != b.UID || !there {
				t.Errorf("%s links to panel %s of dashboard %s, which is not there", file, m[2], m[1])
			}
		}
	}
	if links < 12 {
		t.Errorf("%d links to panels; this test looks at nothing", links)
	}
}

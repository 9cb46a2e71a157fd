package alerts_test

import (
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	promql "github.com/prometheus/prometheus/promql/parser"

	"wxnotify/service/telemetry"
)

// command is a node of wxnotify's command line, read from its source.
type command struct {
	commands map[string]*command
	flags    []string
	arg      bool // takes an argument
}

var (
	inline = regexp.MustCompile("`(wxnotify [^`]+)`")
	fenced = regexp.MustCompile("(?ms)^ *(?:\\d\\. )?```([a-z]+)\n(.*?)^ *```$")
)

func TestCommandsExist(t *testing.T) {
	t.Parallel()
	root := commandLine(t)
	for file, text := range pages(t) {
		var lines []string
		for _, m := range inline.FindAllStringSubmatch(text, -1) {
			lines = append(lines, m[1])
		}
		for _, m := range fenced.FindAllStringSubmatch(text, -1) {
			for line := range strings.Lines(m[2]) {
				if line = strings.TrimSpace(line); m[1] == "sh" && strings.HasPrefix(line, "wxnotify ") {
					lines = append(lines, line)
				}
			}
		}
		for _, line := range lines {
			if wrong := root.wrong(line); wrong != "" {
				t.Errorf("%s: %s: wxnotify knows no %s", file, line, wrong)
			}
		}
	}
}

// wrong is the first word of a line that the command line does not know.
func (c *command) wrong(line string) string {
	line = regexp.MustCompile(`"[^"]*"`).ReplaceAllString(line, "TEXT")
	for _, word := range strings.Fields(line)[1:] {
		name, isFlag := strings.CutPrefix(word, "--")
		switch next := c.commands[word]; {
		case next != nil:
			c = next
		case isFlag && !slices.Contains(c.flags, name), !isFlag && !c.arg && len(c.flags) == 0:
			return word
		case !isFlag && c.commands != nil && !c.arg:
			return word
		}
	}
	return ""
}

// commandLine reads the commands and flags from the structs that kong reads
// them from. (Running the program would hide from `go test` what its answer
// depends on.)
func commandLine(t *testing.T) *command {
	t.Helper()
	files, err := filepath.Glob("../service/*.go")
	if err != nil {
		t.Fatal(err)
	}
	structs := map[string]*ast.StructType{}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(tree, func(n ast.Node) bool {
			if spec, ok := n.(*ast.TypeSpec); ok {
				if s, ok := spec.Type.(*ast.StructType); ok {
					structs[spec.Name.Name] = s
				}
			}
			return true
		})
	}
	root := describe(structs, "commands")
	if len(root.commands) == 0 {
		t.Fatal("the struct `commands` in service/main.go is gone: where is the command line now?")
	}
	return root
}

func describe(structs map[string]*ast.StructType, name string) *command {
	c := &command{}
	s := structs[name]
	if s == nil {
		return c
	}
	for _, field := range s.Fields.List {
		kind, _ := field.Type.(*ast.Ident)
		var tag reflect.StructTag
		if field.Tag != nil {
			tag = reflect.StructTag(strings.Trim(field.Tag.Value, "`"))
		}
		_, isCommand := tag.Lookup("cmd")
		_, isArg := tag.Lookup("arg")
		switch {
		case len(field.Names) == 0 && kind != nil:
			c.flags = append(c.flags, describe(structs, kind.Name).flags...)
		case isCommand && kind != nil:
			if c.commands == nil {
				c.commands = map[string]*command{}
			}
			c.commands[kebab(field.Names[0].Name)] = describe(structs, kind.Name)
		case isArg:
			c.arg = true
		case tag != "":
			for _, f := range field.Names {
				c.flags = append(c.flags, kebab(f.Name))
			}
		}
	}
	return c
}

// kebab is what kong makes of a field's name: PageTest is page-test.
func kebab(name string) string {
	return strings.ToLower(regexp.MustCompile(`(.)([A-Z])`).ReplaceAllString(name, "$1-$2"))
}

// neighbours are prefixes of metrics that are not ours.
var neighbours = regexp.MustCompile(`^(up$|otelcol_|prometheus_|alertmanager_)`)

func TestQueriesNameWhatThereIs(t *testing.T) {
	t.Parallel()
	metrics := prometheusNames()
	fields := []string{"service_name", "trace_id", "span_id"}
	for _, f := range telemetry.Fields() {
		fields = append(fields, strings.ReplaceAll(f.Name, ".", "_"))
	}
	for file, text := range pages(t) {
		for _, m := range fenced.FindAllStringSubmatch(text, -1) {
			switch language, query := m[1], m[2]; language {
			case "promql":
				for _, wrong := range unknownInPromQL(t, query, metrics) {
					t.Errorf("%s: %s is no metric or label of ours:\n%s", file, wrong, query)
				}
			case "logql":
				for _, name := range regexp.MustCompile(`(?:[{|] ?|\{\{\.)([a-z_]+)(?:=|\}\})`).FindAllStringSubmatch(query, -1) {
					if !slices.Contains(fields, name[1]) {
						t.Errorf("%s: %s is no field of a record:\n%s", file, name[1], query)
					}
				}
			case "sh":
			default:
				t.Errorf("%s: who reads %s?", file, language)
			}
		}
		for _, m := range regexp.MustCompile("`(…?[a-z]+_[a-z_]+)`").FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "wechatpay_") && !slices.Contains(fields, m[1]) && metrics[m[1]] == nil {
				t.Errorf("%s: %s is no field and no metric", file, m[1])
			}
		}
	}
}

// prometheusNames are our metrics as Prometheus sees them, with their labels.
func prometheusNames() map[string][]string {
	all := map[string][]string{}
	for _, i := range telemetry.Instruments() {
		name := strings.ReplaceAll(i.Name, ".", "_")
		if suffix := map[string]string{"s": "_seconds", "By": "_bytes"}[i.Unit]; !strings.HasSuffix(name, suffix) {
			name += suffix
		}
		labels := []string{"deployment_environment_name", "instance", "job"}
		for _, l := range i.Labels {
			labels = append(labels, strings.ReplaceAll(l, ".", "_"))
		}
		switch i.Kind {
		case "counter":
			all[name+"_total"] = labels
		case "histogram":
			all[name+"_bucket"], all[name+"_count"], all[name+"_sum"] = append(labels, "le"), labels, labels
		default:
			all[name] = labels
		}
	}
	return all
}

func unknownInPromQL(t *testing.T, query string, metrics map[string][]string) (unknown []string) {
	t.Helper()
	tree, err := promql.NewParser(promql.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%v:\n%s", err, query)
		return nil
	}
	var labels []string
	ours := false
	promql.Inspect(tree, func(n promql.Node, _ []promql.Node) error {
		switch n := n.(type) {
		case *promql.VectorSelector:
			if neighbours.MatchString(n.Name) {
				return nil
			}
			ours = true
			if metrics[n.Name] == nil {
				unknown = append(unknown, n.Name)
				return nil
			}
			labels = append(labels, metrics[n.Name]...)
			for _, m := range n.LabelMatchers {
				if m.Name != "__name__" && !slices.Contains(metrics[n.Name], m.Name) {
					unknown = append(unknown, n.Name+"{"+m.Name+"}")
				}
			}
		}
		return nil
	})
	promql.Inspect(tree, func(n promql.Node, _ []promql.Node) error {
		if a, ok := n.(*promql.AggregateExpr); ok && ours {
			for _, by := range a.Grouping {
				if !slices.Contains(labels, by) {
					unknown = append(unknown, "by ("+by+")")
				}
			}
		}
		return nil
	})
	return unknown
}

// TestPanelsExist holds the links to panels against the dashboard.
func TestPanelsExist(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../dashboards/callbacks.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard any
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	ids := panelIDs(dashboard)
	for file, page := range pages(t) {
		for _, m := range regexp.MustCompile(`/d/([a-z-]+)\?viewPanel=(\d+)`).FindAllStringSubmatch(page, -1) {
			if m[1] != "wxnotify-callbacks" || !ids[m[2]] {
				t.Errorf("%s links to panel %s of dashboard %s, which is not there", file, m[2], m[1])
			}
		}
	}
}

// panelIDs are the ids of all panels, also of those in collapsed rows.
func panelIDs(node any) map[string]bool {
	ids := map[string]bool{}
	dashboard, _ := node.(map[string]any)
	list, _ := dashboard["panels"].([]any)
	for _, p := range list {
		panel, _ := p.(map[string]any)
		if id, err := json.Marshal(panel["id"]); err == nil {
			ids[string(id)] = true
		}
		for id := range panelIDs(panel) {
			ids[id] = true
		}
	}
	return ids
}

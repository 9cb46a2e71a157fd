package alerts_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
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
			if !slices.Contains([]string{"sh", "promql", "logql"}, m[1]) {
				t.Errorf("%s: who reads %s?", file, m[1])
			}
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

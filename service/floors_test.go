package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// module is the path that our own imports start with.
const module = "wxnotify/service/"

// source is one parsed Go file.
type source struct {
	path    string // relative to service/, with slashes
	room    string // first folder, "" for the wiring
	file    *ast.File
	imports []string
	lines   int
}

// sources parses every Go file below service/. It reads files instead of asking
// `go list`, whose answer the test cache would keep.
func sources(t *testing.T) []source {
	t.Helper()
	all := sourcesIn(t, ".")
	if len(all) < 40 {
		t.Fatalf("found %d files; this test looks at nothing", len(all))
	}
	return all
}

func sourcesIn(t *testing.T, folder string) []source {
	t.Helper()
	var all []source
	err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || path == collectorBuild):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		set := token.NewFileSet()
		f, err := parser.ParseFile(set, path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		s := source{path: filepath.ToSlash(path), file: f, lines: set.File(f.Pos()).LineCount()}
		if folder, _, ok := strings.Cut(s.path, "/"); ok {
			s.room = folder
		}
		for _, i := range f.Imports {
			name, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// collectorBuild is a module of its own, written by the collector's builder.
var collectorBuild = filepath.Join("..", "otel-collector", "build")

// TestWatchersReadTheContract: what watches the service knows its names and its
// reasons, and nothing behind them.
func TestWatchersReadTheContract(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"dashboards", "alerts", "otel-collector"} {
		all := sourcesIn(t, filepath.Join("..", folder))
		if len(all) == 0 {
			t.Errorf("no file in %s; this test looks at nothing", folder)
		}
		for _, s := range all {
			for _, i := range s.imports {
				own := strings.HasPrefix(i, "wxnotify/"+folder)
				if strings.HasPrefix(i, "wxnotify/") && !own && i != module+"callback" && i != module+"telemetry" {
					t.Errorf("%s imports %s", s.path, i)
				}
			}
			if s.lines > maxLines {
				t.Errorf("%s has %d lines; split it by duty", s.path, s.lines)
			}
		}
	}
}

// libraries names who may import what. "" is the wiring in service/ itself.
var libraries = map[string][]string{
	"go.opentelemetry.io/":        {"telemetry", ""},
	"github.com/XSAM/otelsql":     {"telemetry"},
	"github.com/prometheus/":      {"telemetry", ""},
	"github.com/labstack/echo":    {"web", "audit", "pager", "telemetry", ""},
	"github.com/jmoiron/sqlx":     {"store"},
	"modernc.org/sqlite":          {"store"},
	"database/sql":                {"store", "telemetry"},
	"github.com/pressly/goose":    {"store"},
	"github.com/knadh/koanf":      {""},
	"github.com/alecthomas/kong":  {""},
	"github.com/wneessen/go-mail": {"pager"},
	"github.com/yuin/goldmark":    {"simulator"},
	"github.com/wechatpay-apiv3/": {}, // tests only: the independent oracle
}

// TestFloors guards the architecture: everybody may import callback, no room
// imports a neighbour, the simulator imports nobody, and each library has a home.
func TestFloors(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		isTest := strings.HasSuffix(s.path, "_test.go")
		for _, i := range s.imports {
			if inner, ok := strings.CutPrefix(i, module); ok && s.room != "" {
				neighbour, _, _ := strings.Cut(inner, "/")
				switch {
				case s.room == "simulator" && neighbour != "simulator":
					t.Errorf("%s imports %s: the simulator is an outside world of its own", s.path, i)
				case isTest && s.room == "pager" && neighbour == "simulator":
					// people's telephones are outside, and the channels are tried on their stand-ins
				case s.room != "simulator" && neighbour != s.room && neighbour != "callback":
					t.Errorf("%s imports its neighbour %s", s.path, i)
				}
			}
			if s.room == "callback" && !isTest && strings.Contains(strings.Split(i, "/")[0], ".") {
				t.Errorf("%s imports %s: callback has the standard library only", s.path, i)
			}
			for library, rooms := range libraries {
				if strings.HasPrefix(i, library) && !isTest && !slices.Contains(rooms, s.room) {
					t.Errorf("%s imports %s, whose home is %q", s.path, i, rooms)
				}
			}
		}
	}
}

// TestOnlyTheStoreMakesReceipts is promise P1 in the source: a success answer
// needs a Receipt, and callback.Committed is called in store alone.
func TestOnlyTheStoreMakesReceipts(t *testing.T) {
	t.Parallel()
	calls := 0
	for _, s := range sources(t) {
		ast.Inspect(s.file, func(n ast.Node) bool {
			used, ok := n.(*ast.SelectorExpr)
			if !ok || used.Sel.Name != "Committed" {
				return true
			}
			if pkg, ok := used.X.(*ast.Ident); !ok || pkg.Name != "callback" {
				return true
			}
			calls++
			if s.room != "store" && !strings.HasSuffix(s.path, "_test.go") {
				t.Errorf("%s makes a receipt", s.path)
			}
			return true
		})
	}
	if calls == 0 {
		t.Error("nobody makes receipts; this test looks at nothing")
	}
}

// maxLines keeps a file readable in one sitting.
const maxLines = 400

func TestFilesStaySmall(t *testing.T) {
	t.Parallel()
	for _, s := range sources(t) {
		if !strings.HasSuffix(s.path, "_test.go") && s.lines > maxLines {
			t.Errorf("%s has %d lines; split it by duty before it reaches %d", s.path, s.lines, maxLines)
		}
	}
}

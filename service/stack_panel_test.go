//go:build stack

package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"
)

// board is a dashboard as Grafana reads it, as far as queries go.
type board struct {
	Panels      []panel
	Annotations struct {
		List []struct {
			Name       string
			Datasource datasource
			Target     query
		}
	}
}

type panel struct {
	ID         int
	Type       string
	Title      string
	Datasource datasource
	Targets    []query
	Panels     []panel // of a collapsed row
}

type query struct {
	RefID          string
	Expr           string
	Datasource     datasource
	Instant, Range bool   // of Prometheus
	QueryType      string // of Loki
}

type datasource struct{ Type, UID string }

// quiet are the queries that rightly show nothing after the run, by panel and
// query, and why.
var quiet = map[string]string{
	"65 A": "no page failed to get out",
}

// everyPanel runs every query of every dashboard until it shows something.
func everyPanel(t *testing.T, s *stack) {
	files, err := filepath.Glob("../dashboards/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	asked, instant, waiting := 0, 0, map[string]func() bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var b board
		if err := json.Unmarshal(text, &b); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, a := range b.Annotations.List {
			b.Panels = append(b.Panels, panel{Title: "annotation " + a.Name, Datasource: a.Datasource, Targets: []query{a.Target}})
		}
		for i := 0; i < len(b.Panels); i++ { // it grows
			p := b.Panels[i]
			b.Panels = append(b.Panels, p.Panels...)
			for _, q := range p.Targets {
				if asked++; q.Instant {
					instant++
				}
				p.ask(t, q).open(t, s, waiting, quiet[fmt.Sprintf("%d %s", p.ID, q.RefID)])
			}
		}
	}
	if asked < 40 || instant < 10 {
		t.Errorf("the dashboards ask %d questions, %d of them about the present; this test looks at nothing", asked, instant)
	}
	untilAll(t, 90*time.Second, waiting)
}

// ask is a panel's query as Grafana puts it, and the data that the panel can show.
func (p panel) ask(t *testing.T, q query) question {
	t.Helper()
	asked := question{
		name:  fmt.Sprintf("%d %s %s", p.ID, q.RefID, p.Title),
		store: cmp.Or(q.Datasource.Type, p.Datasource.Type), expr: filledIn(t, q.Expr), instant: q.Instant,
	}
	switch {
	case asked.store == "prometheus" && q.Instant != q.Range:
		asked.want = map[bool]string{true: "vector", false: "matrix"}[q.Instant]
	case asked.store == "loki" && q.QueryType == "range":
		asked.want = map[bool]string{true: "streams", false: "matrix"}[p.Type == "table"]
	default:
		t.Fatalf("%s: nobody knows how %q is asked: %+v", asked.name, asked.store, q)
	}
	return asked
}

// variable is a name in a dashboard's query, such as $merchant or ${merchant:regex}.
var variable = regexp.MustCompile(`\$\{?(\w+)(?::\w+)?\}?`)

// chosen are the variables' values: everything of the busy environment.
var chosen = map[string]string{
	"environment": "busy", "merchant": ".*", "instance": ".*",
	"__rate_interval": "1m", "__interval": "15s", "__auto": "1m", "__range": "15m",
}

func filledIn(t *testing.T, expr string) string {
	t.Helper()
	return variable.ReplaceAllStringFunc(expr, func(found string) string {
		name := variable.FindStringSubmatch(found)[1]
		value, known := chosen[name]
		if !known {
			t.Errorf("%s: nobody knows what to put for %s", expr, found)
		}
		return value
	})
}

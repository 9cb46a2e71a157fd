package dashboards_test

import (
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

// automatic stands for $__rate_interval: a duration that nobody writes by hand.
const automatic = 7*time.Minute + 7*time.Second

// parsed is a PromQL expression with Grafana's intervals filled in.
func parsed(t *testing.T, expr string) parser.Expr {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(strings.ReplaceAll(expr, "$__rate_interval", "7m7s"))
	if err != nil {
		t.Fatalf("%s\n%v", expr, err)
	}
	return e
}

// each calls f for every node of one type.
func each[N parser.Node](e parser.Expr, f func(N)) {
	parser.Inspect(e, func(node parser.Node, _ []parser.Node) error {
		if n, ok := node.(N); ok {
			f(n)
		}
		return nil
	})
}

// selected is one vector selector: the metrics it may be, and its matchers.
type selected struct {
	names    []string
	matchers []*labels.Matcher
}

// selectors are the vector selectors of an expression.
func selectors(e parser.Expr) []selected {
	var all []selected
	each(e, func(v *parser.VectorSelector) {
		s := selected{matchers: v.LabelMatchers}
		for _, m := range v.LabelMatchers {
			if m.Name == nameLabel {
				s.names = alternatives(m.Value)
			}
		}
		all = append(all, s)
	})
	return all
}

// nameLabel is the label in which Prometheus keeps a metric's name.
const nameLabel = "__name__"

// alternatives spells out a pattern made of (a|b) groups alone.
func alternatives(pattern string) []string {
	open := strings.LastIndex(pattern, "(")
	if open < 0 {
		return strings.Split(pattern, "|")
	}
	end := open + strings.Index(pattern[open:], ")")
	var all []string
	for _, one := range strings.Split(pattern[open+1:end], "|") {
		all = append(all, alternatives(pattern[:open]+one+pattern[end+1:])...)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// constant is the value of an expression that is made of numbers alone.
func constant(e parser.Expr) (float64, bool) {
	switch e := e.(type) {
	case *parser.NumberLiteral:
		return e.Val, true
	case *parser.ParenExpr:
		return constant(e.Expr)
	case *parser.UnaryExpr:
		v, ok := constant(e.Expr)
		return -v, ok && e.Op == parser.SUB
	case *parser.BinaryExpr:
		l, left := constant(e.LHS)
		r, right := constant(e.RHS)
		if !left || !right {
			return 0, false
		}
		switch e.Op {
		case parser.ADD:
			return l + r, true
		case parser.SUB:
			return l - r, true
		case parser.MUL:
			return l * r, true
		case parser.DIV:
			return l / r, true
		case parser.POW:
			return math.Pow(l, r), true
		}
	}
	return 0, false
}

// limitsOf are the numbers that an expression compares something with.
func limitsOf(e parser.Expr) []float64 {
	found := map[float64]bool{}
	each(e, func(b *parser.BinaryExpr) {
		switch b.Op {
		case parser.GTR, parser.LSS, parser.GTE, parser.LTE:
			if n, ok := constant(b.RHS); ok {
				found[n] = true
			}
		}
	})
	return slices.Sorted(maps.Keys(found))
}

// rule is an alert or a recording of alerts/rules.
type rule struct {
	Alert       string            `yaml:"alert"`
	Record      string            `yaml:"record"`
	Expr        string            `yaml:"expr"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

// rules reads every rule file.
func rules(t *testing.T) []rule {
	t.Helper()
	files, err := filepath.Glob("../alerts/rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rule files: %v", err)
	}
	var all []rule
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var of struct {
			Groups []struct {
				Rules []rule `yaml:"rules"`
			} `yaml:"groups"`
		}
		if err := yaml.Unmarshal(raw, &of); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, g := range of.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

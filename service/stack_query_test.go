//go:build stack

package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"wxnotify/service/simulator/merchant"
	"wxnotify/service/simulator/wechat"
)

// everyQuery runs what the dashboards and the rules ask, after a run in which
// everything has happened.
func everyQuery(t *testing.T, s *stack) {
	r := s.serve(t, "busy", []string{"busy", "busier"}, nil)
	s.busyDay(t, r)
	const total = `sum(wechatpay_callback_processed_total{deployment_environment_name="busy"})`
	within(t, time.Minute, "Prometheus has the run", func() bool {
		_, text := r.world("busy").get(t, "/metrics")
		return s.total(t, total) == metric(t, text, "wechatpay_callback_processed_total")
	})
	t.Run("panels", func(t *testing.T) { t.Parallel(); everyPanel(t, s) })
	t.Run("rules", func(t *testing.T) { t.Parallel(); everyRule(t, s) })
	t.Run("exemplars", func(t *testing.T) { t.Parallel(); exemplarsLead(t, s) })
}

// busyDay is traffic of every kind with every kind of trouble, and a while
// without the database.
func (s *stack) busyDay(t *testing.T, r *reporter) {
	t.Helper()
	var accounts []*wechat.Merchant
	for _, account := range r.accounts {
		accounts = append(accounts, account)
	}
	platform := wechat.New(wechat.Options{Speed: 60})
	defer platform.Close()
	mix := wechat.Everyday(25, accounts...)
	mix.For = 12 * time.Second
	mix.Before = func(ctx context.Context, m *wechat.Merchant, o wechat.Order) error {
		own := merchant.Backend{Base: r.private, Merchant: m.Name, Token: testToken}
		return own.Register(ctx, merchant.Order{OutTradeNo: o.OutTradeNo, Amount: o.Total, Currency: "CNY"})
	}
	if _, err := platform.Run(t.Context(), mix); err != nil {
		t.Fatal(err)
	}
	// Money that stays missing, kept in the spool while the database is away.
	w := r.world("busy")
	moveAway(t, r.config.Store.Path)
	for range 3 {
		spoilt(wechat.Payment, wechat.Stale)(t, r, w)
	}
	if err := os.Rename(r.config.Store.Path+".away", r.config.Store.Path); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, "the database is back", func() bool {
		_, ready := w.get(t, "/readyz")
		return !strings.Contains(ready, "degraded")
	})
	// And a database that refuses rows, twice: its counter is born with the first.
	const refused = `db_client_operation_duration_seconds_count{deployment_environment_name="busy",error_type!=""}`
	refuseRows(t, r.config.Store.Path)
	before := s.total(t, refused)
	spoilt(wechat.Payment, wechat.None)(t, r, w)
	within(t, time.Minute, "Prometheus has the first", func() bool { return s.total(t, refused) > before })
	spoilt(wechat.Payment, wechat.None)(t, r, w)
	execute(t, r.config.Store.Path, "DROP TRIGGER refuse")
}

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
	RefID      string
	Expr       string
	Datasource datasource
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
	open := map[string]func() bool{}
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
				s.ask(t, open, p, q)
			}
		}
	}
	if len(open) < 40 {
		t.Errorf("the dashboards ask %d questions; this test looks at nothing", len(open))
	}
	untilAll(t, 90*time.Second, open)
}

// ask adds a panel's query to the open questions.
func (s *stack) ask(t *testing.T, open map[string]func() bool, p panel, q query) {
	t.Helper()
	name := fmt.Sprintf("%d %s", p.ID, q.RefID)
	kind := cmp.Or(q.Datasource.Type, p.Datasource.Type)
	show := map[string]func(*testing.T, string) (string, int){"prometheus": s.showMetrics, "loki": s.showRecords}[kind]
	if q.Expr == "" || show == nil {
		t.Errorf("%s, %q: the data source %q is asked %q", name, p.Title, kind, q.Expr)
		return
	}
	expr := filledIn(t, q.Expr)
	if why, rightly := quiet[name]; rightly {
		if _, found := show(t, expr); found > 0 {
			t.Errorf("%s is said to be empty because %s, and is not: %s", name, why, expr)
		}
		return
	}
	open[name+" "+p.Title+": "+expr] = func() bool {
		kind, found := show(t, expr)
		if (p.Type == "logs") != (kind == "streams") && p.Type != "table" {
			t.Errorf("%s shows %s as %s", name, kind, p.Type)
			return true
		}
		return found > 0
	}
}

// untilAll asks every open question, again and again, until it is answered.
func untilAll(t *testing.T, limit time.Duration, open map[string]func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for end := time.After(limit); ; {
		for name, ask := range open {
			if ask() {
				delete(open, name)
			}
		}
		if len(open) == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			for name := range open {
				t.Errorf("waited %s in vain: %s", limit, name)
			}
			return
		}
	}
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

// showMetrics runs a query as a panel does, over the last quarter of an hour.
func (s *stack) showMetrics(t *testing.T, expr string) (kind string, found int) {
	t.Helper()
	now := time.Now()
	var answer struct {
		Data struct {
			ResultType string
			Result     []struct{ Values []any }
		}
	}
	s.prometheus(t, "query_range?"+url.Values{
		"query": {expr}, "step": {"15"},
		"start": {strconv.FormatInt(now.Add(-15*time.Minute).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)},
	}.Encode(), &answer)
	for _, series := range answer.Data.Result {
		found += len(series.Values)
	}
	return answer.Data.ResultType, found
}

func (s *stack) showRecords(t *testing.T, expr string) (kind string, found int) {
	t.Helper()
	var answer struct {
		Data struct {
			ResultType string
			Result     []struct{ Values []any }
		}
	}
	s.loki(t, expr, &answer)
	for _, series := range answer.Data.Result {
		found += len(series.Values)
	}
	return answer.Data.ResultType, found
}

// unborn are the metrics that do not exist while nothing is wrong, and why.
var unborn = map[string]string{
	`{__name__=~"otelcol_exporter_(enqueue|send)_failed_(spans|log_records|metric_points)"}`: "the collector's counters are born with their first loss",
}

// everyRule looks whether the rules that run are evaluated without an error, and
// whether everything they select exists: an alert on a misspelt name is silent.
func everyRule(t *testing.T, s *stack) {
	s.evaluated(t)
	rules, open := 0, map[string]func() bool{}
	for _, g := range s.ruleGroups(t) {
		for _, rule := range g.Rules {
			rules++
			if rule.Health != "ok" {
				t.Errorf("%s: %s: %s", rule.Name, rule.Health, rule.LastError)
			}
			expr, err := parser.NewParser(parser.Options{}).ParseExpr(rule.Query)
			if err != nil {
				t.Errorf("%s: %v", rule.Name, err)
				continue
			}
			if kind := expr.Type(); kind != parser.ValueTypeVector {
				t.Errorf("%s is a %s", rule.Name, kind)
			}
			s.vector(t, rule.Query)
			for _, selector := range selectors(expr) {
				if unborn[selector] == "" {
					open[rule.Name+": "+selector] = func() bool { return len(s.vector(t, selector)) > 0 }
				}
			}
		}
	}
	if rules < 14 || len(open) < 20 {
		t.Errorf("Prometheus runs %d rules on %d selectors; this test looks at nothing", rules, len(open))
	}
	untilAll(t, 90*time.Second, open)
}

// selectors are the series that an expression reads, now instead of in the past.
func selectors(expr parser.Expr) (all []string) {
	parser.Inspect(expr, func(node parser.Node, _ []parser.Node) error {
		if v, ok := node.(*parser.VectorSelector); ok {
			now := parser.VectorSelector{Name: v.Name, LabelMatchers: v.LabelMatchers}
			all = append(all, now.String())
		}
		return nil
	})
	return all
}

// exemplarsLead checks that a slow callback's point leads to its trace.
func exemplarsLead(t *testing.T, s *stack) {
	var answer struct {
		Data []struct {
			Exemplars []struct{ Labels map[string]string }
		}
	}
	query := url.Values{
		"query": {`wechatpay_callback_duration_seconds_bucket{deployment_environment_name="busy"}`},
		"start": {strconv.FormatInt(time.Now().Add(-time.Hour).Unix(), 10)},
		"end":   {strconv.FormatInt(time.Now().Add(time.Minute).Unix(), 10)},
	}
	within(t, time.Minute, "an exemplar whose trace is in Jaeger", func() bool {
		s.prometheus(t, "query_exemplars?"+query.Encode(), &answer)
		for _, series := range answer.Data {
			for _, exemplar := range series.Exemplars {
				for _, one := range s.trace(t, exemplar.Labels["trace_id"]) {
					if strings.HasPrefix(one.OperationName, "POST /wechatpay/") {
						return true
					}
				}
			}
		}
		return false
	})
}

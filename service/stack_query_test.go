//go:build stack

package main

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql/parser"

	"wxnotify/service/simulator/merchant"
	"wxnotify/service/simulator/wechat"
)

// everyQuery runs what the dashboards, the rules and the runbooks ask, after a
// run in which everything has happened.
func everyQuery(t *testing.T, s *stack) {
	told := newPerson(t)
	go func() {
		for range told.pages { // there is somebody to tell, and that is all
		}
	}()
	r := s.serve(t, "busy", []string{"busy", "busier"}, func(cfg *Config) { told.reached(t, cfg) })
	missing := s.busyDay(t, r)
	const total = `sum(wechatpay_callback_processed_total{deployment_environment_name="busy"})`
	within(t, time.Minute, "Prometheus has the run", func() bool {
		_, text := r.world("busy").get(t, "/metrics")
		return s.total(t, total) == metric(t, text, "wechatpay_callback_processed_total")
	})
	t.Run("panels", func(t *testing.T) { t.Parallel(); everyPanel(t, s) })
	t.Run("rules", func(t *testing.T) { t.Parallel(); everyRule(t, s) })
	t.Run("runbooks", func(t *testing.T) { t.Parallel(); everyRunbook(t, s, missing.OutTradeNo) })
	t.Run("exemplars", func(t *testing.T) { t.Parallel(); exemplarsLead(t, s) })
}

// busyDay is traffic of every kind with every kind of trouble, and a while
// without the database. It tells of one payment that has not been booked.
func (s *stack) busyDay(t *testing.T, r *reporter) (missing wechat.Order) {
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
	w := r.world("busy")
	// Seldom in the traffic, and a runbook asks for it.
	spoilt(wechat.Payment, wechat.Rewritten)(t, r, w)
	// Money that stays missing, kept in the spool while the database is away.
	moveAway(t, r.config.Store.Path)
	for range 3 {
		missing = wechat.NewOrder(100)
		w.post(t, w.wechat.Message(wechat.Payment, missing).Sign(wechat.Stale, time.Now()))
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
	return missing
}

// question is one query, asked as its reader's page asks it.
type question struct {
	name    string // whose it is, and which
	store   string // prometheus or loki
	expr    string
	instant bool   // about the present alone
	want    string // the type of data that can be shown there: vector, matrix, streams
}

// open adds a question to those that wait for an answer. Why a question rightly
// finds nothing is said in quiet.
func (q question) open(t *testing.T, s *stack, waiting map[string]func() bool, quiet string) {
	t.Helper()
	if q.store == "prometheus" { // which answers a range with a matrix, whatever was asked
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(q.expr)
		if err != nil {
			t.Errorf("%s: %v", q.name, err)
			return
		}
		if kind := expr.Type(); kind != parser.ValueTypeVector {
			t.Errorf("%s is a %s: %s", q.name, kind, q.expr)
			return
		}
	}
	if quiet != "" {
		if _, points := s.put(t, q); points > 0 {
			t.Errorf("%s is said to be empty because %s, and is not: %s", q.name, quiet, q.expr)
		}
		return
	}
	waiting[q.name+": "+q.expr] = func() bool {
		kind, points := s.put(t, q)
		if kind != q.want {
			t.Errorf("%s is answered with a %s, want a %s: %s", q.name, kind, q.want, q.expr)
			return true
		}
		return points > 0
	}
}

// put asks the store, about the present or the last quarter of an hour. It tells
// the type of the data and how many points there are.
func (s *stack) put(t *testing.T, q question) (kind string, points int) {
	t.Helper()
	var answer struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	switch now := time.Now(); {
	case q.store == "loki":
		s.loki(t, q.expr, &answer)
	case q.instant:
		s.prometheus(t, "query?query="+url.QueryEscape(q.expr), &answer)
	default:
		s.prometheus(t, "query_range?"+url.Values{
			"query": {q.expr}, "step": {"15"},
			"start": {strconv.FormatInt(now.Add(-15*time.Minute).Unix(), 10)}, "end": {strconv.FormatInt(now.Unix(), 10)},
		}.Encode(), &answer)
	}
	kind = answer.Data.ResultType
	if kind != "vector" && kind != "matrix" && kind != "streams" {
		return kind, 0 // it has no series
	}
	var all []struct{ Value, Values []any }
	if err := json.Unmarshal(answer.Data.Result, &all); err != nil {
		t.Fatalf("%s: %v", q.name, err)
	}
	for _, series := range all {
		points += len(series.Values)
		if len(series.Value) > 0 {
			points++
		}
	}
	return kind, points
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

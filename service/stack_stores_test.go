//go:build stack

package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"testing"
	"time"
)

// sample is one series of an instant query.
type sample struct {
	labels map[string]string
	value  float64
}

// vector runs an instant query on Prometheus.
func (s *stack) vector(t *testing.T, query string) []sample {
	t.Helper()
	var answer struct {
		Data struct {
			ResultType string
			Result     json.RawMessage
		}
	}
	s.prometheus(t, "query?query="+url.QueryEscape(query), &answer)
	var series []struct {
		Metric map[string]string
		Value  [2]any
	}
	switch answer.Data.ResultType {
	case "scalar":
		var value [2]any
		if err := json.Unmarshal(answer.Data.Result, &value); err != nil {
			t.Fatal(err)
		}
		return []sample{{value: number(t, value[1])}}
	case "vector":
		if err := json.Unmarshal(answer.Data.Result, &series); err != nil {
			t.Fatal(err)
		}
	default:
		t.Fatalf("%s is a %s", query, answer.Data.ResultType)
	}
	all := make([]sample, len(series))
	for i, one := range series {
		all[i] = sample{one.Metric, number(t, one.Value[1])}
	}
	return all
}

func number(t *testing.T, text any) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(fmt.Sprint(text), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// total sums an instant query up.
func (s *stack) total(t *testing.T, query string) (sum float64) {
	t.Helper()
	for _, one := range s.vector(t, query) {
		sum += one.value
	}
	return sum
}

// prometheus asks its API; path is what comes after /api/v1/.
func (s *stack) prometheus(t *testing.T, path string, into any) {
	t.Helper()
	if err := getJSON(t.Context(), "http://"+s.doors["prometheus:9090"]+"/api/v1/"+path, into); err != nil {
		t.Fatal(err)
	}
}

// ruleGroup is one group of Prometheus' rules, as it runs.
type ruleGroup struct {
	Name           string
	LastEvaluation time.Time
	Rules          []struct {
		Name, Type, Query, Health, LastError string
	}
}

func (s *stack) ruleGroups(t *testing.T) []ruleGroup {
	t.Helper()
	var answer struct{ Data struct{ Groups []ruleGroup } }
	s.prometheus(t, "rules", &answer)
	return answer.Data.Groups
}

// evaluated waits until every rule has been evaluated on what is there now.
func (s *stack) evaluated(t *testing.T) {
	t.Helper()
	now := time.Now()
	within(t, 2*time.Minute, "every rule group is evaluated", func() bool {
		groups := s.ruleGroups(t)
		for _, g := range groups {
			if !g.LastEvaluation.After(now) {
				return false
			}
		}
		return len(groups) > 0
	})
}

// activeAlert is one that Prometheus holds pending or firing.
type activeAlert struct {
	Labels map[string]string
	State  string
}

func (s *stack) activeAlerts(t *testing.T) []activeAlert {
	t.Helper()
	var answer struct {
		Data struct{ Alerts []activeAlert }
	}
	s.prometheus(t, "alerts", &answer)
	return answer.Data.Alerts
}

// record is one log record in Loki, its labels and structured metadata together.
type record struct {
	labels map[string]string
	line   string
}

// records runs a log query over the last hour.
func (s *stack) records(t *testing.T, query string) (all []record) {
	t.Helper()
	var answer struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][]any
			}
		}
	}
	s.loki(t, query, &answer)
	for _, stream := range answer.Data.Result {
		for _, value := range stream.Values {
			all = append(all, record{stream.Stream, fmt.Sprint(value[1])})
		}
	}
	return all
}

func (s *stack) loki(t *testing.T, query string, into any) {
	t.Helper()
	parameters := url.Values{
		"query": {query}, "limit": {"1000"}, "step": {"15"},
		"start": {strconv.FormatInt(time.Now().Add(-time.Hour).UnixNano(), 10)},
		"end":   {strconv.FormatInt(time.Now().UnixNano(), 10)},
	}
	if err := getJSON(t.Context(), "http://"+s.doors["loki:3100"]+"/loki/api/v1/query_range?"+parameters.Encode(), into); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
}

// span is one span in Jaeger.
type span struct {
	TraceID, SpanID, OperationName string
	References                     []struct{ RefType, TraceID, SpanID string }
	Tags                           []struct {
		Key   string
		Value any
	}
}

func (s span) tag(key string) string {
	for _, tag := range s.Tags {
		if tag.Key == key {
			return fmt.Sprint(tag.Value)
		}
	}
	return ""
}

// parent is the span's parent, and linked are the spans it links to.
func (s span) parent() (id string) {
	for _, r := range s.References {
		if r.RefType == "CHILD_OF" {
			id = r.SpanID
		}
	}
	return id
}

func (s span) linked(to span) bool {
	for _, r := range s.References {
		if r.RefType == "FOLLOWS_FROM" && r.TraceID == to.TraceID && r.SpanID == to.SpanID {
			return true
		}
	}
	return false
}

// tracesWith finds the traces that have a span with the tag.
func (s *stack) tracesWith(t *testing.T, key, value string) [][]span {
	t.Helper()
	tags, err := json.Marshal(map[string]string{key: value})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	return s.traces(t, "?"+url.Values{
		"service": {"wxnotify"}, "tags": {string(tags)}, "limit": {"100"},
		"start": {strconv.FormatInt(now.Add(-time.Hour).UnixMicro(), 10)}, "end": {strconv.FormatInt(now.UnixMicro(), 10)},
	}.Encode())
}

// trace is one trace by its id; nil when it is not there.
func (s *stack) trace(t *testing.T, id string) []span {
	t.Helper()
	for _, one := range s.traces(t, "/"+id) {
		return one
	}
	return nil
}

func (s *stack) traces(t *testing.T, path string) (all [][]span) {
	t.Helper()
	var answer struct{ Data []struct{ Spans []span } }
	if err := getJSON(t.Context(), "http://"+s.doors["jaeger:16686"]+"/api/traces"+path, &answer); err != nil {
		t.Fatal(err)
	}
	for _, one := range answer.Data {
		all = append(all, one.Spans)
	}
	return all
}

// count is what a log query counts now.
func (s *stack) count(t *testing.T, query string) (sum float64) {
	t.Helper()
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := getJSON(t.Context(), "http://"+s.doors["loki:3100"]+"/loki/api/v1/query?"+url.Values{"query": {query}}.Encode(), &answer); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	for _, one := range answer.Data.Result {
		sum += number(t, one.Value[1])
	}
	return sum
}

package dashboards_test

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/promql/parser"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// foreign are the metrics that other programs and libraries write, with the
// labels they may be asked by. The tests against the real stack see them.
var foreign = map[string][]string{
	"up":               {"job", "instance"},
	"target_info":      {"job", "service_version"},
	"ALERTS":           {"alertname", "alertstate", "severity", "merchant", "error_type"},
	"ALERTS_FOR_STATE": {"alertname", "merchant", "error_type"},

	"go_memory_used_bytes":            {"job", "instance", "go_memory_type"},
	"go_memory_gc_goal_bytes":         {"job", "instance"},
	"go_memory_allocated_bytes_total": {"job", "instance"},
	"go_goroutine_count":              {"job", "instance"},
	"go_processor_limit":              {"job", "instance"},

	"http_server_request_duration_seconds_bucket": {"job", "instance", "http_route", "le"},
	"http_server_request_duration_seconds_count":  {"job", "instance", "http_response_status_code"},
	"http_server_request_body_size_bytes_bucket":  {"job", "instance", "le"},
	"http_server_response_body_size_bytes_bucket": {"job", "instance", "le"},
	"db_client_operation_duration_seconds_bucket": {"job", "instance", "db_operation_name", "le"},
	"db_client_operation_duration_seconds_count":  {"job", "instance", "db_operation_name", "error_type"},

	"alertmanager_notifications_failed_total":   {"instance", "integration", "reason"},
	"prometheus_notifications_dropped_total":    {},
	"prometheus_notifications_errors_total":     {},
	"prometheus_rule_evaluation_failures_total": {},

	// The collector's own: its counters have no _total.
	"otelcol_exporter_queue_size":                   {"instance", "exporter"},
	"otelcol_exporter_queue_capacity":               {"instance", "exporter"},
	"otelcol_exporter_sent_metric_points":           {"exporter"},
	"otelcol_exporter_send_failed_spans":            {"instance", "exporter"},
	"otelcol_exporter_send_failed_log_records":      {"instance", "exporter"},
	"otelcol_exporter_send_failed_metric_points":    {"instance", "exporter"},
	"otelcol_exporter_enqueue_failed_spans":         {"instance", "exporter"},
	"otelcol_exporter_enqueue_failed_log_records":   {"instance", "exporter"},
	"otelcol_exporter_enqueue_failed_metric_points": {"instance", "exporter"},
	"otelcol_receiver_refused_spans":                {},
	"otelcol_receiver_refused_log_records":          {},
	"otelcol_receiver_refused_metric_points":        {},
}

const environment = "deployment_environment_name"

// vocabulary is every metric and the labels it has.
func vocabulary(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for _, in := range telemetry.Instruments() {
		known := []string{environment, "instance"}
		for _, label := range in.Labels {
			known = append(known, underscored(label))
		}
		for _, name := range in.PrometheusNames() {
			if all[name] = known; strings.HasSuffix(name, "_bucket") {
				all[name] = append(slices.Clone(known), "le")
			}
		}
	}
	for _, r := range rules(t) {
		if r.Record != "" {
			all[r.Record] = []string{environment}
		}
	}
	for name, known := range foreign {
		all[name] = append([]string{environment}, known...)
	}
	return all
}

func underscored(name string) string { return strings.ReplaceAll(name, ".", "_") }

// asked is one PromQL expression and who asks it.
type asked struct{ by, expr string }

// watching are the expressions of panels and rules, which somebody looks at.
func watching(t *testing.T) []asked {
	t.Helper()
	var all []asked
	for _, q := range shipped(t).questions() {
		if q.store == "prometheus" {
			all = append(all, asked{"the panel " + q.title, q.expr})
		}
	}
	for _, r := range rules(t) {
		all = append(all, asked{"the rule " + r.Alert + r.Record, r.Expr})
	}
	return all
}

// everyExpression adds the runbooks'.
func everyExpression(t *testing.T) []asked {
	t.Helper()
	return append(watching(t), advised(t, "promql")...)
}

// TestMetricsAndLabels: nobody asks for a series that nobody writes, by a label it
// does not have, or for a value outside of its closed set.
func TestMetricsAndLabels(t *testing.T) {
	t.Parallel()
	known := vocabulary(t)
	for _, a := range everyExpression(t) {
		e := parsed(t, a.expr)
		inside := map[string]bool{}
		for _, s := range selectors(e) {
			for _, name := range s.names {
				has, ok := known[name]
				if !ok {
					t.Errorf("%s asks for %s, which nobody writes", a.by, name)
				}
				for _, label := range has {
					inside[label] = true
				}
				for _, m := range s.matchers {
					if m.Name != nameLabel && ok && !slices.Contains(has, m.Name) {
						t.Errorf("%s asks %s for %s, which it does not have", a.by, name, m.Name)
					}
				}
			}
			for _, m := range s.matchers {
				closed(t, a.by, m.Name, m.Value)
			}
		}
		each(e, func(g *parser.AggregateExpr) {
			for _, label := range g.Grouping {
				if !inside[label] {
					t.Errorf("%s groups by %s, which nothing in it has", a.by, label)
				}
			}
		})
	}
}

// closed checks values of attributes that are closed sets.
func closed(t *testing.T, by, label, value string) {
	t.Helper()
	var set []string
	switch label {
	case "class", underscored(telemetry.FieldClass):
		set = []string{"", string(callback.Proven), string(callback.Unproven), string(callback.Probe), string(callback.Noise)}
	case "outcome", underscored(telemetry.FieldStatus):
		set = []string{string(callback.Accepted), string(callback.Duplicate), string(callback.Failed)}
	case telemetry.LabelState:
		set = []string{"told", "untold"}
	case "error_type":
		set = append(set, "")
		for _, r := range callback.Reasons() {
			set = append(set, string(r))
		}
	default:
		return
	}
	for _, one := range strings.Split(value, "|") {
		if !slices.Contains(set, one) {
			t.Errorf("%s asks for %s %q, which does not exist", by, label, one)
		}
	}
}

// TestChoices: a panel that cannot be narrowed to the paged merchant misleads. Our
// own series are asked with every choice that they can follow.
func TestChoices(t *testing.T) {
	t.Parallel()
	sameForAll := map[string]bool{} // read from the one store: replicas do not differ
	for _, name := range []string{
		"wechatpay_callback_failures", "wechatpay_callback_last_seconds", "wechatpay_store_rows", "wechatpay_notification_outstanding",
		"wechatpay_notification_outstanding_amount", "wechatpay_notification_outstanding_age_seconds",
	} {
		sameForAll[name] = true
	}
	others := regexp.MustCompile(`^(up|alertmanager_|prometheus_|otelcol_)`) // not by merchant, and not of one environment
	known := vocabulary(t)
	for _, q := range shipped(t).questions() {
		if q.store == "loki" {
			for _, choice := range []string{environment + `=~"$environment"`, `service_instance_id=~"$instance"`, `wechatpay_merchant=~"$merchant"`} {
				if !strings.Contains(q.expr, choice) {
					t.Errorf("%s: its records do not follow %s", q.title, choice)
				}
			}
			continue
		}
		for _, s := range selectors(parsed(t, q.expr)) {
			name := s.names[0]
			if others.MatchString(name) {
				continue
			}
			has := map[string]string{}
			for _, m := range s.matchers {
				has[m.Name] = m.Value
			}
			want := []string{environment}
			if slices.Contains(known[name], "merchant") {
				want = append(want, "merchant")
			}
			if slices.Contains(known[name], "instance") && !sameForAll[name] {
				want = append(want, "instance")
			}
			for _, label := range want {
				choice := "$" + strings.TrimPrefix(strings.TrimSuffix(label, "_name"), "deployment_")
				if !strings.HasPrefix(has[label], choice) {
					t.Errorf("%s: %s does not follow %s", q.title, name, choice)
				}
			}
		}
	}
}

// TestEveryInstrumentIsUsed by a panel or a rule: what nobody looks at is a cost.
func TestEveryInstrumentIsUsed(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	for _, a := range watching(t) {
		for _, s := range selectors(parsed(t, a.expr)) {
			for _, name := range s.names {
				used[name] = true
			}
		}
	}
	for name := range vocabulary(t) {
		if strings.HasPrefix(name, "wechatpay_") && !used[name] && !strings.HasSuffix(name, "_sum") && !strings.HasSuffix(name, "_count") {
			t.Errorf("%s is used by no panel and no rule", name)
		}
	}
}

// TestForeignIsAsked: what is said of other programs' metrics is what is asked of
// them, and no list that only grows.
func TestForeignIsAsked(t *testing.T) {
	t.Parallel()
	used := map[string]map[string]bool{}
	for _, a := range everyExpression(t) {
		e := parsed(t, a.expr)
		var grouping []string
		each(e, func(g *parser.AggregateExpr) { grouping = append(grouping, g.Grouping...) })
		for _, s := range selectors(e) {
			for _, name := range s.names {
				if used[name] == nil {
					used[name] = map[string]bool{}
				}
				for _, label := range grouping {
					used[name][label] = true
				}
				for _, m := range s.matchers {
					used[name][m.Name] = true
				}
			}
		}
	}
	for name, labels := range foreign {
		if used[name] == nil {
			t.Errorf("nobody asks for %s", name)
			continue
		}
		for _, label := range labels {
			if !used[name][label] {
				t.Errorf("nobody asks %s for %s", name, label)
			}
		}
	}
}

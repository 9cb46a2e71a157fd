package gen

import (
	"fmt"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/loki"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// The stores, as variables of the dashboard: whoever imports it picks his own.
var (
	metrics = source("prometheus", "${prometheus}")
	records = source("loki", "${loki}")
)

func source(kind, uid string) dashboard.DataSourceRef {
	return dashboard.DataSourceRef{Type: &kind, Uid: &uid}
}

// Windows. A panel that mirrors an alert says the alert's own window instead.
const (
	rateInterval = "$__rate_interval"
	logInterval  = "$__auto"
)

// environment is the label that a resource attribute of the service becomes.
const environment = "deployment_environment_name"

// query is one question of a panel to a store.
type query struct {
	expr, legend string
	logs         bool   // asks Loki
	instant      bool   // the present value only
	table        bool   // as rows and columns
	heatmap      bool   // buckets
	exemplars    bool   // with links to traces
	step         string // for series that arrive less often than every 5 s
}

// ask is a question over the time on screen.
func ask(expr, legend string) query { return query{expr: expr, legend: legend} }

// now is a question about the present.
func now(expr, legend string) query { return query{expr: expr, legend: legend, instant: true} }

// rows is a question about the present whose answer is a table.
func rows(expr string) query { return query{expr: expr, instant: true, table: true} }

func (q query) build(ref string) cog.Builder[variants.Dataquery] {
	if q.logs {
		b := loki.NewDataqueryBuilder().RefId(ref).Datasource(records).Expr(q.expr).EditorMode(loki.QueryEditorModeCode).
			QueryType(string(loki.LokiQueryTypeRange))
		if q.legend != "" {
			return b.LegendFormat(q.legend)
		}
		return b.MaxLines(200).Direction(loki.LokiQueryDirectionBackward)
	}
	b := prometheus.NewDataqueryBuilder().RefId(ref).Datasource(metrics).Expr(q.expr).EditorMode(prometheus.QueryEditorModeCode).
		LegendFormat(q.legend).Exemplar(q.exemplars)
	switch {
	case q.table:
		b = b.Format(prometheus.PromQueryFormatTable)
	case q.heatmap:
		b = b.Format(prometheus.PromQueryFormatHeatmap)
	}
	if q.step != "" {
		b = b.Interval(q.step)
	}
	if q.instant {
		return b.Instant()
	}
	return b.Range()
}

// sameForAll are the instruments that are read from the store: every replica
// reports the same table. They are summed up by max, and which replica the
// reader chose does not matter.
var sameForAll = []string{
	telemetry.CallbackFailures, telemetry.CallbackLast, telemetry.StoreRows,
	telemetry.Outstanding, telemetry.OutstandingAmount, telemetry.OutstandingAge,
}

// series selects one of our instruments under its Prometheus name, narrowed to
// what the reader chose: environment, merchant and instance, where it has them.
func series(instrument string, matchers ...string) string {
	row := registered(instrument)
	return seriesOf(row.PrometheusNames()[0], row, matchers)
}

// histogram is series for a part of a histogram: bucket, sum or count.
func histogram(instrument, part string, matchers ...string) string {
	row := registered(instrument)
	names := row.PrometheusNames()
	return seriesOf(names[slices.IndexFunc(names, func(name string) bool { return strings.HasSuffix(name, "_"+part) })], row, matchers)
}

func seriesOf(name string, row telemetry.Instrument, matchers []string) string {
	all := append(slices.Clone(matchers), environment+`=~"$environment"`)
	if slices.Contains(row.Labels, telemetry.LabelMerchant) {
		all = append(all, telemetry.LabelMerchant+`=~"$merchant"`)
	}
	if !slices.Contains(sameForAll, row.Name) {
		all = append(all, `instance=~"$instance"`)
	}
	return name + "{" + strings.Join(all, ", ") + "}"
}

// process is our job's name: service.name, and service.namespace before it where
// one is set.
const process = `job=~"(.+/)?wxnotify"`

// ours selects a metric of a library in our process.
func ours(metric string, matchers ...string) string {
	all := append([]string{process}, matchers...)
	return metric + "{" + strings.Join(append(all, environment+`=~"$environment"`, `instance=~"$instance"`), ", ") + "}"
}

func registered(instrument string) telemetry.Instrument {
	for _, row := range telemetry.Instruments() {
		if row.Name == instrument {
			return row
		}
	}
	panic("no instrument " + instrument) // a generator's bug: it must not write half a dashboard
}

// label is what Prometheus calls an attribute, and Loki a field.
func label(attribute string) string { return strings.ReplaceAll(attribute, ".", "_") }

var (
	reason   = label(telemetry.LabelReason)
	paged    = fmt.Sprintf(`%s=~"%s|%s"`, telemetry.LabelClass, callback.Proven, callback.Unproven)
	failed   = fmt.Sprintf(`%s="%s"`, telemetry.LabelOutcome, callback.Failed)
	incident = strings.Join([]string{environment, telemetry.LabelMerchant, reason}, ", ")
)

// paging is the expression of the alert WechatPayCallbackFailed to the letter,
// narrowed to what the reader chose: the store's gauge, which is exact and
// outlives a crash, or the counter, which works while the store is down.
func paging() string {
	by := incident + ", " + telemetry.LabelClass
	return fmt.Sprintf(`max by (%s) (%s) > 0 or sum by (%s) (increase(%s[5m])) > 0`,
		by, series(telemetry.CallbackFailures, paged), by, series(telemetry.CallbackProcessed, failed, paged))
}

// owed is one of the gauges about outstanding notifications, once for each
// incident. OTLP knows no staleness: without last_over_time a process that is
// gone would answer for five minutes more.
func owed(instrument string) string {
	return fmt.Sprintf("max by (%s) (last_over_time(%s[1m]))", incident, series(instrument))
}

// handled selects the records of callbacks, narrowed to what the reader chose.
func handled(filters ...string) string {
	all := append([]string{
		environment + `=~"$environment"`, `service_instance_id=~"$instance"`, label(telemetry.FieldMerchant) + `=~"$merchant"`,
	}, filters...)
	return `{service_name="wxnotify"} |= "` + telemetry.EventHandled + `" | ` + strings.Join(all, " | ")
}

// logged asks Loki for lines, or with a legend for numbers.
func logged(expr, legend string) query { return query{expr: expr, legend: legend, logs: true} }

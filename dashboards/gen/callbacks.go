package gen

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"

	"wxnotify/service/telemetry"
)

// UID is the dashboard's address, /d/UID: alerts link to it.
const UID = "wxnotify-callbacks"

// band is a row of the dashboard below the first screen.
type band struct {
	id     uint32
	title  string
	folded bool
	panels []cog.Builder[dashboard.Panel]
}

// Callbacks is the dashboard for the person who was just paged: from "is it
// broken now" at the top to the Go runtime at the bottom.
func Callbacks() (dashboard.Dashboard, error) {
	b := dashboard.NewDashboardBuilder("WeChat Pay callbacks · 微信支付回调").
		Uid(UID).
		Description("For the person who was just paged. The first row answers: broken now? since when? who? what is missing? Everything below explains it. · 为刚收到告警的人而设：首行回答现状、起始时间、影响对象与未入账金额，以下逐层展开。").
		Tags([]string{"wxnotify", "wechat-pay"}).
		Timezone("Asia/Shanghai").
		Time("now-1h", "now").
		Refresh("10s").
		Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Readonly().
		Variables(variables()).
		Annotations(annotations()).
		Links(links())
	for _, p := range answers() {
		b = b.WithPanel(p)
	}
	height := uint32(8) // of the first row, which has no heading
	for i, of := range []band{
		{100, "Callbacks · 回调", false, rates()},
		{101, "Failures one by one · 失败明细", false, failures()},
		{102, "Notifications · 通知", false, notifications()},
		{103, "Keys and clock · 密钥与时钟", false, keys()},
		{104, "Store · 存储", false, store()},
		{105, "HTTP", false, httpDoor()},
		{106, "Is the telemetry itself alive? · 遥测自身是否正常", false, alive()},
		{107, "Go runtime · Go 运行时", true, runtime()},
	} {
		row := dashboard.NewRowBuilder(of.title).Id(of.id)
		if i == 0 {
			row = row.GridPos(dashboard.GridPos{Y: height, H: 1, W: 24})
		}
		if of.folded {
			for _, p := range of.panels {
				row = row.WithPanel(p)
			}
			b = b.WithRow(row)
			continue
		}
		b = b.WithRow(row)
		for _, p := range of.panels {
			b = b.WithPanel(p)
		}
	}
	return b.Build()
}

// JSON is the dashboard as Grafana reads it.
func JSON() ([]byte, error) {
	d, err := Callbacks()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(d)
	if err != nil {
		return nil, err
	}
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		return nil, err
	}
	label := annotationLabels()
	for _, a := range tree["annotations"].(map[string]any)["list"].([]any) {
		of := a.(map[string]any)
		for field, text := range label[of["name"].(string)] {
			of[field] = text
		}
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err = e.Encode(tree)
	return text.Bytes(), err
}

func variables() []cog.Builder[dashboard.VariableModel] {
	processed := registered(telemetry.CallbackProcessed).PrometheusNames()[0]
	return []cog.Builder[dashboard.VariableModel]{
		choice("environment", "Environment · 环境", "label_values("+processed+", "+environment+")", false),
		choice("merchant", "Merchant · 商户", "label_values("+processed+`{`+environment+`=~"$environment"}, merchant)`, true),
		choice("instance", "Instance · 实例", "label_values("+processed+`{`+environment+`=~"$environment"}, instance)`, true),
		stored("prometheus", "Metrics", "Prometheus", "wxnotify-prometheus"),
		stored("loki", "Logs", "Loki", "wxnotify-loki"),
		stored("jaeger", "Traces", "Jaeger", "wxnotify-jaeger"),
		dashboard.NewTextBoxVariableBuilder("runbooks").Label("Runbooks · 手册").Hide(dashboard.VariableHideHideVariable).
			Description("Where the runbooks are served: by Prometheus itself unless you moved them.").
			DefaultValue(text("http://localhost:9090/user")).Current(option("http://localhost:9090/user", "http://localhost:9090/user")),
	}
}

// choice is a variable whose values Prometheus knows. All is a pattern that also
// matches what has no such label at all.
func choice(name, label, from string, several bool) cog.Builder[dashboard.VariableModel] {
	return dashboard.NewQueryVariableBuilder(name).Label(label).Datasource(metrics).
		Query(text(from)).Definition(from).Refresh(dashboard.VariableRefreshOnTimeRangeChanged).
		Sort(dashboard.VariableSortAlphabeticalAsc).Multi(several).IncludeAll(true).AllValue(".*").
		Current(option("All", "$__all"))
}

// stored is a variable for a data source.
func stored(name, label, kind, uid string) cog.Builder[dashboard.VariableModel] {
	return dashboard.NewDatasourceVariableBuilder(name).Label(label).Type(strings.ToLower(kind)).
		Hide(dashboard.VariableHideHideVariable).Current(option(kind, uid))
}

func text(s string) dashboard.StringOrMap { return dashboard.StringOrMap{String: &s} }

func option(shown, value string) dashboard.VariableOption {
	return dashboard.VariableOption{
		Text: dashboard.StringOrArrayOfString{String: &shown}, Value: dashboard.StringOrArrayOfString{String: &value},
	}
}

// Names of the annotations.
const (
	firing = "Alerts firing · 告警"
	deploy = "Deployments · 发布"
)

func annotations() []cog.Builder[dashboard.AnnotationQuery] {
	mark := func(name, colour, expr string) cog.Builder[dashboard.AnnotationQuery] {
		return dashboard.NewAnnotationQueryBuilder().Name(name).Datasource(metrics).Enable(true).IconColor(colour).
			Target(prometheus.NewDataqueryBuilder().RefId("Anno").Expr(expr).Interval("60s").Range())
	}
	version := `count by (service_version) (target_info{` + process + `, ` + environment + `=~"$environment"})`
	return []cog.Builder[dashboard.AnnotationQuery]{
		mark(firing, act, `max by (alertname, severity, merchant, error_type) (ALERTS{alertname=~"WechatPay.*", alertstate="firing", `+
			environment+`=~"$environment|", merchant=~"$merchant|"})`),
		mark(deploy, blue, version+` unless (`+strings.Replace(version, `"})`, `"} offset 5m)`, 1)+`)`),
	}
}

// annotationLabels are the fields of the Prometheus data source's annotations,
// which the SDK's schema does not know.
func annotationLabels() map[string]map[string]string {
	return map[string]map[string]string{
		firing: {"titleFormat": "{{alertname}}", "textFormat": "{{severity}} {{merchant}} {{error_type}}", "tagKeys": "severity,merchant,error_type"},
		deploy: {"titleFormat": "wxnotify {{service_version}}", "textFormat": "a version that was not there 5 minutes before · 新版本上线"},
	}
}

func links() []cog.Builder[dashboard.DashboardLink] {
	to := func(title, tooltip, icon, address string) cog.Builder[dashboard.DashboardLink] {
		return dashboard.NewDashboardLinkBuilder(title).Type(dashboard.DashboardLinkTypeLink).
			Tooltip(tooltip).Icon(icon).Url(address).TargetBlank(true)
	}
	return []cog.Builder[dashboard.DashboardLink]{
		to("Runbooks · 处置手册", "What each alert means and how to make it stop", "doc", "${runbooks}/index.html"),
		to("处置手册（中文）", "每个告警的含义与处置", "doc", "${runbooks}/index.zh-CN.html"),
		to("Alerts · 告警", "What is firing, and who was told", "bolt", "/alerting/groups?alertmanager=Alertmanager"),
		to("Logs · 日志", "Every callback's record", "external link", explore("${loki}", "loki", `"expr":"{service_name=\"wxnotify\"} |= \"`+telemetry.EventHandled+`\""`)),
		to("Traces · 链路", "Every callback's spans", "external link", explore("${jaeger}", "jaeger", `"queryType":"search","service":"wxnotify"`)),
	}
}

// explore is the address of a query in Grafana's Explore. Only the query's own
// characters are escaped: Grafana fills in ${…} before it reads the address.
func explore(uid, kind, query string) string {
	// A day and a little: as long as WeChat Pay sends a notification again.
	panes := fmt.Sprintf(`{"a":{"datasource":"%s","queries":[{"refId":"A","datasource":{"type":"%s","uid":"%s"},%s}],"range":{"from":"now-25h","to":"now"}}}`, uid, kind, uid, query)
	kept := strings.NewReplacer("%24%7B", "${", "%7D%22", "}%22", "%7D%5C", "}%5C")
	return "/explore?schemaVersion=1&panes=" + kept.Replace(strings.ReplaceAll(url.QueryEscape(panes), "+", "%20"))
}

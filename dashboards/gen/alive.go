package gen

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// scraped is the step of what Prometheus fetches itself, every 15 s.
const scraped = "15s"

// alive asks whether the numbers above can be believed.
func alive() []cog.Builder[dashboard.Panel] {
	down, up := act, well
	downText, upText := "down · 停机", "up · 正常"
	states := dashboard.NewValueMap()
	states.Options = map[string]dashboard.ValueMappingResult{"0": {Text: &downText, Color: &down}, "1": {Text: &upText, Color: &up}}
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 61, width: 12, height: 6, title: "Service up · 服务存活", unit: "none", limits: above(act, limit{1, well}), empty: "not watched · 未监控", mood: watch,
			about: about{
				what:    "Whether Prometheus can reach the service's private port: the only number here that does not come from the service itself. The alert is WechatPayServiceDown.",
				normal:  "green throughout.",
				do:      "red: WeChat Pay gets no answer and sends again for 24 h. Start the service; its log says why it ended.",
				chinese: "Prometheus 能否访问服务的内部端口；变红表示服务停机，微信支付会在 24 小时内重发，请尽快启动服务并查看日志。",
			},
			queries: []query{{expr: `max by (instance) (up{job="wxnotify-up"})`, legend: `{{instance}}`, step: scraped}},
		}.states(dashboard.ValueMapping{ValueMap: states}),
		panel{
			id: 62, width: 12, height: 6, title: "Age of the telemetry · 遥测时延", unit: "s", decimals: 0, limits: above(plain, limit{30, act}, limit{60, act}), empty: "nothing in the last 5 minutes · 近 5 分钟无数据", tints: every(blue),
			about: about{
				what:    "Seconds since each process's metrics last reached Prometheus through the collector, and the age of the newest numbers that any process has from the database. The alert WechatPayTelemetryAbsent speaks when no metrics came for 60 s, or the database's numbers are older than 30 s.",
				normal:  "below 10 s; a line that climbs to 5 minutes and ends is a process that was stopped.",
				do:      "all processes climbing while the service is up: the collector or its way to Prometheus is broken; see below. Only the database climbing: see the row “Store”. Callbacks are answered all the same.",
				chinese: "各进程指标到达 Prometheus 的时延，以及数据库统计的时延；正常小于 10 秒，指标超过 60 秒或数据库统计超过 30 秒告警。服务存活而全部上升时请检查Collector；回调处理不受影响。",
			},
			queries: []query{
				ask(`time() - max by (instance) (timestamp(`+series(telemetry.TelemetryDropped)+`))`, `{{instance}}`),
				ask(`min(`+series(telemetry.SnapshotAge)+`)`, "database's numbers · 数据库统计"),
			},
		}.graph(),
		panel{
			id: 63, width: 8, height: 9, title: "Collector: queue and losses · Collector队列与丢弃", unit: "percentunit", decimals: 0, limits: above(plain, limit{0.8, watch}), empty: "not watched · 未监控",
			tints: append(named("not sent", amber, "refused", purple, "service", vermilion), tint{pattern: "/^queue/", colour: blue, shades: true}),
			about: about{
				what:    "How full the collector's queue to each store is (left), and what was lost in the last 10 minutes (right): items it could not send, items it did not take in, items that the service dropped before it. The alert is WechatPayCollectorDropping: a queue above 80 %, or any loss.",
				normal:  "queues near 0 %, no losses.",
				do:      "a queue that fills: its store is down or slow. The queues are on disk; what they hold arrives when the store is back.",
				chinese: "Collector到各存储的队列占用率（左轴），以及近 10 分钟发送失败、拒收与服务侧丢弃的条数（右轴）；队列超过 80% 或有丢弃即告警，存储恢复后会自动补发。",
			},
			queries: collector(),
			overrides: []override{
				{notSent, onTheRight()}, {refused, onTheRight()}, {droppedBefore, onTheRight()},
			},
		}.graph(),
		panel{
			id: 64, width: 8, height: 9, title: "Lost by the service · 服务丢弃的遥测", unit: "none", empty: "not reported · 未上报",
			tints: named("traces", blue, "logs", amber, "stderr", purple),
			about: about{
				what:    "Spans, records and stderr lines that the service dropped, because a queue was full or an export failed. Metrics are not lost that way: the next export carries the sum.",
				normal:  "0.",
				do:      "traces or logs: the collector was away for longer than the queues hold. stderr: whoever reads it is too slow. Callbacks are recorded in the database all the same.",
				chinese: "服务因队列满或导出失败而丢弃的链路、日志与标准错误行；正常为 0，回调本身仍完整记录在数据库。",
			},
			queries: []query{ask(`sum by (signal) (increase(`+series(telemetry.TelemetryDropped)+`[`+rateInterval+`]))`, `{{signal}}`)},
		}.bars(),
		panel{
			id: 65, width: 8, height: 9, title: "Does a page get out? · 告警能否送达", unit: "none", limits: above(plain, limit{1, watch}), empty: "not watched · 未监控",
			tints: named("email", vermilion, "webhook", amber, "rules", purple, "dropped", blue),
			about: about{
				what:    "Pages that Alertmanager could not deliver, by way; alerts that Prometheus could not hand to Alertmanager; rules that could not be evaluated. The alert WechatPayAlertmanagerFailing speaks of the webhook.",
				normal:  "0.",
				do:      "email: see Alertmanager's log; until it is mended, nobody is mailed. webhook: what it carries does not arrive. rules: see Prometheus, Status, Rules.",
				chinese: "Alertmanager 未送达的告警（按渠道）、Prometheus 未能转交的告警、执行失败的规则；正常为 0，出现时请立即检查对应组件日志。",
			},
			queries: []query{
				{expr: `sum by (integration) (increase(alertmanager_notifications_failed_total[` + rateInterval + `])) > 0`, legend: `{{integration}}`, step: scraped},
				{expr: `sum(increase(prometheus_notifications_dropped_total[` + rateInterval + `]))`, legend: "dropped by Prometheus", step: scraped},
				{expr: `sum(increase(prometheus_rule_evaluation_failures_total[` + rateInterval + `]))`, legend: "rules not evaluated", step: scraped},
			},
		}.bars(),
		panel{
			id: 66, width: 12, height: 8, title: "Incidents open · 未结事件", unit: "none", limits: above(plain, limit{1, act}), empty: "no pager · 未启用通知",
			tints: named("told", blue, "untold", vermilion),
			about: about{
				what:    "Open incidents of wxnotify's own pager: told, which means that a channel took the message, and untold, which means that no channel has taken it yet. The alert WechatPayPagerFailing speaks when untold ones are there for a minute; the red line is theirs alone.",
				normal:  "untold 0. Told ones end 15 minutes after their last failure.",
				do:      "untold for longer than a moment: nobody knows of these failures. Who failed: the rows above. Why nobody could be told: the panel beside this one, `wxnotify page-test`, and the service's log.",
				chinese: "内置通知模块的未结事件：told 为已有渠道送达，untold 为尚无任何渠道送达。untold 持续 1 分钟即告警，表示无人知晓故障；请看旁边的渠道发送情况，并执行 wxnotify page-test 排查。红线只针对 untold。",
			},
			queries: []query{
				ask(incidents("told"), "told · 已通知"),
				ask(incidents("untold"), "untold · 未通知"),
			},
		}.graph(),
		panel{
			id: 67, width: 12, height: 8, title: "Messages by channel · 通知发送", unit: "none", limits: above(plain, limit{1, watch}), empty: "no pager · 未启用通知",
			tints: []tint{{pattern: "/^taken/", colour: teal, shades: true}, {pattern: "/^failed/", colour: vermilion, shades: true}},
			about: about{
				what:    "Messages that the pager sent on each channel, taken by the other side or not; one message can tell of many incidents. The alert WechatPayPagerFailing speaks for 15 minutes after each that failed.",
				normal:  "failed 0. On a day without failures, the drill alone (pager.drill).",
				do:      "one channel fails: the others tell people meanwhile; the service's stderr says why it refuses. All fail: the panel beside this one counts who does not know.",
				chinese: "各渠道发送的通知条数：taken 为对方已接收，failed 为未接收，一条通知可包含多个事件。有失败即告警；单个渠道失败时其余渠道照常发送，原因见服务的标准错误输出。",
			},
			queries: []query{
				ask(messages(callback.Accepted), "taken {{channel}}"),
				ask(messages(callback.Failed), "failed {{channel}}"),
			},
		}.bars(),
	}
}

// incidents counts the pager's open incidents in a state. Replicas that share a
// store see the same ones. The window is the alert's: see owed.
func incidents(state string) string {
	return fmt.Sprintf("max(last_over_time(%s[1m]))", series(telemetry.PagerIncidents, fmt.Sprintf("%s=%q", telemetry.LabelState, state)))
}

// messages counts what became of the pager's messages, by channel.
func messages(outcome callback.Outcome) string {
	of := series(telemetry.PagerPages, fmt.Sprintf("%s=%q", telemetry.LabelOutcome, outcome))
	return fmt.Sprintf("sum by (%s) (increase(%s[%s]))", telemetry.LabelChannel, of, rateInterval)
}

// Names of the losses.
const (
	notSent       = "not sent · 发送失败"
	refused       = "refused · 拒收"
	droppedBefore = "service · 服务侧丢弃"
)

// onTheRight puts a series of counts on the right, with limits of its own.
func onTheRight() []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{
		property("unit", "none"), property("custom.axisPlacement", "right"), stepped(above(plain, limit{1, watch})),
	}
}

// collector asks the collector about itself. Its counters are born with their
// first loss, which rate and increase do not see: so, as in the alert, they are
// compared with what was ten minutes ago, or else with nothing.
func collector() []query {
	lost := func(what string) string {
		items := `{__name__=~"` + what + `_(spans|log_records|metric_points)"}`
		return `clamp_min(sum(` + items + `) - (sum(` + items + ` offset 10m) or 0 * sum(` + items + `)), 0) or 0 * max(otelcol_exporter_queue_capacity)`
	}
	return []query{
		{expr: `max by (exporter) (otelcol_exporter_queue_size / otelcol_exporter_queue_capacity)`, legend: `queue {{exporter}}`, step: scraped},
		{expr: lost("otelcol_exporter_(enqueue|send)_failed"), legend: notSent, step: scraped},
		{expr: lost("otelcol_receiver_refused"), legend: refused, step: scraped},
		{expr: `sum(increase(` + series(telemetry.TelemetryDropped) + `[10m]))`, legend: droppedBefore},
	}
}

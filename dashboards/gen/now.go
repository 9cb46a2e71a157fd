package gen

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/service/telemetry"
)

// place is a fixed spot of the first row; the other rows flow.
func place(x, y, w, h uint32) *dashboard.GridPos { return &dashboard.GridPos{X: x, Y: y, W: w, H: h} }

// answers is the first row: what the person just paged asks, on one screen and,
// on a phone, in this order.
func answers() []cog.Builder[dashboard.Panel] {
	open := above(well, limit{1, act})
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 1, at: place(0, 0, 5, 4), title: "Broken now? · 现在有故障吗", unit: "none", limits: open,
			empty: "unknown 未知", mood: watch,
			about: about{
				what:    "Failed callbacks of the last 5 minutes, proven and unproven, as the alert WechatPayCallbackFailed counts them. WeChat Pay's own signature probes and strangers' junk are not among them.",
				normal:  "0. One is enough to be paged.",
				do:      "read “Who?” beside it and open the runbook of that reason. “unknown” means that no numbers arrive: see “Service up” and “Age of the telemetry” below.",
				chinese: "最近 5 分钟失败的回调数（proven 与 unproven），与告警表达式一致；正常为 0，只要有 1 笔就会告警。显示“未知”表示遥测数据没有到达。",
			},
			// Zero when nothing fails, but absent when nothing is heard.
			queries: []query{now(`sum(floor(`+paging()+`)) or 0 * sum(`+series(telemetry.CallbackProcessed)+`)`, "failures")},
		}.number(),
		panel{
			id: 2, at: place(5, 0, 5, 4), title: "Since when? · 从何时开始", unit: "dateTimeFromNow", limits: above(act),
			empty: "none 无", mood: plain,
			about: about{
				what:    "When the oldest incident that is still open began: the start of a firing alert about failed callbacks, or the arrival of the oldest notification that is still outstanding.",
				normal:  "none. An alert stays open for 15 minutes after the last failure.",
				do:      "look at what changed just before: a deployment (blue marks on the graphs), a key, a proxy, the database.",
				chinese: "尚未恢复的最早一起故障的开始时间；告警在最后一次失败 15 分钟后才关闭。请核对该时刻前后的变更：发布、密钥、代理、数据库。",
			},
			queries: []query{now(`1000 * min(ALERTS_FOR_STATE{alertname=~"WechatPayCallbackFailed|WechatPayNotificationOutstanding", `+
				environment+`=~"$environment", merchant=~"$merchant"} or time() - (`+owed(telemetry.OutstandingAge)+` > 0))`, "since")},
		}.number(),
		panel{
			id: 3, at: place(10, 0, 8, 8), title: "Who? · 影响谁", unit: "none", limits: open,
			empty: "nobody seen · 无",
			about: about{
				what:    "Merchant and reason of each failure of the last 5 minutes, the most frequent first. The reason links to its section of the runbook, the merchant narrows the dashboard to itself.",
				normal:  "empty.",
				do:      "open the reason's runbook. One merchant: his keys or configuration. All merchants at once: the database, the deployment, a proxy in front.",
				chinese: "最近 5 分钟失败的商户与原因；点击原因打开处置手册，点击商户只看该商户。单个商户多为密钥或配置问题，所有商户同时失败多为数据库、发布或代理问题。",
			},
			queries: []query{rows(`sort_desc(floor(` + paging() + `))`)},
		}.grid(
			nil,
			column{"merchant", "who · 商户", 95, []dashboard.DynamicConfigValue{leads(onlyMerchant)}},
			column{reason, "reason · 原因", 0, []dashboard.DynamicConfigValue{leads(runbookOfReason, runbookInChinese)}},
			column{"class", "class 类别", 88, worded()},
			column{"Value", "failed 失败", 90, counted("none", painted())},
		),
		panel{
			id: 6, at: place(18, 0, 6, 4), title: "Last callback · 最近一次回调", unit: "s", limits: above(plain, limit{30 * 60, watch}),
			empty: "none yet 尚无", mood: watch,
			about: about{
				what:    "Time since the latest callback of any kind reached us.",
				normal:  "as long as your customers pause between payments. Orange after half an hour; the alert WechatPayCallbackSilence speaks only when yesterday and a week ago were busy at this time.",
				do:      "when it is far longer than usual: is notify_url reachable from the internet (DNS, TLS certificate, firewall, proxy)? Then compare with the merchant platform's own list of orders.",
				chinese: "距最近一次收到回调的时间；若明显长于平时，请检查 notify_url 能否从公网访问（DNS、证书、防火墙、代理），并与商户平台订单核对。",
			},
			queries: []query{now(`time() - max(`+series(telemetry.CallbackLast)+`)`, "ago")},
		}.number(),
		panel{
			id: 4, at: place(0, 4, 5, 4), title: "Outstanding · 未入账", unit: "none", limits: open,
			empty: "unknown 未知", mood: watch,
			about: about{
				what:    "Notifications that are proven, have failed, and have not been accepted since: customers have paid and the merchant's system does not know it.",
				normal:  "0.",
				do:      "make the reason stop; WeChat Pay sends again on its own for 24 hours. Red does not end with the failures but when the money is booked: by a later arrival, or by `wxnotify resolve`.",
				chinese: "已验证、处理失败且至今未成功的通知：用户已付款而商户系统尚不知情。排除原因后微信支付会在 24 小时内自动重发；也可用 wxnotify resolve 处理。正常为 0。",
			},
			queries: []query{
				now(`sum(`+owed(telemetry.Outstanding)+`)`, "notifications · 笔数"),
				now(`max(`+owed(telemetry.OutstandingAge)+`)`, "oldest · 最久"),
			},
			overrides: []override{{"oldest · 最久", []dashboard.DynamicConfigValue{property("unit", "s"), stepped(above(plain, limit{60, act}))}}},
		}.number(),
		panel{
			id: 5, at: place(5, 4, 5, 4), title: "Money outstanding · 未入账金额", unit: "prefix:¥", decimals: 2, limits: above(plain, limit{0.01, act}),
			empty: "unknown 未知", mood: watch,
			about: about{
				what:    "The sum of the outstanding notifications. The service counts in the currency's minor unit; shown here divided by 100, which is right for merchants paid in CNY (分 → 元) and wrong for a currency without cents. A notification that could not be read (malformed, unclassified) has no amount that we know, and counts as 0.",
				normal:  "¥0.00.",
				do:      "see the table “Outstanding by merchant and reason” for whose money it is.",
				chinese: "未入账通知的金额合计，以分为单位统计、除以 100 显示为元；仅适用于人民币商户；无法解析的通知金额未知，按 0 计。正常为 0，明细见下方未入账表。",
			},
			queries: []query{now(`sum(`+owed(telemetry.OutstandingAmount)+`) / 100`, "amount")},
		}.number(),
		panel{
			id: 7, at: place(18, 4, 6, 4), title: "p95 against WeChat's 5 s · P95 耗时", unit: "s", decimals: 1,
			limits: above(well, limit{ownDeadline, watch}, limit{wechatLimit, act}),
			empty:  "no callbacks 无回调",
			about: about{
				what:    "Nineteen of twenty callbacks were answered within this time during the last 5 minutes. WeChat Pay counts an answer after 5 s as none.",
				normal:  "tens of milliseconds. The service gives up by itself after 2.5 s, so that WeChat Pay gets an honest failure.",
				do:      "orange or red: look at “Time by stage” and at the database's durations.",
				chinese: "95% 的回调在此时间内完成应答；微信支付要求 5 秒内应答，本服务 2.5 秒即主动失败。变橙或变红时请查看各阶段耗时与数据库耗时。",
			},
			queries: []query{now(`histogram_quantile(0.95, sum by (le) (rate(`+histogram(telemetry.CallbackDuration, "bucket")+`[5m])))`, "p95")},
		}.number(),
	}
}

// Seconds within which an answer counts: WeChat Pay's, and the service's own deadline.
const (
	wechatLimit = 5.0
	ownDeadline = 2.5
)

// Where a value leads.
var (
	onlyMerchant     = link{"Only this merchant · 只看该商户", "/d/" + UID + "?var-merchant=${__value.raw:percentencode}&${environment:queryparam}&${__url_time_range}"}
	runbookOfReason  = link{"Runbook · 处置手册", "${runbooks}/WechatPayCallbackFailed.html#${__value.raw}"}
	runbookInChinese = link{"处置手册（中文）", "${runbooks}/WechatPayCallbackFailed.zh-CN.html#${__value.raw}"}
)

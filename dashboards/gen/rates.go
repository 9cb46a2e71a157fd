package gen

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// rates is rate, errors and duration, by outcome.
func rates() []cog.Builder[dashboard.Panel] {
	notFailed := `outcome!="` + string(callback.Failed) + `"`
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 10, width: 12, height: 11, title: "Failures by reason, 5 min · 近 5 分钟失败原因", unit: "none",
			limits: above(plain, limit{1, act}), empty: "no failure seen · 未见失败", tints: classes(true),
			about: about{
				what:    "The expression of the alert WechatPayCallbackFailed, to the letter: a line is a page. It ends 5 minutes after the last failure, the page 15 minutes later.",
				normal:  "empty.",
				do:      "the name of the line is class, reason and merchant; its runbook is linked from “Who?” above. Counts are the store's and exact; while the store is down, they are the counters' and approximate.",
				chinese: "与告警 WechatPayCallbackFailed 的表达式完全一致：出现一条线即一次告警；正常为空。线名为类别、原因与商户。",
			},
			queries: []query{ask(paging(), `{{class}} · {{error_type}} · {{merchant}}`)},
		}.graph().LineInterpolation(common.LineInterpolationStepAfter),
		panel{
			id: 11, width: 12, height: 11, title: "Callbacks by outcome · 回调结果", unit: "cps", decimals: 2,
			empty: "no callbacks · 无回调", tints: classes(false),
			about: about{
				what:    "Callbacks a second: accepted, duplicates, and failures by class. The alert WechatPayAllRefused watches this: failures, and nothing accepted.",
				normal:  "accepted follows your sales; some duplicates; a probe now and then. proven and unproven are zero.",
				do:      "proven or unproven instead of accepted: every callback fails, which is most often a key or a proxy changed for all.",
				chinese: "每秒回调数：成功、重复、按类别的失败。正常以成功为主，偶有重复与探测流量；若只有失败而没有成功，多半是密钥或代理整体变更。",
			},
			queries: []query{
				ask(`sum by (outcome) (rate(`+series(telemetry.CallbackProcessed, notFailed)+`[`+rateInterval+`]))`, `{{outcome}}`),
				ask(`sum by (class) (rate(`+series(telemetry.CallbackProcessed, failed)+`[`+rateInterval+`]))`, `{{class}}`),
			},
		}.bars(),
		panel{
			id: 12, width: 8, height: 10, title: "Failure ratio · 失败率与错误预算", unit: "percentunit", decimals: 2,
			limits: above(plain, limit{0.001, watch}, limit{0.003, watch}, limit{0.006, act}, limit{0.0144, act}), empty: "no callbacks · 无回调",
			tints: named("5 min", grey, "30 min", purple, "1 h", vermilion, "2 h", purple, "6 h", amber, "1 d", blue, "3 d", teal),
			about: about{
				what:    "The share of WeChat Pay's callbacks that failed, over seven windows, as the rules of WechatPayErrorBudgetBurn record it; all merchants together. 0.1 % over 30 days is the objective; the lines are 1, 3, 6 and 14.4 times that.",
				normal:  "below 0.1 %. With little traffic one failure lifts the short windows; the alert wants a short and a long one above its line, and ten failures.",
				do:      "red lines crossed by 1 h or 6 h: this is a trend, not one bad message. Find the reason with the largest share in the table of failures.",
				chinese: "微信支付回调失败比例（七个时间窗口，全部商户合计）；目标为 30 天内不超过 0.1%，虚线为目标的 1、3、6、14.4 倍。长短窗口同时超线才说明是趋势。",
			},
			queries: ratios(),
		}.graph(),
		panel{
			id: 13, width: 8, height: 10, title: "Duration by outcome, p95 · 各结果的 P95 耗时", unit: "s", decimals: 1,
			limits: above(plain, limit{ownDeadline, watch}, limit{wechatLimit, act}), empty: "no callbacks · 无回调",
			tints: append(classes(false), tint{pattern: "/^" + string(callback.Failed) + "/", colour: vermilion}),
			about: about{
				what:    "From the request's headers to the decision on the answer, 95th percentile. The dots are single callbacks with their traces: click one.",
				normal:  "tens of milliseconds for all three. Lines at 2.5 s (the service gives up) and 5 s (WeChat Pay gives up).",
				do:      "open the trace of a slow dot: its longest span says whether reading, opening or recording was slow.",
				chinese: "从收到请求头到决定应答的 P95 耗时；圆点是单笔回调，点击可打开其链路。虚线为本服务 2.5 秒与微信支付 5 秒的限制。",
			},
			queries: []query{{
				expr:   `histogram_quantile(0.95, sum by (le, outcome) (rate(` + histogram(telemetry.CallbackDuration, "bucket") + `[` + rateInterval + `])))`,
				legend: `{{outcome}}`, exemplars: true,
			}},
		}.graph(),
		panel{
			id: 15, width: 8, height: 10, title: "All durations · 耗时分布", unit: "s", decimals: 1, empty: "no callbacks · 无回调",
			about: about{
				what:    "How many callbacks took how long. A second band means that something is slow for some of them only.",
				normal:  "one dark band below 100 ms.",
				do:      "for a band near 2.5 s look at the database; its own durations are in the row “Store”.",
				chinese: "回调耗时分布热力图；正常只有 100 毫秒以下一条深色带，出现第二条带说明部分请求变慢，请查看存储一节。",
			},
			queries: []query{{
				expr:   `sum by (le) (increase(` + histogram(telemetry.CallbackDuration, "bucket") + `[` + rateInterval + `]))`,
				legend: `{{le}}`, heatmap: true, exemplars: true,
			}},
		}.buckets(),
		panel{
			id: 16, width: 12, height: 8, title: "Time by stage, p95 · 各阶段 P95 耗时", unit: "s", decimals: 1,
			limits: above(plain, limit{ownDeadline, watch}), empty: "no callbacks · 无回调",
			tints: named("read", grey, "open", blue, "record", teal),
			about: about{
				what:    "The three stages of a callback: read (the body from the network), open (signature and decryption), record (one database transaction).",
				normal:  "open about a millisecond, record as long as a commit takes.",
				do:      "read slow: network or proxy. open slow: no processor time left. record slow: database or disk.",
				chinese: "读取、验签解密、落库三个阶段的 P95 耗时；读取慢查网络与代理，验签慢查 CPU，落库慢查数据库与磁盘。",
			},
			queries: []query{ask(`histogram_quantile(0.95, sum by (le, stage) (rate(`+histogram(telemetry.StageDuration, "bucket")+`[`+rateInterval+`])))`, `{{stage}}`)},
		}.graph(),
		panel{
			id: 17, width: 12, height: 8, title: "Probes and noise · 探测流量与噪声", unit: "none", empty: "none · 无", tints: classes(true),
			about: about{
				what:    "Requests that page nobody: WeChat Pay's deliberate bad signatures (probe), and strangers' junk (noise).",
				normal:  "a probe now and then, refused, with the real callback close behind; noise as on any public address.",
				do:      "nothing. Probes that are accepted would be an alarm, and cannot be. A flood of noise belongs into the firewall.",
				chinese: "不会告警的请求：微信支付的签名探测与外部噪声。偶有探测属正常，拒绝即可；噪声大量出现时请在防火墙处理。",
			},
			queries: []query{ask(`sum by (class, error_type) (increase(`+series(telemetry.CallbackProcessed, failed, `class=~"`+string(callback.Probe)+`|`+string(callback.Noise)+`"`)+`[`+rateInterval+`]))`, `{{class}} · {{error_type}}`)},
		}.bars(),
	}
}

// ratios asks for what the rules record, once for each window of the alert.
func ratios() []query {
	var all []query
	for _, of := range [][2]string{{"5m", "5 min"}, {"30m", "30 min"}, {"1h", "1 h"}, {"2h", "2 h"}, {"6h", "6 h"}, {"1d", "1 d"}, {"3d", "3 d"}} {
		expr := `max(environment:wechatpay_callback_proven_failed:ratio_rate` + of[0] + `{` + environment + `=~"$environment"})`
		all = append(all, query{expr: expr, legend: of[1], step: "30s"})
	}
	return all
}

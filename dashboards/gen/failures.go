package gen

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// failures is one by one: which payment, and why.
func failures() []cog.Builder[dashboard.Panel] {
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 14, width: 24, height: 10, title: "Failed callbacks · 失败明细",
			empty: "no failed callback in this time · 该时段没有失败回调",
			about: about{
				what:    "One line for each failed callback that pages, from the logs, the latest first (at most 200).",
				normal:  "empty.",
				do:      "the reason opens its runbook, the trace its spans, an order number every record about that order. The same 商户订单号 may come again with a higher arrival: that is WeChat Pay's re-send.",
				chinese: "每笔需告警的失败回调（来自日志，最多 200 行）：点击原因打开处置手册，点击链路查看各步骤，点击订单号查看该订单的全部记录；“第几次”变大表示微信支付在重发。",
			},
			queries: []query{logged(handled(
				label(telemetry.FieldStatus)+`="`+string(callback.Failed)+`"`,
				label(telemetry.FieldClass)+`=~"`+string(callback.Proven)+`|`+string(callback.Unproven)+`"`,
			), "")},
		}.grid(
			unfolded(),
			column{"Time", "time · 时间", 165, nil},
			column{label(telemetry.FieldMerchant), "merchant · 商户", 130, []dashboard.DynamicConfigValue{leads(onlyMerchant)}},
			column{label(telemetry.FieldClass), "class · 类别", 100, worded()},
			column{label(telemetry.FieldReason), "reason · 原因", 160, []dashboard.DynamicConfigValue{leads(runbookOfReason, runbookInChinese)}},
			column{label(telemetry.FieldOutTradeNo), "商户订单号 out_trade_no", 230, []dashboard.DynamicConfigValue{leads(recordsWith(telemetry.FieldOutTradeNo))}},
			column{label(telemetry.FieldTransactionID), "微信支付订单号 transaction_id", 255, []dashboard.DynamicConfigValue{leads(recordsWith(telemetry.FieldTransactionID))}},
			column{label(telemetry.FieldArrival), "sent · 第几次", 100, nil},
			column{label(telemetry.FieldHTTPStatus), "HTTP", 65, nil},
			column{label(telemetry.FieldDetail), "why · 说明", 0, []dashboard.DynamicConfigValue{property("custom.inspect", true)}},
			column{"trace_id", "trace · 链路", 105, []dashboard.DynamicConfigValue{leads(trace)}},
		),
		panel{
			id: 18, width: 24, height: 7, title: "Outstanding by merchant and reason · 未入账明细", unit: "none",
			limits: above(well, limit{1, act}), empty: "nothing outstanding · 无未入账", mood: well,
			about: about{
				what:    "Whose money is missing, why, how much, and for how long. The reason is that of the latest failed arrival.",
				normal:  "empty.",
				do:      "make the reason stop and wait for WeChat Pay's next re-send (within 6 h, for 24 h); older than that, WeChat Pay will not send again: query the order and use `wxnotify resolve`.",
				chinese: "未入账的商户、原因、笔数、金额与最久时长；排除原因后等待微信支付重发（间隔最长 6 小时，共 24 小时），超过后微信支付不再重发，需主动查单并用 wxnotify resolve 处理。",
			},
			queries: []query{
				rows(owed(telemetry.Outstanding) + ` > 0`),
				rows(owed(telemetry.OutstandingAmount) + ` / 100 and ` + owed(telemetry.Outstanding) + ` > 0`),
				rows(owed(telemetry.OutstandingAge) + ` and ` + owed(telemetry.Outstanding) + ` > 0`),
			},
		}.grid(
			merged(),
			column{"merchant", "merchant · 商户", 0, []dashboard.DynamicConfigValue{leads(onlyMerchant)}},
			column{reason, "reason · 原因", 0, []dashboard.DynamicConfigValue{leads(runbookOfReason, runbookInChinese)}},
			column{"Value #A", "notifications · 笔数", 0, counted("none", painted())},
			column{"Value #B", "amount · 金额", 0, []dashboard.DynamicConfigValue{property("unit", "prefix:¥"), property("decimals", 2)}},
			column{"Value #C", "oldest · 最久", 0, counted("s")},
		),
	}
}

// trace opens the spans of a value that is a trace id.
var trace = link{"Open the trace · 打开链路", explore("${jaeger}", "jaeger", `"query":"${__value.raw}"`)}

// recordsWith opens every record that has the same value in a field.
func recordsWith(field string) link {
	return link{
		"All records with it · 全部相关记录",
		explore("${loki}", "loki", `"expr":"{service_name=\"wxnotify\"} | `+label(field)+`=\"${__value.raw}\""`),
	}
}

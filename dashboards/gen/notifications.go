package gen

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// notifications is what WeChat Pay told us, how often, and what came again.
func notifications() []cog.Builder[dashboard.Panel] {
	arrival := label(telemetry.FieldArrival)
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 21, width: 8, height: 9, title: "Arrivals by event type · 按事件类型的通知", unit: "none", empty: "no notification · 无通知", tints: every(teal),
			about: about{
				what:    "Verified arrivals by event type, re-sends included.",
				normal:  "TRANSACTION.SUCCESS follows sales; refunds and others are few.",
				do:      "a type that is missing altogether: has its notify_url been changed on the merchant platform? `_OTHER` is a type that this version does not know: it is kept and handed on as it is.",
				chinese: "验签通过的通知数（含重发），按事件类型；某类型突然消失时请检查该产品的 notify_url，_OTHER 为本版本未知的类型。",
			},
			queries: []query{ask(`sum by (event_type) (increase(`+series(telemetry.NotificationReceived)+`[`+rateInterval+`]))`, `{{event_type}}`)},
		}.bars(),
		panel{
			id: 22, width: 8, height: 9, title: "Arrivals per notification · 每条通知的送达次数", unit: "none", empty: "no record · 无记录",
			tints: classesOfStatus(),
			about: about{
				what:    "The highest arrival number seen, by result: 1 is a first sending, 2 and more a re-send by WeChat Pay (at most 16 in 24 h).",
				normal:  "1, with 2 now and then when the network lost an answer.",
				do:      "failed and rising: the same notifications fail again and again; see the table below. duplicate and rising: our answers do not reach WeChat Pay in time; look at the durations and the proxy.",
				chinese: "各结果中最大的送达次数：1 为首次，2 及以上为微信支付重发（24 小时内最多 16 次）；failed 上升说明同一通知反复失败，duplicate 上升说明应答未及时到达微信支付。",
			},
			queries: []query{logged(`max by (`+label(telemetry.FieldStatus)+`) (max_over_time(`+handled(arrival+` != ""`)+` | unwrap `+arrival+` [`+logInterval+`]))`, `{{`+label(telemetry.FieldStatus)+`}}`)},
		}.graph(),
		panel{
			id: 24, width: 8, height: 9, title: "Duplicates by merchant · 重复通知", unit: "none", empty: "no duplicate · 无重复", tints: every(blue),
			about: about{
				what:    "Copies of notifications that were accepted before. They are acknowledged and change nothing.",
				normal:  "a few in a hundred.",
				do:      "more: WeChat Pay does not get our answers within 5 s, or two URLs are registered for one merchant.",
				chinese: "已入账通知的重复送达，会应答成功且不产生影响；占比明显升高说明应答未在 5 秒内到达微信支付，或同一商户配置了多个回调地址。",
			},
			queries: []query{ask(`sum by (merchant) (increase(`+series(telemetry.CallbackProcessed, `outcome="`+string(callback.Duplicate)+`"`)+`[`+rateInterval+`]))`, `{{merchant}}`)},
		}.bars(),
		panel{
			id: 23, width: 24, height: 8, title: "Sent three times or more · 多次重发的通知", unit: "none",
			empty: "no notification came a third time · 没有第三次送达的通知",
			about: about{
				what:    "Arrivals with number 3 and above, the latest first (at most 200).",
				normal:  "empty.",
				do:      "failed: the reason's runbook. accepted: the money is booked now, late. duplicate: an answer of ours was lost on its way.",
				chinese: "第三次及以后的送达记录；failed 请按原因处置，accepted 表示已补入账，duplicate 表示之前的应答在途中丢失。",
			},
			queries: []query{logged(handled(arrival+` >= 3`), "")},
		}.grid(
			unfolded(),
			column{"Time", "time · 时间", 170, nil},
			column{label(telemetry.FieldMerchant), "merchant · 商户", 140, []dashboard.DynamicConfigValue{leads(onlyMerchant)}},
			column{label(telemetry.FieldNotificationID), "notification · 通知ID", 0, []dashboard.DynamicConfigValue{leads(recordsWith(telemetry.FieldNotificationID))}},
			column{label(telemetry.FieldEventType), "event · 事件类型", 190, nil},
			column{label(telemetry.FieldOutTradeNo), "商户订单号 out_trade_no", 250, []dashboard.DynamicConfigValue{leads(recordsWith(telemetry.FieldOutTradeNo))}},
			column{arrival, "sent · 第几次", 100, nil},
			column{label(telemetry.FieldStatus), "result · 结果", 100, worded()},
			column{label(telemetry.FieldReason), "reason · 原因", 160, []dashboard.DynamicConfigValue{leads(runbookOfReason, runbookInChinese)}},
			column{"trace_id", "trace · 链路", 110, []dashboard.DynamicConfigValue{leads(trace)}},
		),
	}
}

// classesOfStatus colours the three results.
func classesOfStatus() []tint {
	return named(string(callback.Accepted), teal, string(callback.Duplicate), blue, string(callback.Failed), vermilion)
}

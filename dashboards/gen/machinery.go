package gen

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// httpDoor is the public door as HTTP sees it.
func httpDoor() []cog.Builder[dashboard.Panel] {
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 71, width: 8, height: 8, title: "Requests by answer · 应答状态码", unit: "reqps", decimals: 2, empty: "no request · 无请求",
			tints: append(named("204", teal, "200", teal, "4", grey), tint{pattern: "/^5/", colour: vermilion, shades: true}),
			about: about{
				what:    "Answers to WeChat Pay by status code: 204 (v3) and 200 (v2) say received, everything else makes WeChat Pay send again. The 503 to what is shed at the door is counted with the failures (overloaded), not here.",
				normal:  "204 and 200; some 401 for probes.",
				do:      "5xx: our own fault, see the failures above. Many 404: a wrong notify_url.",
				chinese: "按状态码的应答数：204（v3）与 200（v2）为接收成功，其余会触发微信支付重发；5xx 为我方故障，大量 404 多为 notify_url 配置错误。过载时在入口直接拒绝的 503 不在此图，计入失败原因 overloaded。",
			},
			queries: []query{ask(`sum by (http_response_status_code) (rate(`+ours(`http_server_request_duration_seconds_count`)+`[`+rateInterval+`]))`, `{{http_response_status_code}}`)},
		}.bars(),
		panel{
			id: 72, width: 8, height: 8, title: "Time to the last byte, p95 · 请求 P95 耗时", unit: "s", decimals: 1,
			limits: above(plain, limit{ownDeadline, watch}, limit{wechatLimit, act}), empty: "no request · 无请求", tints: every(blue),
			about: about{
				what:    "Whole HTTP requests by route, 95th percentile, sending the answer included.",
				normal:  "as the durations above, a little more.",
				do:      "far above them: slow senders, or a proxy that buffers.",
				chinese: "按路由的完整 HTTP 请求 P95 耗时；明显高于上方处理耗时说明网络或代理缓慢。",
			},
			queries: []query{ask(`histogram_quantile(0.95, sum by (le, http_route) (rate(`+ours(`http_server_request_duration_seconds_bucket`)+`[`+rateInterval+`])))`, `{{http_route}}`)},
		}.graph(),
		panel{
			id: 73, width: 8, height: 8, title: "Body sizes, p95 · 请求体与应答体大小", unit: "bytes", empty: "no request · 无请求", tints: named("request", blue, "answer", teal),
			about: about{
				what:    "Sizes of request and answer bodies, 95th percentile.",
				normal:  "requests of one or two KiB, answers of next to nothing.",
				do:      "requests of hundreds of KiB are not callbacks: see “Probes and noise”.",
				chinese: "请求体与应答体的 P95 大小；正常请求为 1 至 2 KiB，数百 KiB 的不是微信支付回调。",
			},
			queries: []query{
				ask(`histogram_quantile(0.95, sum by (le) (rate(`+ours(`http_server_request_body_size_bytes_bucket`)+`[`+rateInterval+`])))`, "request · 请求"),
				ask(`histogram_quantile(0.95, sum by (le) (rate(`+ours(`http_server_response_body_size_bytes_bucket`)+`[`+rateInterval+`])))`, "answer · 应答"),
			},
		}.graph(),
	}
}

// runtime is the Go runtime, for the day when none of the above explains it.
func runtime() []cog.Builder[dashboard.Panel] {
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 81, width: 8, height: 8, title: "Memory · 内存", unit: "bytes", empty: "not reported · 未上报", tints: every(blue),
			about: about{
				what:    "Memory that the Go runtime holds, by use, and the size at which it collects garbage next.",
				normal:  "tens of MiB, a saw tooth.",
				do:      "a staircase that never comes down is a leak: take a heap profile and tell us.",
				chinese: "Go 运行时内存；锯齿状属正常，只升不降说明泄漏，请抓取堆剖析并反馈。",
			},
			queries: []query{
				ask(`sum by (instance, go_memory_type) (`+ours(`go_memory_used_bytes`)+`)`, `used {{go_memory_type}} · {{instance}}`),
				ask(`sum by (instance) (`+ours(`go_memory_gc_goal_bytes`)+`)`, `next collection · {{instance}}`),
			},
		}.graph(),
		panel{
			id: 82, width: 8, height: 8, title: "Goroutines · 协程数", unit: "none", empty: "not reported · 未上报", tints: every(teal),
			about: about{
				what:    "Goroutines, and the processors the program may use.",
				normal:  "tens, and two more for each open connection.",
				do:      "thousands: connections that say nothing, or a store that hangs.",
				chinese: "协程数与可用处理器数；上千说明有大量空闲连接或存储卡住。",
			},
			queries: []query{
				ask(`sum by (instance) (`+ours(`go_goroutine_count`)+`)`, `goroutines · {{instance}}`),
				ask(`max by (instance) (`+ours(`go_processor_limit`)+`)`, `processors · {{instance}}`),
			},
		}.graph(),
		panel{
			id: 83, width: 8, height: 8, title: "Allocation · 内存分配", unit: "Bps", empty: "not reported · 未上报", tints: every(purple),
			about: about{
				what:    "Bytes that the program asks of the runtime each second.",
				normal:  "follows traffic.",
				do:      "high without traffic: take a profile.",
				chinese: "每秒分配的字节数，随流量变化；无流量时偏高请抓取剖析。",
			},
			queries: []query{ask(`sum by (instance) (rate(`+ours(`go_memory_allocated_bytes_total`)+`[`+rateInterval+`]))`, `{{instance}}`)},
		}.graph(),
	}
}

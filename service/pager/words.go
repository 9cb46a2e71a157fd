package pager

import (
	"fmt"
	"time"

	"wxnotify/service/callback"
)

// words is everything a message says, in one language. The zone is China's in
// both: it is where the merchant's day is.
type words struct {
	occasion map[Occasion]string
	severity func(critical bool) string

	failed, outstanding, orderConflict, drill string // headlines
	more                                      string // %d further incidents, %d failures

	what, merchant, count, span, amount, orders, sources, retry, left, unbooked, links string
	dashboard, runbook, trace                                                          string

	everybody, none, andMore string
	next                     func(at string, left int) string
	noMore                   string
	overFailed, overAlert    string
	drillText                string
	reason                   func(callback.Reason) string
}

// china is the merchant's time, also on a host without a zone database.
var china = time.FixedZone("UTC+8", 8*60*60)

func at(t time.Time) string { return t.In(china).Format("2006-01-02 15:04:05") }

var english = words{
	occasion: map[Occasion]string{Opened: "", Again: "still ", Over: "over: ", Drill: ""},
	severity: func(critical bool) string {
		if critical {
			return "CRITICAL"
		}
		return "warning"
	},
	failed: "%s callbacks failed", outstanding: "%s payments not booked (未入账)",
	orderConflict: "an order was registered again with another amount", drill: "drill: nothing happened",
	more: "… and %d more incidents with %d failures",
	what: "What", merchant: "Merchant (商户)", count: "How many", span: "First, latest", amount: "At stake",
	orders: "Orders (商户订单号)", sources: "From", retry: "WeChat Pay", left: "Left", unbooked: "Not booked (未入账)", links: "Look",
	dashboard: "dashboard", runbook: "runbook", trace: "trace",
	everybody: "all", none: "none", andMore: "and %d more",
	next: func(at string, left int) string {
		return fmt.Sprintf("sends again at %s; at least %d sendings are left", at, left)
	},
	noMore:     "will not send again: query the order (查询订单)",
	overFailed: "no new failure for 15 minutes",
	overAlert:  "the alert has stopped firing",
	drillText:  "This is the drill that you asked for. No callback failed; the way from wxnotify to you works.",
	reason:     callback.Reason.English,
}

var chinese = words{
	occasion: map[Occasion]string{Opened: "", Again: "仍在持续：", Over: "已平息：", Drill: ""},
	severity: func(critical bool) string {
		if critical {
			return "严重"
		}
		return "警告"
	},
	failed: "%s 个支付回调失败", outstanding: "%s 笔支付未入账",
	orderConflict: "订单以不同金额重复登记", drill: "演练：一切正常",
	more: "……另有 %d 个事件，共 %d 次失败",
	what: "原因", merchant: "商户", count: "次数", span: "首次、最近", amount: "涉及金额",
	orders: "商户订单号", sources: "来源网络", retry: "微信支付", left: "剩余", unbooked: "未入账", links: "查看",
	dashboard: "仪表盘", runbook: "处置手册", trace: "链路",
	everybody: "全部", none: "无", andMore: "另有 %d 个",
	next: func(at string, left int) string {
		return fmt.Sprintf("将于 %s 重发，至少还剩 %d 次", at, left)
	},
	noMore:     "不会再重发：请主动查询订单",
	overFailed: "已连续 15 分钟没有新的失败",
	overAlert:  "告警已停止触发",
	drillText:  "这是例行演练：没有回调失败，wxnotify 到您的通知链路正常。",
	reason:     callback.Reason.Chinese,
}

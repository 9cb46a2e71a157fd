package pager

import (
	"fmt"
	"strings"
	"time"

	"wxnotify/service/callback"
)

// words is everything a message says, in one language. The zone is China's in
// both: it is where the merchant's day is.
type words struct {
	occasion map[Occasion]string
	severity func(critical bool) string
	label    labels
	link     linkNames

	// Headlines.
	failed, outstanding func(n int64) string
	notifications       func(n int64) string
	orderConflict       func(n int64) string
	history             func(n int64) string
	drill               string
	stillMissing        func(n int64) string // no new failure, and yet
	more                func(incidents int, failures int64) string

	everybody, stranger string // instead of a merchant's name
	noMoney, andMore    string
	nothingMissing      string
	andMoreThan         string // of very many, not all were looked at
	atLeast             string
	sampled             string // the sources
	whatOutstanding     string
	whatOrderConflict   string
	whatHistory         string
	next                func(at string, in time.Duration, left int) string
	nextForSome         func(at string, in time.Duration) string
	noMore              string
	codes               string // the reason's and the class's
	overFailed          string // what it was
	overOutstanding     string
	overAlert           string
	drillText           string
	written             string // %s
	colon               string
	reason              func(callback.Reason) string
}

type labels struct {
	what, note, do, unbooked, retry, amount, merchant, count, span, since, orders, sources string
}

type linkNames struct{ dashboard, runbook, trace string }

// china is the merchant's time, also on a host without a zone database.
var china = time.FixedZone("UTC+8", 8*60*60)

const (
	day    = "2006-01-02"
	moment = "2006-01-02 15:04:05"
	clock  = "15:04:05"
)

// between is a span of time; the day stands there once if it is one day.
func between(from, to time.Time) string {
	from, to = from.In(china), to.In(china)
	switch {
	case from.Format(moment) == to.Format(moment):
		return from.Format(moment)
	case from.Format(day) == to.Format(day):
		return from.Format(moment) + " – " + to.Format(clock)
	}
	return from.Format(moment) + " – " + to.Format(moment)
}

// when is a time near another one.
func when(t, now time.Time) string {
	t, now = t.In(china), now.In(china)
	if t.Format(day) == now.Format(day) {
		return t.Format(clock)
	}
	return t.Format(moment)
}

// howLong is a duration as people say it, given the names of its units.
func howLong(d time.Duration, seconds, minutes, hours string) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d %s", max(0, int(d.Seconds())), seconds)
	case d < 100*time.Minute:
		return fmt.Sprintf("%d %s", int(d.Minutes()), minutes)
	}
	return strings.TrimSuffix(fmt.Sprintf("%.1f", d.Hours()), ".0") + " " + hours
}

func inEnglish(d time.Duration) string { return howLong(d, "s", "min", "h") }
func inChinese(d time.Duration) string { return howLong(d, "秒", "分钟", "小时") }

func many(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}

var english = words{
	occasion: map[Occasion]string{Opened: "", Again: "still: ", Over: "over: ", Drill: ""},
	severity: func(critical bool) string {
		if critical {
			return "CRITICAL"
		}
		return "warning"
	},
	label: labels{
		what: "What", note: "What", do: "Do", unbooked: "Not booked (未入账)", retry: "WeChat Pay", amount: "Amount", merchant: "Merchant (商户)",
		count: "Failures", span: "First, latest (UTC+8)", since: "Since (UTC+8)", orders: "Orders (商户订单号)", sources: "From",
	},
	link:   linkNames{dashboard: "Dashboard", runbook: "Runbook", trace: "Trace"},
	failed: func(n int64) string { return many(n, "callback failed", "callbacks failed") },
	outstanding: func(n int64) string {
		return many(n, "notification not booked", "notifications not booked") + " (未入账)"
	},
	notifications: func(n int64) string { return many(n, "notification", "notifications") },
	orderConflict: func(n int64) string {
		return many(n, "order was", "orders were") + " registered again with another amount"
	},
	history: func(n int64) string {
		return many(n, "callback", "callbacks") + " failed while nobody was told"
	},
	drill:        "drill: nothing happened",
	stillMissing: func(n int64) string { return fmt.Sprintf("no new failure, but %d still not booked (未入账): ", n) },
	more: func(incidents int, failures int64) string {
		return "… and " + many(int64(incidents), "more incident", "more incidents") + " with " + many(failures, "failure", "failures")
	},
	everybody: "all merchants", stranger: "no configured merchant",
	noMoney: "nothing is known to be missing; wxnotify resolve lists what is", andMore: "and %d more",
	nothingMissing: "nothing: every notification that could be read has been accepted since, or ended by wxnotify resolve",
	andMoreThan:    "and more than %d others", atLeast: "at least ", sampled: "of a sample of %d",
	whatOutstanding:   "authentic notifications failed and have not been accepted since: customers may have paid and got nothing",
	whatOrderConflict: "the merchant's system registered an order twice, with different amounts",
	whatHistory:       "they failed more than a day before anybody could be told: no channel was configured, or wxnotify did not run. What is still missing is told on its own",
	next: func(at string, in time.Duration, left int) string {
		return fmt.Sprintf("sends again at %s (in %s); at least %s left", at, inEnglish(in), many(int64(left), "sending is", "sendings are"))
	},
	nextForSome: func(at string, in time.Duration) string {
		return fmt.Sprintf("sends some again at %s (in %s), others never: query those orders (查询订单)", at, inEnglish(in))
	},
	noMore:          "will not send again: query the orders (查询订单), then run wxnotify resolve ID --accept or --reject",
	codes:           " (%s)",
	overFailed:      "no new failure for 15 minutes; it was: %s",
	overOutstanding: "nothing of this merchant has been missing for long any more: accepted, or ended by wxnotify resolve",
	overAlert:       "the alert has stopped firing",
	drillText: "This is a drill: no callback failed, and nothing needs to be done. The way from wxnotify to you works. " +
		"When the daily drill does not come, it does not: run wxnotify page-test.",
	colon:   ": ",
	written: "Written %s (UTC+8) by wxnotify",
	reason:  callback.Reason.English,
}

var chinese = words{
	occasion: map[Occasion]string{Opened: "", Again: "仍在持续：", Over: "已平息：", Drill: ""},
	severity: func(critical bool) string {
		if critical {
			return "严重"
		}
		return "警告"
	},
	label: labels{
		what: "原因", note: "说明", do: "处置", unbooked: "未入账", retry: "微信支付", amount: "涉及金额", merchant: "商户",
		count: "失败次数", span: "首次、最近（北京时间）", since: "开始于（北京时间）", orders: "商户订单号", sources: "来源网段",
	},
	link:          linkNames{dashboard: "监控面板", runbook: "处置手册", trace: "调用链"},
	failed:        func(n int64) string { return fmt.Sprintf("%d 次支付回调失败", n) },
	outstanding:   func(n int64) string { return fmt.Sprintf("%d 条通知未入账", n) },
	notifications: func(n int64) string { return fmt.Sprintf("%d 条通知", n) },
	orderConflict: func(n int64) string { return fmt.Sprintf("%d 笔订单以不同金额重复登记", n) },
	history:       func(n int64) string { return fmt.Sprintf("无人接收告警期间有 %d 次支付回调失败", n) },
	drill:         "告警演练，一切正常",
	stillMissing:  func(n int64) string { return fmt.Sprintf("不再新增失败，仍有 %d 条未入账：", n) },
	more: func(incidents int, failures int64) string {
		return fmt.Sprintf("……另有 %d 起事件，共 %d 次失败", incidents, failures)
	},
	everybody: "所有商户", stranger: "未配置的商户",
	noMoney: "目前没有已知的未入账通知，可用 wxnotify resolve 核对", andMore: "等，另有 %d 笔",
	nothingMissing: "无：能解读的通知均已受理，或已由 wxnotify resolve 处置",
	andMoreThan:    "等，另有 %d 笔以上", atLeast: "至少 ", sampled: "取自 %d 次抽样",
	whatOutstanding:   "来源真实的通知处理失败，至今未受理：可能有用户付了钱却什么也没拿到",
	whatOrderConflict: "商户系统对同一订单登记了两次，金额不同",
	whatHistory:       "这些失败发生在可以告警的一天多以前：当时没有配置告警通道，或 wxnotify 没有运行。仍未入账的会另行告警",
	next: func(at string, in time.Duration, left int) string {
		return fmt.Sprintf("%s 再次通知（%s后），至少还剩 %d 次", at, inChinese(in), left)
	},
	nextForSome: func(at string, in time.Duration) string {
		return fmt.Sprintf("%s 再次通知其中一部分（%s后），其余不会再通知：请查单", at, inChinese(in))
	},
	noMore:          "不会再通知：请逐笔查单，再用 wxnotify resolve ID --accept 或 --reject 了结",
	codes:           "（%s）",
	overFailed:      "已连续 15 分钟没有新的失败；此前：%s",
	overOutstanding: "该商户已没有长时间未入账的通知：已受理，或已用 wxnotify resolve 了结",
	overAlert:       "告警条件已解除",
	drillText:       "这是告警演练：没有回调失败，无需处理，wxnotify 到您的告警通道正常。如果哪天没有收到例行演练，说明通道已断：请执行 wxnotify page-test 检查。",
	colon:           "：",
	written:         "wxnotify 写于 %s（北京时间）",
	reason:          callback.Reason.Chinese,
}

package gen

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/service/telemetry"
)

const day = 24 * 60 * 60

// keys is what verifies and opens callbacks, and the clock that judges them.
func keys() []cog.Builder[dashboard.Panel] {
	by := `merchant, key_kind, key_id`
	return []cog.Builder[dashboard.Panel]{
		panel{
			id: 41, width: 12, height: 8, title: "Keys that expire · 证书与密钥有效期", unit: "s", decimals: 0, signed: true,
			limits: above(act, limit{3 * day, watch}, limit{14 * day, well}), empty: "no key with an end · 无到期密钥", mood: plain,
			about: about{
				what:    "Time left for each configured key that has an end (平台证书; public keys and API keys have none), and for the last key of its kind: an old certificate beside a new one may run out. The alert WechatPayKeyExpiring looks at the kind: it warns at 14 days and is critical at 3.",
				normal:  "more than 14 days in the last column.",
				do:      "add the next certificate, or change to the WeChat Pay public key (微信支付公钥), before the end; keep the old one until “Key last used” shows that it rests.",
				chinese: "各证书剩余有效期及同类中最晚一把的剩余有效期；后者少于 14 天预警、少于 3 天严重。请提前配置新证书或切换为微信支付公钥，并在旧密钥不再被使用后移除。",
			},
			queries: []query{
				rows(`min by (` + by + `) (` + series(telemetry.KeyExpiry) + `) - time()`),
				rows(`(max by (merchant, key_kind) (` + series(telemetry.KeyExpiry) + `) - time()) * on (merchant, key_kind) group_right group by (` + by + `) (` + series(telemetry.KeyExpiry) + `)`),
			},
		}.grid(
			merged(),
			column{"merchant", "merchant · 商户", 140, []dashboard.DynamicConfigValue{leads(onlyMerchant)}},
			column{"key_kind", "kind · 种类", 150, nil},
			column{"key_id", "key · 序列号或公钥ID", 0, nil},
			column{"Value #A", "left · 剩余", 100, counted("s")},
			column{"Value #B", "last of its kind · 同类最晚", 190, counted("s", painted())},
		),
		panel{
			id: 42, width: 12, height: 8, title: "Key last used · 各密钥最近使用", unit: "s", decimals: 0, empty: "no key was used · 尚未使用",
			about: about{
				what:    "How long ago each configured key last verified or opened a callback. A key that was never used in this process is not listed.",
				normal:  "the current keys: as long ago as the last callback.",
				do:      "after a change-over take the old key out only when it has rested for longer than 24 hours, WeChat Pay's last re-send, and for APIv3 keys as long as old bodies must be readable.",
				chinese: "各密钥距最近一次验签或解密的时间；切换密钥后，旧密钥静默超过 24 小时（微信支付最后一次重发）方可移除。",
			},
			queries: []query{rows(`sort(time() - max by (` + by + `) (` + series(telemetry.KeyUsed) + `))`)},
		}.grid(
			nil,
			column{"merchant", "merchant · 商户", 140, []dashboard.DynamicConfigValue{leads(onlyMerchant)}},
			column{"key_kind", "kind · 种类", 150, nil},
			column{"key_id", "key · 序列号或公钥ID", 0, nil},
			column{"Value", "last used · 最近使用", 160, counted("s")},
		),
		panel{
			id: 43, width: 12, height: 8, title: "Clock skew · 时钟偏差", unit: "s", decimals: 1, signed: true,
			limits: above(watch, limit{-60, plain}, limit{60, watch}), empty: "no authentic callback yet · 尚无真实回调", tints: every(blue),
			about: about{
				what:    "WeChat Pay's timestamp minus this host's clock at the last authentic callback, network time included. Beyond 300 s callbacks are refused as timestamp_stale.",
				normal:  "within a second or two. Lines at 60 s, where the alert WechatPayClockSkew speaks.",
				do:      "is the time service (chrony, ntpd) of the host running and in step?",
				chinese: "微信支付时间戳与本机时钟之差（含网络耗时）；正常在一两秒内，超过 60 秒告警，超过 300 秒会拒绝回调。请检查主机时间同步服务。",
			},
			queries: []query{ask(`max by (merchant, instance) (`+series(telemetry.ClockSkew)+`)`, `{{merchant}} · {{instance}}`)},
		}.graph(),
		panel{
			id: 44, width: 12, height: 8, title: "Signed with · 微信支付使用的签名密钥", unit: "none", empty: "no signed callback · 无签名回调", tints: every(purple),
			about: about{
				what:    "Callbacks by the key that WeChat Pay says it signed with (Wechatpay-Serial), from the logs, whether the key is configured or not.",
				normal:  "one serial for each merchant, two during a change-over.",
				do:      "a serial that is not among the configured keys: callbacks fail with key_unknown; download that certificate or configure the public key with this id.",
				chinese: "按 Wechatpay-Serial 统计的回调数（来自日志）；出现未配置的序列号时回调会以 key_unknown 失败，请配置对应证书或公钥。",
			},
			queries: []query{logged(`sum by (`+label(telemetry.FieldSerial)+`) (count_over_time(`+handled(label(telemetry.FieldSerial)+` != ""`)+` [`+logInterval+`]))`, `{{`+label(telemetry.FieldSerial)+`}}`)},
		}.bars(),
	}
}

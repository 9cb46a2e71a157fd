package pager

import "wxnotify/service/callback"

// advice is the first thing to do about a reason: what the runbook says at
// length, for somebody who has just been woken.
type advice struct{ en, zh string }

// toDo has an entry for every reason whose proven class pages people.
var toDo = map[callback.Reason]advice{
	callback.ReasonUnsigned: {
		"Something in front of the service (proxy, WAF, CDN) strips the Wechatpay-* headers: let all of them through.",
		"前置的代理、WAF 或 CDN 删掉了 Wechatpay-* 请求头：请全部放行。",
	},
	callback.ReasonHeadersMissing: {
		"Something in front of the service (proxy, WAF, CDN) strips some Wechatpay-* headers: let all of them through.",
		"前置的代理、WAF 或 CDN 删掉了部分 Wechatpay-* 请求头：请全部放行。",
	},
	callback.ReasonUnknownMerchant: {
		"A real notification came to a path that names no merchant: configure that merchant, or mend the notify_url given at ordering. The old address must work for 24 hours.",
		"真实的通知发到了没有对应商户的路径：补上该商户的配置，或修正下单时填的 notify_url。原地址 24 小时内仍要可用。",
	},
	callback.ReasonKeyUnknown: {
		"WeChat Pay signs with a new key. Download the 微信支付公钥 or 平台证书, add it under keys beside the old one, then run: wxnotify check",
		"微信支付换了签名密钥：到商户平台下载新的微信支付公钥或平台证书，加到 keys 下与旧的并列，再执行 wxnotify check",
	},
	callback.ReasonSignatureInvalid: {
		"All callbacks of a merchant: the key file is the wrong one; run wxnotify check. Only some: something in front rewrites bodies; take it out of the path.",
		"该商户全部失败：密钥文件放错了，执行 wxnotify check。只有部分失败：前置链路改写了请求体，让回调路径绕开它。",
	},
	callback.ReasonSignatureType: {
		"Has somebody switched the merchant to SM2 (国密)? Switch it back to RSA at 商户平台. A brand product needs a notify_url elsewhere.",
		"是否有人在商户平台把该商户切到了国密？请切回 RSA。品牌产品请使用别的 notify_url。",
	},
	callback.ReasonTimestampStale: {
		"This host's clock is wrong, most likely, and then every callback fails: start NTP (timedatectl, chronyc tracking).",
		"多半是本机时钟不准，那样所有回调都会失败：启动 NTP 校时（timedatectl、chronyc tracking）。",
	},
	callback.ReasonDecryptFailed: {
		"The APIv3 key was changed at 商户平台. Put the new one first under apiv3_keys, keep the old one below it, then run: wxnotify check",
		"商户平台上的 APIv3密钥换过了：把新密钥放在 apiv3_keys 的第一位，旧的留在后面，再执行 wxnotify check",
	},
	callback.ReasonMalformed: {
		"Run wxnotify replay with the order number: it says what is missing. Query the order at WeChat Pay and end it with wxnotify resolve.",
		"用商户订单号执行 wxnotify replay，看缺了什么；到微信支付查单，再用 wxnotify resolve 人工了结。",
	},
	callback.ReasonUnsupported: {
		"Point that product's notify_url to a program that can answer it; wxnotify cannot.",
		"把该产品的 notify_url 指向能够应答的程序，wxnotify 无法应答。",
	},
	callback.ReasonMerchantMismatch: {
		"Compare mchid and appids with the configuration: a new appid that is not listed, or two notify_urls swapped. Once mended, WeChat Pay's next sending books it.",
		"核对配置中的 mchid 和 appids：新增的 appid 没登记，或两个商户的 notify_url 填反了。改好之后，下一次通知会自动入账。",
	},
	callback.ReasonUnclassified: {
		"Look the transaction up at WeChat Pay. A payment: book it by hand. Then end it: wxnotify resolve ID --accept or --reject",
		"到微信支付查这笔交易：是付款就人工入账，再用 wxnotify resolve ID --accept 或 --reject 了结。",
	},
	callback.ReasonAmountMismatch: {
		"Do not deliver yet. Compare your order, the registered order and WeChat Pay's order query, then end it: wxnotify resolve ID --accept or --reject",
		"先不要发货。核对业务系统的订单、已登记的订单和微信支付的查单结果，再用 wxnotify resolve ID --accept 或 --reject 了结。",
	},
	callback.ReasonConflict: {
		"Query the order at WeChat Pay: that answer counts. Then end it: wxnotify resolve ID --accept (the later one is right) or --reject",
		"到微信支付查单，以查单结果为准，再用 wxnotify resolve ID --accept（后到的正确）或 --reject 了结。",
	},
	callback.ReasonOrderUnknown: {
		"Register the order now: the next sending is accepted. Then find out why your system registered it late or not at all.",
		"立即补登记该订单，下一次通知即可受理；再查业务系统为何漏登记或登记晚了。",
	},
	callback.ReasonStoreUnavailable: {
		"Database down, or its disk full? Run wxnotify check and repair it. Callbacks are kept in the spool meanwhile, and WeChat Pay sends again for 24 hours.",
		"数据库宕机，还是磁盘已满？执行 wxnotify check 并修复。其间的回调已存入本地暂存文件，微信支付会在 24 小时内重新通知。",
	},
	callback.ReasonDeadline: {
		"The disk is slow or the machine starved: who else writes to it (iostat -x 1)? WeChat Pay sends again.",
		"磁盘太慢或机器资源不足：看看还有谁在写盘（iostat -x 1）。微信支付会重新通知。",
	},
	callback.ReasonOverloaded: {
		"Real payments or strangers? Limit strangers at the proxy, by address. Real ones need a faster disk. WeChat Pay sends again.",
		"是真实支付还是外人？外人在代理上按地址限流；真实支付则需要更快的磁盘。微信支付会重新通知。",
	},
	callback.ReasonInternal: {
		"Since a deployment? Go back to the version before it: WeChat Pay's re-sends book the money. Report the error.message of its record, never the body.",
		"是否刚发布过？回退到上一个版本，微信支付重新通知时会自动入账。上报记录里的 error.message，不要上报报文。",
	},
}

// What to do where the reason does not decide it.
var (
	toDoUnproven = advice{
		"Do the merchant's other callbacks succeed? Then nothing: it is a stranger; limit a flood at the proxy, by address. Does none succeed? Then a key is missing: run wxnotify check",
		"该商户的其他回调是否正常？正常则无需处理，是外人所为，大量涌入时在代理上按地址限流；全部失败则是少配了密钥，执行 wxnotify check",
	}
	toDoOutstanding = advice{
		"Run wxnotify resolve: it lists each one with its reason and WeChat Pay's next sending. Mend the reason; query the orders that come no more.",
		"执行 wxnotify resolve，逐条列出原因和微信支付的下一次通知。排除原因；不会再通知的，逐笔查单。",
	}
	toDoOrderConflict = advice{
		"The first registration stands. Ask the merchant's back end which amount is right: a payment of the other one is kept and not booked.",
		"以首次登记为准。请与业务系统确认哪个金额正确：按另一个金额付的款只会留存，不会入账。",
	}
)

// doFirst is the advice about a page, in a language; empty when there is none.
func (p Page) doFirst(l Language) string {
	var a advice
	switch {
	case p.Rule == callback.RuleOutstanding:
		a = toDoOutstanding
	case p.Rule == callback.RuleOrderConflict:
		a = toDoOrderConflict
	case p.Class == callback.Unproven:
		a = toDoUnproven
	default:
		a = toDo[p.Reason]
	}
	if l == Chinese {
		return a.zh
	}
	return a.en
}

package callback

// Class says whose word a failed callback is.
type Class string

// The four classes. Proven and unproven failures page people, the others do not.
const (
	Proven   Class = "proven"   // authentic, or our own fault
	Unproven Class = "unproven" // claims to be WeChat Pay and cannot be proven
	Probe    Class = "probe"    // WeChat's deliberate bad signature
	Noise    Class = "noise"    // somebody else's junk
)

// Pages reports whether one failure of this class pages somebody.
func (c Class) Pages() bool { return c == Proven || c == Unproven }

// Reason is why a callback failed. The list is closed: answers, metric labels,
// log fields, audit filters, runbook sections and dashboards are made from it.
type Reason string

// Every reason a callback can fail for.
const (
	ReasonProbe            Reason = "probe"
	ReasonUnsigned         Reason = "unsigned"
	ReasonHeadersMissing   Reason = "headers_missing"
	ReasonUnknownMerchant  Reason = "unknown_merchant"
	ReasonTooLarge         Reason = "too_large"
	ReasonKeyUnknown       Reason = "key_unknown"
	ReasonSignatureInvalid Reason = "signature_invalid"
	ReasonSignatureType    Reason = "signature_type"
	ReasonTimestampStale   Reason = "timestamp_stale"
	ReasonDecryptFailed    Reason = "decrypt_failed"
	ReasonMalformed        Reason = "malformed"
	ReasonUnsupported      Reason = "unsupported"
	ReasonMerchantMismatch Reason = "merchant_mismatch"
	ReasonUnclassified     Reason = "unclassified"
	ReasonAmountMismatch   Reason = "amount_mismatch"
	ReasonConflict         Reason = "conflict"
	ReasonOrderUnknown     Reason = "order_unknown"
	ReasonStoreUnavailable Reason = "store_unavailable"
	ReasonDeadline         Reason = "deadline"
	ReasonOverloaded       Reason = "overloaded"
	ReasonInternal         Reason = "internal"
)

// entry is one row of the registry. The first class is the reason's usual one;
// a second one is possible after diagnosis (see [Refusal]).
type entry struct {
	reason  Reason
	status  int
	classes []Class
	// unprovenStatus replaces status for the unproven class, where they differ.
	unprovenStatus int
	// message goes to WeChat Pay: at most 64 characters, nothing internal.
	message string
	en, zh  string
}

// registry is the one place where a reason is described, in the order in which
// a callback can meet them.
var registry = []entry{
	{
		reason: ReasonProbe, status: 401, classes: []Class{Probe}, message: "signature verification failed",
		en: "WeChat Pay's deliberate bad signature; the real one follows", zh: "微信支付签名探测流量，稍后会重发正确签名的通知",
	},
	{
		reason: ReasonUnsigned, status: 401, classes: []Class{Noise, Proven}, message: "signature required",
		en: "no signature at all", zh: "没有任何签名",
	},
	{
		reason: ReasonHeadersMissing, status: 401, classes: []Class{Unproven, Proven}, message: "signature headers incomplete",
		en: "some Wechatpay-* headers are missing; a proxy may strip them", zh: "部分 Wechatpay-* 请求头缺失，可能被代理删除",
	},
	{
		reason: ReasonUnknownMerchant, status: 404, classes: []Class{Noise, Proven}, message: "unknown notify_url",
		en: "the path names no configured merchant", zh: "路径中的商户未配置",
	},
	{
		reason: ReasonTooLarge, status: 413, classes: []Class{Noise}, message: "body too large",
		en: "the body is larger than any legal callback", zh: "请求体超过任何合法回调的大小",
	},
	{
		reason: ReasonKeyUnknown, status: 401, classes: []Class{Unproven, Proven}, message: "signature verification failed",
		en: "Wechatpay-Serial is no configured key", zh: "Wechatpay-Serial 不是已配置的平台证书或公钥",
	},
	{
		reason: ReasonSignatureInvalid, status: 401, classes: []Class{Unproven, Proven}, message: "signature verification failed",
		en: "the signature does not fit the bytes received", zh: "签名与收到的字节不符",
	},
	{
		reason: ReasonSignatureType, status: 401, classes: []Class{Unproven, Proven}, message: "signature type not accepted",
		en: "a signature type that is not configured (SM2, brand)", zh: "未配置的签名类型（国密、品牌）",
	},
	{
		reason: ReasonTimestampStale, status: 401, classes: []Class{Proven}, message: "timestamp outside the accepted window",
		en: "good signature, but more than 5 minutes off: check this host's clock", zh: "签名正确但时间相差超过 5 分钟，请检查本机时钟",
	},
	{
		reason: ReasonDecryptFailed, status: 500, classes: []Class{Proven, Unproven}, unprovenStatus: 401, message: "cannot decrypt the resource",
		en: "no configured API key opens it: was the APIv3 key changed?", zh: "已配置的密钥都无法解密，APIv3 密钥是否已更换？",
	},
	{
		reason: ReasonMalformed, status: 400, classes: []Class{Proven}, message: "message not understood",
		en: "authentic, but not the message it should be", zh: "来源真实，但内容不符合预期格式",
	},
	{
		reason: ReasonUnsupported, status: 501, classes: []Class{Proven}, message: "callback type not supported",
		en: "a callback that wants business data in the answer", zh: "需要在应答中返回业务数据的回调，暂不支持",
	},
	{
		reason: ReasonMerchantMismatch, status: 500, classes: []Class{Proven}, message: "merchant mismatch",
		en: "mchid or appid is not this merchant's: check the configuration", zh: "商户号或 appid 与配置不符，请检查配置",
	},
	{
		reason: ReasonUnclassified, status: 204, classes: []Class{Proven}, message: "",
		en: "authentic TRANSACTION.* of no known shape: kept, not credited", zh: "真实但形状未知的 TRANSACTION.* 通知：已留存，未入账",
	},
	{
		reason: ReasonAmountMismatch, status: 204, classes: []Class{Proven}, message: "",
		en: "the amount contradicts the order: kept, not credited", zh: "金额与订单不符：已留存，未入账",
	},
	{
		reason: ReasonConflict, status: 204, classes: []Class{Proven}, message: "",
		en: "contradicts the order or an earlier message with the same id", zh: "与订单或相同编号的先前通知矛盾：已留存，未入账",
	},
	{
		reason: ReasonOrderUnknown, status: 500, classes: []Class{Proven}, message: "order not known yet",
		en: "this merchant registers orders ahead, and this one is not registered", zh: "该商户要求预先登记订单，而此订单未登记",
	},
	{
		reason: ReasonStoreUnavailable, status: 503, classes: []Class{Proven}, message: "temporarily unavailable",
		en: "the database did not confirm the commit", zh: "数据库未确认提交",
	},
	{
		reason: ReasonDeadline, status: 503, classes: []Class{Proven}, message: "temporarily unavailable",
		en: "not durable before the answer was due", zh: "未能在应答期限前落盘",
	},
	{
		reason: ReasonOverloaded, status: 503, classes: []Class{Proven}, message: "temporarily unavailable",
		en: "shed on purpose: more callbacks than can be recorded", zh: "主动限流：回调数量超过可落盘能力",
	},
	{
		reason: ReasonInternal, status: 500, classes: []Class{Proven}, message: "internal error",
		en: "a bug in wxnotify; the audit row names the arrival", zh: "wxnotify 内部错误，请查看审计记录",
	},
}

// index is the registry by reason; it is never written after start.
var index = func() map[Reason]entry {
	m := make(map[Reason]entry, len(registry))
	for _, e := range registry {
		m[e.reason] = e
	}
	return m
}()

// Reasons lists every reason in registry order.
func Reasons() []Reason {
	all := make([]Reason, len(registry))
	for i, e := range registry {
		all[i] = e.reason
	}
	return all
}

// Known reports whether r is in the registry.
func (r Reason) Known() bool { _, ok := index[r]; return ok }

// Class is the reason's usual class; that of an unknown reason is Proven, so
// that a mistake pages instead of hiding.
func (r Reason) Class() Class {
	if e, ok := index[r]; ok {
		return e.classes[0]
	}
	return Proven
}

// Classes lists every class the reason can have, the usual one first.
func (r Reason) Classes() []Class { return append([]Class(nil), index[r].classes...) }

// Status is the HTTP status that answers a callback which failed for r in
// class c. An unknown reason is a 500: never a success by accident.
func (r Reason) Status(c Class) int {
	e, ok := index[r]
	switch {
	case !ok:
		return 500
	case c == Unproven && e.unprovenStatus != 0:
		return e.unprovenStatus
	}
	return e.status
}

// Quarantined reports whether a callback that fails for r is kept and
// acknowledged: sending it again could not repair it.
func (r Reason) Quarantined() bool { return r.Status(r.Class()) == 204 }

// OwnFault reports whether r says something about this service, not about the
// merchant whose callback met it.
func (r Reason) OwnFault() bool {
	switch r {
	case ReasonStoreUnavailable, ReasonDeadline, ReasonOverloaded, ReasonInternal:
		return true
	}
	return false
}

// Message is what WeChat Pay is told: at most 64 characters, nothing internal.
func (r Reason) Message() string {
	if e, ok := index[r]; ok {
		return e.message
	}
	return index[ReasonInternal].message
}

// English explains the reason in English.
func (r Reason) English() string { return index[r].en }

// Chinese explains the reason in Chinese.
func (r Reason) Chinese() string { return index[r].zh }

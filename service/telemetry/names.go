package telemetry

import "wxnotify/service/callback"

// Names of instruments. Prometheus sees them with underscores and the usual
// suffixes (wechatpay_callback_processed_total, …_duration_seconds).
const (
	CallbackProcessed    = "wechatpay.callback.processed"
	NotificationFailed   = "wechatpay.notification.failed"
	CallbackDuration     = "wechatpay.callback.duration"
	StageDuration        = "wechatpay.callback.stage.duration"
	CallbackFailures     = "wechatpay.callback.failures"
	CallbackLast         = "wechatpay.callback.last"
	NotificationReceived = "wechatpay.notification.received"
	Outstanding          = "wechatpay.notification.outstanding"
	OutstandingAmount    = "wechatpay.notification.outstanding.amount"
	OutstandingAge       = "wechatpay.notification.outstanding.age"
	SnapshotAge          = "wechatpay.store.snapshot.age"
	StoreRows            = "wechatpay.store.rows"
	StoreBatch           = "wechatpay.store.batch"
	SpoolUsed            = "wechatpay.spool.used"
	DiskFree             = "wechatpay.disk.free"
	KeyExpiry            = "wechatpay.key.expiry"
	PagerPages           = "wechatpay.pager.pages"
	PagerIncidents       = "wechatpay.pager.incidents"
	KeyUsed              = "wechatpay.key.used"
	ClockSkew            = "wechatpay.clock.skew"
	TelemetryDropped     = "wechatpay.telemetry.dropped"
)

// Attributes of instruments: closed sets, never an identifier.
const (
	LabelMerchant  = "merchant"
	LabelAPI       = "api"
	LabelOutcome   = "outcome"
	LabelClass     = "class"
	LabelReason    = "error.type"
	LabelStage     = "stage"
	LabelEventType = "event.type"
	LabelChannel   = "channel"
	LabelKeyKind   = "key.kind"
	LabelKeyID     = "key.id"
	LabelSignal    = "signal"
	LabelState     = "state"
)

// Other stands for every value outside a closed set, in the store's word for a
// merchant that is not configured.
const Other = callback.OtherMerchant

// Names of log records.
const (
	EventReceived = "wechatpay.callback.received" // debug level only
	EventHandled  = "wechatpay.callback.handled"  // the canonical record
)

// Names of spans. The server span is named after its route.
const (
	SpanOpen   = "open"
	SpanRecord = "record"
	SpanCommit = "store.commit"
)

// Fields of records, and attributes of spans.
const (
	FieldCallbackID     = "wechatpay.callback.id"
	FieldMerchant       = "wechatpay.merchant"
	FieldAPI            = "wechatpay.api"
	FieldStatus         = "wechatpay.status"
	FieldClass          = "wechatpay.class"
	FieldReason         = "error.type"
	FieldDetail         = "error.message"
	FieldHTTPStatus     = "http.response.status_code"
	FieldDuration       = "duration"
	FieldEventType      = "wechatpay.event.type"
	FieldNotificationID = "wechatpay.notification.id"
	FieldTransactionID  = "wechatpay.transaction.id"
	FieldOutTradeNo     = "wechatpay.out_trade_no"
	FieldRefundID       = "wechatpay.refund.id"
	FieldOutRefundNo    = "wechatpay.out_refund_no"
	FieldResultCode     = "wechatpay.result_code"
	FieldArrival        = "wechatpay.arrival"
	FieldEventID        = "wechatpay.event.id"
	FieldSpooled        = "wechatpay.spooled"
	FieldPeer           = "client.address"
	FieldSerial         = "wechatpay.signature.serial"
	FieldTimestamp      = "wechatpay.signature.timestamp"
	FieldNonce          = "wechatpay.signature.nonce"
	FieldSignatureType  = "wechatpay.signature.type"
	FieldSignatureValue = "wechatpay.signature.value"
	FieldSignatureHash  = "wechatpay.signature.hash"
	FieldBody           = "wechatpay.body"
	FieldBodyHash       = "wechatpay.body.hash"
	FieldBodySize       = "wechatpay.body.size"
	FieldSuppressed     = "wechatpay.suppressed"
)

// Attributes of the store.commit span and of links.
const (
	AttrBatchSize    = "wechatpay.store.batch"
	AttrBatchWaited  = "wechatpay.store.waited"
	AttrSpansOmitted = "wechatpay.store.spans.omitted"
	AttrLink         = "wechatpay.link" // earlier_arrival, commit
)

// eventTypes are the event types that a metric may name; any other is [Other].
//
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012791861 and the notice
// page of each product.
var eventTypes = []string{
	"TRANSACTION.SUCCESS", "TRANSACTION.FAIL", "TRANSACTION.INDUSTRY_SUCCESS", "TRANSACTION.PAY_BACK",
	"REFUND.SUCCESS", "REFUND.ABNORMAL", "REFUND.CLOSED",
	"PROFITSHARING.SUCCESS", "PROFITSHARING.RETURN",
	"MCHTRANSFER.BILL.FINISHED", "MCHTRANSFER.BATCH.FINISHED", "MCHTRANSFER.AUTHORIZATION.CONFIRMED",
	"PAYSCORE.USER_CONFIRM", "PAYSCORE.USER_PAID", "PAYSCORE.USER_OPEN_SERVICE", "PAYSCORE.USER_CLOSE_SERVICE",
	"COUPON.USE", "COUPON.SEND",
	"COMPLAINT.CREATE", "COMPLAINT.STATE_CHANGE",
	"PAPAY.SIGN", "PAPAY.TERMINATE",
	"VIOLATION.PUNISH", "SECURITY_ECHO.SUCCESS",
}

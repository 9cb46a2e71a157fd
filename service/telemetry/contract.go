package telemetry

import "github.com/prometheus/otlptranslator"

// Instrument is one row of the metrics contract.
type Instrument struct {
	Name, Kind, Unit string
	Labels           []string
	Description      string
}

// PrometheusNames are what Prometheus calls the instrument's series, by the rules
// of OTLP: underscores for dots, then the unit, then _total on a counter. A
// histogram has three: _bucket, _sum and _count.
func (i Instrument) PrometheusNames() []string {
	kinds := map[string]otlptranslator.MetricType{
		kindCounter:   otlptranslator.MetricTypeMonotonicCounter,
		kindGauge:     otlptranslator.MetricTypeGauge,
		kindHistogram: otlptranslator.MetricTypeHistogram,
	}
	namer := otlptranslator.MetricNamer{WithMetricSuffixes: true}
	name, err := namer.Build(otlptranslator.Metric{Name: i.Name, Unit: i.Unit, Type: kinds[i.Kind]})
	if err != nil {
		panic(err) // the contract holds a name that is none
	}
	if i.Kind == kindHistogram {
		return []string{name + "_bucket", name + "_sum", name + "_count"}
	}
	return []string{name}
}

// Kinds of instruments.
const (
	kindCounter   = "counter"
	kindGauge     = "gauge"
	kindHistogram = "histogram"
)

// Instruments is the metrics contract: every instrument of this package is
// created from its row here, so the documentation cannot drift from it.
func Instruments() []Instrument {
	return []Instrument{
		{
			CallbackProcessed, kindCounter, "{callback}",
			[]string{LabelMerchant, LabelAPI, LabelOutcome, LabelClass, LabelReason},
			"Callbacks handled; class and error.type only when the outcome is failed.",
		},
		{
			NotificationFailed, kindCounter, "{notification}",
			[]string{LabelMerchant, LabelReason},
			"Proven failures that are no repetition: first arrivals, and arrivals of which nobody can know.",
		},
		{
			CallbackDuration, kindHistogram, "s",
			[]string{LabelAPI, LabelOutcome},
			"From the request's headers to the decision on the answer; with exemplars.",
		},
		{
			StageDuration, kindHistogram, "s",
			[]string{LabelStage},
			"Time spent reading, opening and recording a callback.",
		},
		{
			NotificationReceived, kindCounter, "{notification}",
			[]string{LabelMerchant, LabelEventType},
			"Arrivals that were verified and decrypted.",
		},
		{
			CallbackFailures, kindGauge, "{callback}",
			[]string{LabelMerchant, LabelClass, LabelReason},
			"Failed callbacks of the last 5 minutes, as the store counts them.",
		},
		{
			Outstanding, kindGauge, "{notification}",
			[]string{LabelMerchant, LabelReason},
			"Proven notifications that failed and have not been accepted since (未入账), by the reason of the latest failure; each merchant's series without a reason stays 0.",
		},
		{
			OutstandingAmount, kindGauge, "{minor_unit}",
			[]string{LabelMerchant, LabelReason},
			"Money in the outstanding notifications, in the currency's minor unit (分).",
		},
		{
			OutstandingAge, kindGauge, "s",
			[]string{LabelMerchant, LabelReason},
			"Age of the oldest outstanding notification; 0 when there is none.",
		},
		{
			SnapshotAge, kindGauge, "s", nil,
			"Age of the store's numbers in memory; beyond 30 s the gauges that come from them are absent.",
		},
		{StoreRows, kindGauge, "{row}", nil, "Callback rows kept."},
		{StoreBatch, kindHistogram, "{callback}", nil, "Callbacks that shared one commit."},
		{SpoolUsed, kindGauge, "By", nil, "Bytes waiting in the local spool for the database."},
		{DiskFree, kindGauge, "By", nil, "Bytes free on the store's file system."},
		{
			KeyExpiry, kindGauge, "s",
			[]string{LabelMerchant, LabelKeyKind, LabelKeyID},
			"Unix time at which the key expires; absent when it has no end.",
		},
		{
			KeyUsed, kindGauge, "s",
			[]string{LabelMerchant, LabelKeyKind, LabelKeyID},
			"Unix time at which the key last verified or opened a callback of this process; absent when never.",
		},
		{
			ClockSkew, kindGauge, "s",
			[]string{LabelMerchant},
			"WeChat Pay's timestamp minus this host's clock, at the last authentic callback.",
		},
		{
			CallbackLast, kindGauge, "s",
			[]string{LabelMerchant},
			"Unix time of the merchant's latest callback; absent when there was none.",
		},
		{
			PagerPages, kindCounter, "{message}",
			[]string{LabelChannel, LabelOutcome},
			"Messages to people that a channel took (outcome accepted) or did not take (failed).",
		},
		{
			PagerIncidents, kindGauge, "{incident}",
			[]string{LabelState},
			"Open incidents: told, or untold because no channel has taken the message yet.",
		},
		{
			TelemetryDropped, kindCounter, "{item}",
			[]string{LabelSignal},
			"Spans, log records and stderr lines that were lost because a queue was full or an export failed.",
		},
	}
}

// Field is one row of the record's contract.
type Field struct{ Name, Meaning string }

// Fields lists everything that the records [EventHandled] and [EventReceived]
// can hold besides time, level, name, trace_id and span_id. A field without a
// value is left out.
func Fields() []Field {
	return []Field{
		{FieldCallbackID, "id of this arrival: the key of its audit row"},
		{FieldMerchant, "configured name, or " + Other},
		{FieldAPI, "v2 or v3"},
		{FieldStatus, "accepted, duplicate or failed"},
		{FieldClass, "whose word a failure is: proven, unproven, probe, noise"},
		{FieldReason, "why it failed: see the reasons below"},
		{FieldDetail, "the reason in our own words; never text that a sender wrote"},
		{FieldHTTPStatus, "status decided for the answer"},
		{FieldDuration, "seconds from the request's headers to the decision"},
		{FieldEventType, "v3 event_type, or v2 in the same words"},
		{FieldNotificationID, "通知ID; the same on every re-send"},
		{FieldTransactionID, "微信支付订单号"},
		{FieldOutTradeNo, "商户订单号"},
		{FieldRefundID, "微信支付退款单号"},
		{FieldOutRefundNo, "商户退款单号"},
		{FieldResultCode, "v2 result_code; v3 trade_state or refund_status"},
		{FieldArrival, "which sending of the notification this is, from 1"},
		{FieldEventID, "id of the event for the merchant's own system"},
		{FieldSpooled, "true when the row waits in the local spool"},
		{FieldPeer, "the sender's network: /24 or /48, never the full address"},
		{FieldSerial, "Wechatpay-Serial"},
		{FieldTimestamp, "Wechatpay-Timestamp"},
		{FieldNonce, "Wechatpay-Nonce"},
		{FieldSignatureType, "Wechatpay-Signature-Type"},
		{FieldSignatureValue, "first 12 characters of Wechatpay-Signature"},
		{FieldSignatureHash, "SHA-256 of Wechatpay-Signature"},
		{FieldBody, "authentic v3: the envelope as WeChat Pay encrypted it, up to 8 KiB; authentic v2: allow-listed fields; anything else: the first 256 bytes, masked"},
		{FieldBodyHash, "SHA-256 of the body as sent"},
		{FieldBodySize, "bytes that the sender announced or sent"},
		{FieldSuppressed, "records of this class left out since the last one"},
	}
}

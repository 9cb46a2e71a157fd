//go:build stack

package otelcollector_test

import (
	"crypto/rand"
	"maps"
	"slices"
	"testing"
	"time"

	logscollector "go.opentelemetry.io/proto/otlp/collector/logs/v1"
	metricscollector "go.opentelemetry.io/proto/otlp/collector/metrics/v1"
	tracecollector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	logspb "go.opentelemetry.io/proto/otlp/logs/v1"
	metricspb "go.opentelemetry.io/proto/otlp/metrics/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
)

// facts are attributes by name.
type facts map[string]any

func (f facts) attributes(t *testing.T) []*commonpb.KeyValue {
	t.Helper()
	list := make([]*commonpb.KeyValue, 0, len(f))
	for _, key := range slices.Sorted(maps.Keys(f)) {
		list = append(list, &commonpb.KeyValue{Key: key, Value: value(t, f[key])})
	}
	return list
}

func value(t *testing.T, v any) *commonpb.AnyValue {
	t.Helper()
	switch v := v.(type) {
	case string:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_StringValue{StringValue: v}}
	case int:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_IntValue{IntValue: int64(v)}}
	case float64:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_DoubleValue{DoubleValue: v}}
	case bool:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_BoolValue{BoolValue: v}}
	case facts:
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_KvlistValue{KvlistValue: &commonpb.KeyValueList{Values: v.attributes(t)}}}
	case []string:
		list := &commonpb.ArrayValue{}
		for _, each := range v {
			list.Values = append(list.Values, value(t, each))
		}
		return &commonpb.AnyValue{Value: &commonpb.AnyValue_ArrayValue{ArrayValue: list}}
	}
	t.Fatalf("no OTLP value for %T", v)
	return nil
}

// read turns attributes back into facts.
func read(list []*commonpb.KeyValue) facts {
	f := facts{}
	for _, kv := range list {
		switch v := kv.GetValue().GetValue().(type) {
		case *commonpb.AnyValue_StringValue:
			f[kv.GetKey()] = v.StringValue
		case *commonpb.AnyValue_IntValue:
			f[kv.GetKey()] = int(v.IntValue)
		case *commonpb.AnyValue_DoubleValue:
			f[kv.GetKey()] = v.DoubleValue
		case *commonpb.AnyValue_BoolValue:
			f[kv.GetKey()] = v.BoolValue
		default:
			f[kv.GetKey()] = kv.GetValue().String()
		}
	}
	return f
}

func now() uint64 { return uint64(time.Now().UnixNano()) }

func id(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.Read(b)
	return b
}

func records(t *testing.T, resource facts, list ...*logspb.LogRecord) *logscollector.ExportLogsServiceRequest {
	t.Helper()
	for _, r := range list {
		r.TimeUnixNano, r.ObservedTimeUnixNano = now(), now()
	}
	return &logscollector.ExportLogsServiceRequest{ResourceLogs: []*logspb.ResourceLogs{{
		Resource:  &resourcepb.Resource{Attributes: resource.attributes(t)},
		ScopeLogs: []*logspb.ScopeLogs{{LogRecords: list}},
	}}}
}

func record(t *testing.T, name string, f facts) *logspb.LogRecord {
	t.Helper()
	return &logspb.LogRecord{EventName: name, Body: value(t, name), Attributes: f.attributes(t), SeverityNumber: logspb.SeverityNumber_SEVERITY_NUMBER_INFO}
}

func traces(t *testing.T, resource facts, list ...*tracepb.Span) *tracecollector.ExportTraceServiceRequest {
	t.Helper()
	return &tracecollector.ExportTraceServiceRequest{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: resource.attributes(t)},
		ScopeSpans: []*tracepb.ScopeSpans{{Spans: list}},
	}}}
}

// span is a trace of its own.
func span(t *testing.T, name string, took time.Duration, f facts) *tracepb.Span {
	t.Helper()
	end := time.Now()
	return &tracepb.Span{
		TraceId: id(16), SpanId: id(8), Name: name, Kind: tracepb.Span_SPAN_KIND_SERVER, Attributes: f.attributes(t),
		StartTimeUnixNano: uint64(end.Add(-took).UnixNano()), EndTimeUnixNano: uint64(end.UnixNano()),
	}
}

func metrics(t *testing.T, resource facts, list ...*metricspb.Metric) *metricscollector.ExportMetricsServiceRequest {
	t.Helper()
	return &metricscollector.ExportMetricsServiceRequest{ResourceMetrics: []*metricspb.ResourceMetrics{{
		Resource:     &resourcepb.Resource{Attributes: resource.attributes(t)},
		ScopeMetrics: []*metricspb.ScopeMetrics{{Metrics: list}},
	}}}
}

func counter(t *testing.T, name string, f facts, exemplar facts) *metricspb.Metric {
	t.Helper()
	point := &metricspb.NumberDataPoint{Attributes: f.attributes(t), TimeUnixNano: now(), Value: &metricspb.NumberDataPoint_AsInt{AsInt: 1}}
	if exemplar != nil {
		point.Exemplars = []*metricspb.Exemplar{{
			TimeUnixNano: now(), TraceId: id(16), SpanId: id(8), FilteredAttributes: exemplar.attributes(t),
			Value: &metricspb.Exemplar_AsInt{AsInt: 1},
		}}
	}
	return &metricspb.Metric{Name: name, Data: &metricspb.Metric_Sum{Sum: &metricspb.Sum{
		IsMonotonic: true, AggregationTemporality: metricspb.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE,
		DataPoints: []*metricspb.NumberDataPoint{point},
	}}}
}

// labels are the attributes of a metric's points.
func labels(m *metricspb.Metric) [][]*commonpb.KeyValue {
	var found [][]*commonpb.KeyValue
	for _, p := range slices.Concat(m.GetSum().GetDataPoints(), m.GetGauge().GetDataPoints()) {
		found = append(found, p.GetAttributes())
	}
	for _, p := range m.GetHistogram().GetDataPoints() {
		found = append(found, p.GetAttributes())
	}
	return found
}

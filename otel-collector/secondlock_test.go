//go:build stack

package otelcollector_test

import (
	"encoding/base64"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// resource is what every process of the service says of itself.
var resource = facts{
	"service.name": "wxnotify", "service.version": "v1.2.3", "service.instance.id": "6e0c1d5c-3d52-4b7a-8f7a-0b1f6ad4a1de",
	"deployment.environment.name": "production", "telemetry.sdk.name": "opentelemetry",
}

// truth has a value of the real form for everything that could be mistaken for
// a secret; any other field is a word.
var truth = facts{
	telemetry.FieldCallbackID:     "0199c2f0-6a4b-7c1e-9a52-13c1a5b0d6ee",
	telemetry.FieldDuration:       1.3139123459999999,
	telemetry.FieldHTTPStatus:     503,
	telemetry.FieldNotificationID: "EV-2018022511223320873",
	telemetry.FieldTransactionID:  "4200001234202611231234567890",
	telemetry.FieldOutTradeNo:     "13912345678",                      // a merchant may number like this
	telemetry.FieldRefundID:       "50000000382019052709732678859",    //
	telemetry.FieldOutRefundNo:    "Abcdefghijklmnopqrstuvwxyz012345", // or like this
	telemetry.FieldArrival:        2,
	telemetry.FieldSpooled:        true,
	telemetry.FieldPeer:           "203.0.113.0/24",
	telemetry.FieldSerial:         "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
	telemetry.FieldTimestamp:      "1795413600",
	telemetry.FieldNonce:          "c5ac7061fccab6bf3e254dcf98995b8c",
	telemetry.FieldSignatureValue: "CtcbzwtQjN8r",
	telemetry.FieldSignatureHash:  "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
	telemetry.FieldBodyHash:       "60303ae22b998861bce3b28f33eec1be758a213c86c93c076dbe9f558c11c752",
	telemetry.FieldBodySize:       1412,
	telemetry.FieldSuppressed:     17,
	telemetry.FieldBody: `{"id":"EV-2018022511223320873","create_time":"2026-11-23T10:34:56+08:00","resource_type":"encrypt-resource",` +
		`"event_type":"TRANSACTION.SUCCESS","summary":"支付成功","resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM",` +
		`"ciphertext":"` + base64.StdEncoding.EncodeToString(id(1000)) + `","associated_data":"transaction","nonce":"fdasflkja484"}}`,
	telemetry.AttrBatchSize:    3,
	telemetry.AttrBatchWaited:  0.0012,
	telemetry.AttrSpansOmitted: 952,
}

func told(names ...string) facts {
	f := facts{}
	for _, name := range names {
		f[name] = "word"
		if v, ok := truth[name]; ok {
			f[name] = v
		}
	}
	return f
}

// TestStackPassesWhatTheServiceTells: unchanged, to the last character, and
// without a mark that anything was done to it.
func TestStackPassesWhatTheServiceTells(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	c := startCollector(t, s.stores(), t.TempDir())

	var fields []string
	for _, f := range telemetry.Fields() {
		fields = append(fields, f.Name)
	}
	sent := map[string]facts{"logs": told(fields...), "traces": told(onSpans...), "metrics": {}}
	for _, i := range telemetry.Instruments() {
		maps.Copy(sent["metrics"], told(i.Labels...))
	}
	c.send(t, "logs", records(t, resource, record(t, telemetry.EventHandled, sent["logs"])))
	one := span(t, "POST /wechatpay/{merchant}", time.Millisecond, sent["traces"])
	one.Links = []*tracepb.Span_Link{{TraceId: id(16), SpanId: id(8), Attributes: facts{telemetry.AttrLink: "earlier_arrival"}.attributes(t)}}
	c.send(t, "traces", traces(t, resource, one))
	c.send(t, "metrics", metrics(t, resource, counter(t, telemetry.CallbackProcessed, sent["metrics"], facts{})))

	for signal, want := range sent {
		s.until(t, signal, func() bool { return len(s.attributes(signal)) == 2 })
		got := s.attributes(signal)
		if res := read(got[0]); !reflect.DeepEqual(res, resource) {
			t.Errorf("%s: resource %v", signal, res)
		}
		arrived := read(got[1])
		for key, v := range want {
			if !reflect.DeepEqual(arrived[key], v) {
				t.Errorf("%s: %s arrives as %v, was %v", signal, key, arrived[key], v)
			}
			delete(arrived, key)
		}
		if len(arrived) > 0 {
			t.Errorf("%s: more than was sent: %v", signal, arrived)
		}
	}
	for _, want := range []string{telemetry.EventHandled, "POST /wechatpay/{merchant}", "earlier_arrival"} {
		if !strings.Contains(s.all(), want) {
			t.Errorf("%q did not arrive", want)
		}
	}
	if n := strings.Count(s.all("metrics"), "trace_id"); n != 1 {
		t.Errorf("%d exemplars, want 1", n)
	}
}

// TestStackSecondLock puts canaries wherever OTLP has room for them, as a
// service would whose own lock is broken.
func TestStackSecondLock(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	c := startCollector(t, s.stores(), t.TempDir())

	// Under keys that are not listed anything goes; a form is what gives away the
	// rest. "canary" has none: only the key can keep it out.
	unlisted := facts{
		"openid": "canary", "payer.name": "canary", "http.request.header.authorization": "canary", "wechatpay.apiv3_key": "canary",
		"nested": facts{"wechatpay.status": "canary"}, "list": []string{"canary"}, "phone": 13912345678,
	}
	leaking := func(key string) facts {
		f := maps.Clone(unlisted)
		all := ""
		for _, name := range slices.Sorted(maps.Keys(secrets)) { // the private key last: what follows it is masked with it
			all += secrets[name] + " "
		}
		f[key] = "before " + all
		return f
	}
	res := maps.Clone(resource)
	maps.Copy(res, unlisted)
	res["host.name"] = "host of " + secrets["openid"]
	res[telemetry.LabelMerchant], res[telemetry.FieldMerchant] = "canary", "canary" // exempt on the items alone

	f := leaking(telemetry.FieldDetail)
	f[telemetry.FieldPeer] = "203.0.113.77"                            // an address, not a network
	f[telemetry.FieldBodySize] = 6222021234567890123                   // a number can be a card
	f[telemetry.FieldMerchant] = facts{"x": "id=" + secrets["openid"]} // a map under an allowed key
	words := record(t, telemetry.EventHandled, f)
	words.EventName = "of." + secrets["mobile"]
	words.Body = value(t, "refused "+secrets["APIv3 key"]+", "+secrets["private key"])
	structured := record(t, telemetry.EventHandled, nil)
	structured.Body = value(t, facts{"openid": "canary", "wechatpay.body": "tel " + secrets["mobile"], "deep": facts{"payer": "canary"}, telemetry.FieldMerchant: "canary"})
	c.send(t, "logs", records(t, res, words, structured))

	f = leaking("user_agent.original")
	f[telemetry.FieldMerchant] = secrets["APIv2 sign"]
	f[telemetry.FieldPeer], f["network.peer.address"], f["network.peer.port"] = "203.0.113.77", "203.0.113.77", 51777
	f["url.path"] = "/wechatpay/" + secrets["APIv3 key"] + "/" + secrets["openid"] + "/x"
	one := span(t, "POST /of/"+secrets["openid"], time.Millisecond, f)
	one.TraceState = "payer=" + secrets["openid"]
	one.Status = &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR, Message: "payer " + secrets["mobile"]}
	one.Events = []*tracepb.Span_Event{{Name: "called " + secrets["mobile"], Attributes: leaking(telemetry.FieldMerchant).attributes(t)}}
	c.send(t, "traces", traces(t, res, one))

	f = leaking(telemetry.LabelAPI)
	f[telemetry.LabelMerchant] = "before " + secrets["openid"]
	c.send(t, "metrics", metrics(t, res, counter(t, telemetry.CallbackProcessed, f, facts{"openid": "canary", telemetry.LabelMerchant: "canary"})))

	for signal, items := range map[string]int{"logs": 3, "traces": 2, "metrics": 2} {
		s.until(t, signal, func() bool { return len(s.attributes(signal)) == items })
	}
	text := s.all()
	for name, secret := range secrets {
		if strings.Contains(text, strings.ReplaceAll(secret, "\n", `\n`)) {
			t.Errorf("%s came through:\n%s", name, text)
		}
	}
	for _, trace := range []string{"canary", "openid", "payer", "phone", "203.0.113.77", "51777", "6222021234567890123", "MIIE"} {
		if strings.Contains(text, trace) {
			t.Errorf("%q came through:\n%s", trace, text)
		}
	}
	for _, signal := range []string{"logs", "traces"} {
		for _, mark := range []string{"redaction.redacted.count", "redaction.masked.count", "_OTHER", "before****"} {
			if !strings.Contains(s.all(signal), mark) {
				t.Errorf("%s: no %q to find it by", signal, mark)
			}
		}
	}
	if strings.Contains(s.all("metrics"), "redaction.") {
		t.Error("a count became a label")
	}
}

// TestStackMerchantNames: a legal name passes whatever it looks like, another
// one becomes _OTHER, and where there is none, none is made up.
func TestStackMerchantNames(t *testing.T) {
	t.Parallel()
	s := newSink(t)
	c := startCollector(t, s.stores(), t.TempDir())
	want := map[string]int{callback.OtherMerchant: 2, "": 1} // its own, and of "a@b"
	for _, name := range append([]string{"", "a@b"}, merchantNames...) {
		label, field := facts{telemetry.LabelMerchant: name}, facts{telemetry.FieldMerchant: name}
		if name == "" {
			label, field = facts{}, facts{}
		}
		if name != "" && name != "a@b" && name != callback.OtherMerchant {
			want[name] = 1
		}
		c.send(t, "metrics", metrics(t, resource, counter(t, telemetry.CallbackProcessed, label, nil)))
		c.send(t, "logs", records(t, resource, record(t, telemetry.EventHandled, field)))
		c.send(t, "traces", traces(t, resource, span(t, telemetry.SpanOpen, time.Millisecond, field)))
	}
	for signal, key := range map[string]string{"metrics": telemetry.LabelMerchant, "logs": telemetry.FieldMerchant, "traces": telemetry.FieldMerchant} {
		got := map[string]int{}
		s.until(t, signal, func() bool {
			clear(got)
			items := 0
			for _, list := range s.attributes(signal) {
				if f := read(list); f["service.name"] == nil {
					name, _ := f[key].(string)
					got[name]++
					items++
				}
			}
			return items == len(merchantNames)+2
		})
		if !maps.Equal(got, want) {
			t.Errorf("%s: arrived %v, want %v", signal, got, want)
		}
	}
}

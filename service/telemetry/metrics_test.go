package telemetry_test

import (
	"fmt"
	"strings"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

const openMetrics = "application/openmetrics-text;version=1.0.0"

// TestMetricsPage: the names that the alert rules use, and exemplars for
// whoever understands them.
func TestMetricsPage(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test,service.instance.id=fixed")
	w := start(t, telemetry.Options{})
	post(door(w, w.chain(world{opens(payment()), accepts(callback.Commit{})})), "/wechatpay/shop")
	post(door(w, w.chain(failing(callback.ReasonStoreUnavailable, callback.Proven))), "/wechatpay/shop")
	plain := scrape(t, w, "")
	for _, want := range []string{
		`wechatpay_callback_processed_total{api="v3",class="proven",deployment_environment_name="test",error_type="store_unavailable",merchant="shop",outcome="failed"} 1`,
		`wechatpay_callback_processed_total{api="v3",class="proven",deployment_environment_name="test",error_type="internal",merchant="cafe",outcome="failed"} 0`,
		`wechatpay_callback_processed_total{api="v3",deployment_environment_name="test",merchant="shop",outcome="accepted"} 1`,
		`wechatpay_notification_received_total{deployment_environment_name="test",event_type="TRANSACTION.SUCCESS",merchant="shop"} 1`,
		`wechatpay_callback_duration_seconds_count{api="v3",deployment_environment_name="test",outcome="accepted"} 1`,
		`wechatpay_callback_duration_seconds_bucket{api="v3",deployment_environment_name="test",outcome="accepted",le="2.5"}`,
		`wechatpay_callback_stage_duration_seconds_count{deployment_environment_name="test",stage="open"} 2`,
		`service_name="wxnotify"`, `service_version="1.2.3"`,
		`http_server_request_duration_seconds_count{`, `http_route="/wechatpay/{merchant}"`,
		`go_goroutine_count`,
	} {
		if !strings.Contains(plain, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	for _, not := range []string{"server_address", "otel_scope", `service_instance_id="fixed"`} {
		if strings.Contains(plain, not) {
			t.Errorf("/metrics holds %s", not)
		}
	}
	trace := named(t, w.spans.Ended(), "POST /wechatpay/{merchant}").SpanContext().TraceID().String()
	found := false
	for line := range strings.Lines(scrape(t, w, openMetrics)) {
		if strings.HasPrefix(line, "wechatpay_callback_duration_seconds_bucket") && strings.Contains(line, `# {`) &&
			strings.Contains(line, `trace_id="`+trace+`"`) {
			found = true
		}
		if strings.HasPrefix(line, "http_server") && strings.Contains(line, "# {") {
			t.Errorf("an exemplar with what a stranger chose: %s", line)
		}
	}
	if !found {
		t.Error("the duration histogram has no exemplar of the accepted callback's trace")
	}
}

// TestManyMerchants: 200 of them, each with every failure series, and none of
// them folded into the SDK's overflow series.
func TestManyMerchants(t *testing.T) {
	t.Parallel()
	merchants := make([]string, 200)
	for i := range merchants {
		merchants[i] = fmt.Sprintf("merchant-%03d", i)
	}
	w := start(t, telemetry.Options{Merchants: merchants})
	for _, name := range append(merchants, "somebody else") {
		env := envelopeV3()
		env.Merchant = name
		_, _ = w.chain(failing(callback.ReasonStoreUnavailable, callback.Proven)).Accept(t.Context(), env)
		_, _ = w.chain(world{opens(payment()), accepts(callback.Commit{})}).Accept(t.Context(), env)
	}
	got := w.collect(t)
	classes := 0
	for _, reason := range callback.Reasons() {
		classes += len(reason.Classes())
	}
	if n, want := len(got[telemetry.CallbackProcessed]), 201*2*(classes+2); n != want {
		t.Errorf("%d series, want %d", n, want)
	}
	for name, ps := range got {
		for _, p := range ps {
			if p.attrs.HasValue("otel.metric.overflow") {
				t.Errorf("%s overflows", name)
			}
		}
	}
	for _, name := range append(merchants, telemetry.Other) {
		if n, _ := value(got[telemetry.CallbackProcessed], "merchant", name, "error.type", "store_unavailable"); n != 1 {
			t.Errorf("%s: counted %v", name, n)
		}
	}
	if strings.Contains(scrape(t, w, ""), "otel_metric_overflow") {
		t.Error("/metrics overflows")
	}
}

// TestClosedSets: what a stranger or a new event type brings is folded.
func TestClosedSets(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	n := payment()
	for i := range 100 {
		n.EventType = fmt.Sprintf("NEW.%d", i)
		env := envelopeV3()
		env.Merchant = fmt.Sprintf("m%d", i)
		n.Merchant = env.Merchant
		_, _ = w.chain(world{opens(n), accepts(callback.Commit{})}).Accept(t.Context(), env)
	}
	got := w.collect(t)[telemetry.NotificationReceived]
	if v, _ := value(got, "merchant", telemetry.Other, "event.type", telemetry.Other); v != 100 || len(got) != 1 {
		t.Errorf("series %v", got)
	}
}

// TestDiagnosedMerchant: a wrong path whose message opened with a merchant's
// key is that merchant's failure, in the counter as in the record.
func TestDiagnosedMerchant(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	known := payment()
	r := callback.Refuse(callback.ReasonUnknownMerchant, "opened with a key of shop").InClass(callback.Proven)
	r.Notification = &known
	env := envelopeV3()
	env.Merchant = "shpo"
	_, _ = w.chain(world{refuses(r), accepts(callback.Commit{})}).Accept(t.Context(), env)
	if v, _ := value(w.collect(t)[telemetry.CallbackProcessed], "merchant", "shop", "class", "proven"); v != 1 {
		t.Errorf("counted %v for the merchant", v)
	}
	got := w.handled(t)[0]
	if got["wechatpay.merchant"] != "shop" || got["wechatpay.out_trade_no"] != known.OutTradeNo || got["wechatpay.body"] != envelopeBody {
		t.Errorf("record %v", got)
	}
}

// TestInstanceID: fresh in every process, even where the environment fixes it.
func TestInstanceID(t *testing.T) {
	t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "service.instance.id=fixed")
	id := func() string {
		page := scrape(t, start(t, telemetry.Options{}), "")
		_, rest, _ := strings.Cut(page, `service_instance_id="`)
		id, _, _ := strings.Cut(rest, `"`)
		return id
	}
	if a, b := id(), id(); a == "" || a == "fixed" || a == b {
		t.Errorf("instance ids %q and %q", a, b)
	}
}

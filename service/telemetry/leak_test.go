package telemetry_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/attribute"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// canaries must not be in any output (promise P6).
var canaries = map[string]string{
	"openid":      "oCANARYopenid0123456789abcde",
	"phone":       "13912345678",
	"bank card":   "6222020200112233445",
	"id card":     "11010519491231002X",
	"APIv3 key":   "CANARYkeyCANARYkeyCANARYkey01234",
	"private key": "MIIEvCANARYprivate",
	"signature":   "CANARYsignatureTail",
	"panic text":  "CANARYpanic",
	"error text":  "CANARYcause",
}

// poisoned is a body full of canaries, in the shape of JSON or XML.
func poisoned(api callback.API) string {
	var b strings.Builder
	if api == callback.V2 {
		b.WriteString("<xml><appid>wx1</appid>")
		fmt.Fprintf(&b, "<openid><![CDATA[%s]]></openid><attach>%s</attach>", canaries["openid"], canaries["phone"])
		fmt.Fprintf(&b, "<refund_recv_accout>%s %s</refund_recv_accout>", canaries["bank card"], canaries["id card"])
		fmt.Fprintf(&b, "<key>%s</key><x>-----BEGIN PRIVATE KEY-----%s</x></xml>", canaries["APIv3 key"], canaries["private key"])
		return b.String()
	}
	fmt.Fprintf(&b, `{"payer":{"openid":"%s"},"n":%s,"card":"%s","id_card":"%s",`,
		canaries["openid"], canaries["phone"], canaries["bank card"], canaries["id card"])
	fmt.Fprintf(&b, `"k":"%s","pem":"-----BEGIN PRIVATE KEY-----%s"}`, canaries["APIv3 key"], canaries["private key"])
	return b.String()
}

// TestNothingSecretLeaves takes poisoned callbacks through success, every
// reason and class, a panic in each stage, and debug level, and then looks for
// the canaries in everything that leaves the process.
func TestNothingSecretLeaves(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{Level: slog.LevelDebug})
	worlds := []world{
		{opens(payment()), accepts(callback.Commit{})},
		{opens(payment()), accepts(callback.Commit{Duplicate: true})},
		{opens(payment()), func(context.Context, callback.Entry) (callback.Receipt, error) { panic(canaries["panic text"]) }},
		{func(context.Context, callback.Envelope) (callback.Notification, error) { panic(canaries["panic text"]) }, accepts(callback.Commit{})},
		{
			func(context.Context, callback.Envelope) (callback.Notification, error) {
				return callback.Notification{}, fmt.Errorf("%s %s", canaries["error text"], canaries["openid"])
			},
			accepts(callback.Commit{}),
		},
	}
	for _, reason := range callback.Reasons() {
		for _, class := range reason.Classes() {
			of := failing(reason, class)
			if !reason.Quarantined() {
				known := payment()
				r := callback.Refuse(reason, "a detail that should not quote "+canaries["phone"]).InClass(class).
					Because(fmt.Errorf("%s", canaries["error text"]))
				if class == callback.Proven {
					r.Notification = &known
				}
				of.open = refuses(r)
			}
			worlds = append(worlds, of)
		}
	}
	for _, of := range worlds {
		for _, api := range []callback.API{callback.V2, callback.V3} {
			env := envelopeV3()
			if api == callback.V2 {
				env.Signature = callback.Signature{}
			} else {
				env.Signature.Value = strings.Repeat("A", 40) + canaries["signature"]
			}
			env.Body = []byte(poisoned(api))
			h := w.HTTP(httpAccept{w.chain(of), env})
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/wechatpay/shop?openid="+canaries["openid"], strings.NewReader(poisoned(api))))
			func() { // a panic that Intake does not catch
				defer func() { _ = recover() }()
				w.HTTP(httpAccept{w.Accept(acceptFunc(func(context.Context, callback.Envelope) (callback.Receipt, error) {
					panic(canaries["panic text"])
				})), env}).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/wechatpay/shop", nil))
			}()
		}
	}
	for name, output := range outputs(t, w) {
		if len(output) < 1000 {
			t.Errorf("%s holds only %d bytes; this test looks at nothing", name, len(output))
		}
		for what, canary := range canaries {
			if i := strings.Index(output, canary); i >= 0 {
				t.Errorf("%s holds the %s: …%s…", name, what, output[max(0, i-80):min(len(output), i+60)])
			}
		}
	}
}

// outputs is everything that w let out, as text.
func outputs(t *testing.T, w *watched) map[string]string {
	t.Helper()
	if err := w.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	var spans, records strings.Builder
	for _, s := range w.spans.Ended() {
		fmt.Fprintln(&spans, s.Name(), s.Status(), s.Events(), s.Links())
		for _, kv := range s.Attributes() {
			fmt.Fprintln(&spans, kv.Key, kv.Value.String())
		}
	}
	for _, r := range w.logs.all() {
		fmt.Fprintln(&records, r.EventName(), r.Body().String())
		r.WalkAttributes(func(kv attribute.KeyValue) bool {
			fmt.Fprintln(&records, kv.Key, kv.Value.String())
			return true
		})
	}
	return map[string]string{
		"stderr": string(w.stderr.Bytes()), "spans": spans.String(), "records": records.String(), "metrics": scrape(t, w, ""),
	}
}

// scrape reads /metrics, as a client that accepts the given type.
func scrape(t *testing.T, w *watched, accept string) string {
	t.Helper()
	r := httptest.NewRequest("GET", "/metrics", nil)
	if accept != "" {
		r.Header.Set("Accept", accept)
	}
	answer := httptest.NewRecorder()
	w.Metrics().ServeHTTP(answer, r)
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.Code != 200 {
		t.Fatalf("/metrics answered %d, %v: %s", answer.Code, err, text)
	}
	return string(text)
}

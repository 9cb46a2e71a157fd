package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.opentelemetry.io/otel/attribute"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// TestRecords pins the canonical record, field by field and in order.
func TestRecords(t *testing.T) {
	t.Parallel()
	stored := callback.Commit{Trail: callback.Trail{Row: "r", Arrival: 1}, Event: "evt_7lzkt6w3m2q4"}
	again := stored
	again.Duplicate, again.Arrival = true, 2
	down := func(_ context.Context, e callback.Entry) (callback.Receipt, error) {
		r := callback.Refuse(callback.ReasonStoreUnavailable, "the database is away")
		r.Trail = callback.Trail{Row: e.Envelope.ID, Spooled: true}
		return callback.Receipt{}, r
	}
	foreign := envelopeV3()
	foreign.Merchant = "nobody"
	foreign.Body = []byte(`{"phone":"13800138000","openid":"oUpF8uMEb4qRXf22hE3X68TekukE","note":"call 139 1234 5678 or a@b.cn",` +
		`"card":"6222021234567890123","n":4200001234202611231234567890,"at":"2026-11-23 14:00:00"}`)
	foreign.Length = int64(len(foreign.Body))
	for _, c := range []struct {
		name string
		env  callback.Envelope
		world
	}{
		{"accepted_v3", envelopeV3(), world{opens(payment()), accepts(stored)}},
		{"duplicate", envelopeV3(), world{opens(payment()), accepts(again)}},
		{"accepted_v2", envelopeV2(), world{opens(paymentV2()), accepts(stored)}},
		{"failed_proven", envelopeV3(), world{opens(payment()), down}},
		{"quarantined", envelopeV3(), world{opens(payment()), accepts(callback.Commit{Quarantine: callback.ReasonAmountMismatch})}},
		{"unproven", envelopeV3(), failing(callback.ReasonSignatureInvalid, callback.Unproven)},
		{"noise", foreign, failing(callback.ReasonUnknownMerchant, callback.Noise)},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t, telemetry.Options{})
				c.env.Received = time.Now()
				c.env.Read = c.env.Received.Add(2 * time.Millisecond)
				time.Sleep(4 * time.Millisecond)
				h := w.HTTP(httpAccept{w.chain(c.world), c.env})
				h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/", nil))
				if err := w.Flush(t.Context()); err != nil {
					t.Fatal(err)
				}
				golden(t, filepath.Join("testdata", "records", c.name+".json"), legible(t, w.stderr.Bytes()))
				sameOverOTLP(t, w)
			})
		})
	}
}

var anyID = regexp.MustCompile(`"(trace_id|span_id)":"[0-9a-f]+"`)

// legible indents one JSON line and hides the ids that differ each time.
func legible(t *testing.T, line []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := json.Indent(&b, anyID.ReplaceAll(line, []byte(`"$1":"…"`)), "", "  "); err != nil {
		t.Fatalf("%s: %v", line, err)
	}
	return b.Bytes()
}

// sameOverOTLP checks that the second output says what the first one does.
func sameOverOTLP(t *testing.T, w *watched) {
	t.Helper()
	line, record := w.handled(t)[0], w.logs.all()[0]
	if record.EventName() != telemetry.EventHandled {
		t.Errorf("event name %q", record.EventName())
	}
	if got := record.TraceID().String(); got != line["trace_id"] {
		t.Errorf("trace %s, on stderr %s", got, line["trace_id"])
	}
	got := map[string]string{}
	record.WalkAttributes(func(kv attribute.KeyValue) bool {
		got[string(kv.Key)] = kv.Value.String()
		return true
	})
	for key, v := range line {
		switch key {
		case "timestamp", "level", "msg", "trace_id", "span_id":
		default:
			if want := fmt.Sprint(v); got[key] != want {
				t.Errorf("%s is %q over OTLP and %q on stderr", key, got[key], want)
			}
		}
	}
}

// TestPanicIsCountedAndPassesOn: Intake catches its own; this is the last line.
func TestPanicIsCountedAndPassesOn(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	accept := w.Accept(acceptFunc(func(context.Context, callback.Envelope) (callback.Receipt, error) {
		panic("oSECRETopenid0123456789abcdef")
	}))
	func() {
		defer func() {
			if p := recover(); p != "oSECRETopenid0123456789abcdef" {
				t.Errorf("the panic became %v", p)
			}
		}()
		_, _ = accept.Accept(t.Context(), envelopeV3())
	}()
	if n, _ := value(w.collect(t)[telemetry.CallbackProcessed], "error.type", "internal", "class", "proven"); n != 1 {
		t.Errorf("counted %v", n)
	}
	if r := w.handled(t); len(r) != 1 || r[0]["error.type"] != "internal" {
		t.Errorf("records %v", r)
	}
	if bytes.Contains(w.stderr.Bytes(), []byte("SECRET")) {
		t.Error("the panic's text got out")
	}
}

// TestUnrecordedBodyIsNotShown: what was never sealed is no envelope to us,
// however authentic it is.
func TestUnrecordedBodyIsNotShown(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	opener := w.Opener(world{open: opens(payment())})
	accept := w.Accept(acceptFunc(func(ctx context.Context, env callback.Envelope) (callback.Receipt, error) {
		_, _ = opener.Open(ctx, env)
		panic("before it is recorded")
	}))
	func() {
		defer func() { _ = recover() }()
		_, _ = accept.Accept(t.Context(), envelopeV3())
	}()
	r := w.handled(t)
	if len(r) != 1 || r[0][telemetry.FieldTransactionID] == nil {
		t.Fatalf("records %v", r)
	}
	if body, _ := r[0][telemetry.FieldBody].(string); body == "" || len(body) > 256 {
		t.Errorf("shows %q", body)
	}
}

type acceptFunc func(context.Context, callback.Envelope) (callback.Receipt, error)

func (f acceptFunc) Accept(ctx context.Context, e callback.Envelope) (callback.Receipt, error) {
	return f(ctx, e)
}

// TestBrokenPromises: what the rooms below must never return is still told,
// as our own fault.
func TestBrokenPromises(t *testing.T) {
	t.Parallel()
	for name, err := range map[string]error{
		"no proof, no error":          nil,
		"an error that is no refusal": errPlain,
		"an unknown reason":           &callback.Refusal{Reason: "made_up", Class: "made_up"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t, telemetry.Options{})
			_, got := w.Accept(acceptFunc(func(context.Context, callback.Envelope) (callback.Receipt, error) {
				return callback.Receipt{}, err
			})).Accept(t.Context(), envelopeV3())
			if got != err { //nolint:errorlint // the very same error
				t.Errorf("the error became %v", got)
			}
			if n, _ := value(w.collect(t)[telemetry.CallbackProcessed], "outcome", "failed", "error.type", "internal", "class", "proven"); n != 1 {
				t.Errorf("counted %v", n)
			}
		})
	}
}

// TestStrangersAreHeldBack: a flood of unproven or noise is a few records with
// an exact count of the others; nothing else is ever held back.
func TestStrangersAreHeldBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reason callback.Reason
		class  callback.Class
		held   bool
	}{
		{callback.ReasonSignatureInvalid, callback.Unproven, true},
		{callback.ReasonUnsigned, callback.Noise, true},
		{callback.ReasonProbe, callback.Probe, false},
		{callback.ReasonSignatureInvalid, callback.Proven, false},
		{callback.ReasonStoreUnavailable, callback.Proven, false},
		{callback.ReasonOverloaded, callback.Proven, true},
	} {
		t.Run(string(c.reason)+"/"+string(c.class), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := start(t, telemetry.Options{})
				accept := w.chain(failing(c.reason, c.class))
				flood := func(n int) {
					for range n {
						_, _ = accept.Accept(t.Context(), envelopeV3())
					}
				}
				flood(1000)
				records := w.handled(t)
				if !c.held {
					if len(records) != 1000 {
						t.Fatalf("%d records of 1000", len(records))
					}
					return
				}
				if len(records) != 50 {
					t.Fatalf("%d records of a flood", len(records))
				}
				time.Sleep(time.Second)
				flood(1)
				records = w.handled(t)
				if got := records[len(records)-1][telemetry.FieldSuppressed]; got != 950.0 {
					t.Errorf("suppressed %v, want 950", got)
				}
				if n, _ := value(w.collect(t)[telemetry.CallbackProcessed]); n != 1001 {
					t.Errorf("counted %v: the counters are exact", n)
				}
				flood(100)
				if err := w.Shutdown(t.Context()); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(string(w.stderr.Bytes()), `left out since their last one","wechatpay.suppressed":96`) {
					t.Error("the last ones are left out in silence")
				}
			})
		})
	}
}

// TestSkew: the clock is judged by authentic callbacks alone, refused ones too.
func TestSkew(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		world
		want bool
	}{
		{"accepted", world{opens(payment()), accepts(callback.Commit{})}, true},
		{"stale", failing(callback.ReasonTimestampStale, callback.Proven), true},
		{"forged", failing(callback.ReasonSignatureInvalid, callback.Unproven), false},
		{"our own fault", failing(callback.ReasonInternal, callback.Proven), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := start(t, telemetry.Options{})
			_, _ = w.chain(c.world).Accept(t.Context(), envelopeV3())
			skew, ok := value(w.collect(t)[telemetry.ClockSkew], "merchant", "shop")
			if want := float64(1795413598 - moment().Unix()); ok != c.want || ok && skew != want {
				t.Errorf("skew %v (exists: %v), want %v", skew, ok, want)
			}
		})
	}
}

package telemetry_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// TestEveryReason takes each reason, in each class and API it can have,
// through the whole chain: its series is zero before, and one afterwards, and
// the record and the answer say what the registry says (promise P7).
func TestEveryReason(t *testing.T) {
	t.Parallel()
	for _, reason := range callback.Reasons() {
		for _, class := range reason.Classes() {
			for _, api := range []callback.API{callback.V2, callback.V3} {
				t.Run(fmt.Sprintf("%s/%s/%s", reason, class, api), func(t *testing.T) {
					t.Parallel()
					w := start(t, telemetry.Options{})
					labels := []string{
						"merchant", "shop", "api", string(api), "outcome", "failed", "class", string(class), "error.type", string(reason),
					}
					if n, ok := value(w.collect(t)[telemetry.CallbackProcessed], labels...); !ok || n != 0 {
						t.Fatalf("before: %v, exists: %v; want a zero", n, ok)
					}
					env := envelopeV3()
					if api == callback.V2 {
						env = envelopeV2()
					}
					_, err := w.chain(failing(reason, class)).Accept(t.Context(), env)
					if n, _ := value(w.collect(t)[telemetry.CallbackProcessed], labels...); n != 1 {
						t.Errorf("counted %v", n)
					}
					if n, _ := value(w.collect(t)[telemetry.CallbackProcessed]); n != 1 {
						t.Errorf("counted %v in all series", n)
					}
					answered := float64(reason.Status(class))
					switch {
					case err != nil && callback.AsRefusal(err).Status() != int(answered):
						t.Errorf("refused with %v", err)
					case reason.Quarantined() && api == callback.V2:
						answered = 200 // v2 acknowledges with a body
					}
					records := w.handled(t)
					if len(records) != 1 {
						t.Fatalf("%d records", len(records))
					}
					got := records[0]
					if got["error.type"] != string(reason) || got["wechatpay.class"] != string(class) ||
						got["wechatpay.status"] != "failed" || got["http.response.status_code"] != answered {
						t.Errorf("record says %v", got)
					}
					if want := map[bool]string{true: "ERROR", false: "WARN"}[class == callback.Proven]; got["level"] != want {
						t.Errorf("level %v, want %s", got["level"], want)
					}
				})
			}
		}
	}
}

// TestInstrumentsMatchTheContract: nothing is emitted that the contract does
// not name, with exactly its labels, and nothing is promised that is not there.
func TestInstrumentsMatchTheContract(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	everything(t, w)
	emitted := w.collect(t)
	contract := map[string]telemetry.Instrument{}
	for _, in := range telemetry.Instruments() {
		contract[in.Name] = in
		if len(emitted[in.Name]) == 0 {
			t.Errorf("%s is promised and not emitted", in.Name)
		}
	}
	for name, ps := range emitted {
		in, ok := contract[name]
		if !ok {
			if strings.HasPrefix(name, "wechatpay.") {
				t.Errorf("%s is not in the contract", name)
			}
			continue
		}
		seen := map[string]bool{}
		for _, p := range ps {
			for _, kv := range p.attrs.ToSlice() {
				seen[string(kv.Key)] = true
				if !slices.Contains(in.Labels, string(kv.Key)) {
					t.Errorf("%s carries %s", name, kv.Key)
				}
			}
		}
		for _, label := range in.Labels {
			if !seen[label] {
				t.Errorf("%s never carries %s", name, label)
			}
		}
	}
}

// TestPrometheusNames: what the contract says Prometheus calls our series is what
// stands on /metrics, no more and no less.
func TestPrometheusNames(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{})
	everything(t, w)
	promised := map[string]bool{}
	for _, in := range telemetry.Instruments() {
		for _, name := range in.PrometheusNames() {
			promised[name] = true
		}
	}
	seen := map[string]bool{}
	for line := range strings.Lines(scrape(t, w, "")) {
		name := line[:strings.IndexAny(line, "{ ")]
		if seen[name] = true; strings.HasPrefix(name, "wechatpay_") && !promised[name] {
			t.Errorf("/metrics says %s, which nobody promised", name)
		}
	}
	for name := range promised {
		if !seen[name] {
			t.Errorf("/metrics never says %s", name)
		}
	}
}

// TestRecordsMatchTheContract: every field of every record is documented, and
// every documented field occurs.
func TestRecordsMatchTheContract(t *testing.T) {
	t.Parallel()
	w := start(t, telemetry.Options{Level: -4})
	everything(t, w)
	promised := map[string]bool{"timestamp": true, "level": true, "msg": true, "trace_id": true, "span_id": true}
	for _, f := range telemetry.Fields() {
		promised[f.Name] = true
	}
	seen := map[string]bool{}
	for _, line := range w.lines(t) {
		if line["msg"] != telemetry.EventHandled && line["msg"] != telemetry.EventReceived {
			continue
		}
		for key := range line {
			seen[key] = true
			if !promised[key] {
				t.Errorf("field %s of %v is not documented", key, line["msg"])
			}
		}
	}
	for key := range promised {
		if !seen[key] {
			t.Errorf("field %s is documented and never occurs", key)
		}
	}
}

// TestDocumentation writes the contract down (-update) and fails when the page
// in the repository says something else.
func TestDocumentation(t *testing.T) {
	t.Parallel()
	golden(t, filepath.Join("..", "docs", "telemetry.md"), page())
}

func page() []byte {
	var b bytes.Buffer
	p := func(format string, a ...any) { fmt.Fprintf(&b, format+"\n", a...) }
	p("# What wxnotify tells about itself\n")
	p("<!-- Written by `go test ./service/telemetry -run TestDocumentation -update` from service/telemetry/contract.go and service/callback/reason.go. -->\n")
	p("Attributes are closed sets; a value outside of its set is `%s`. Identifiers are on spans and records, never on metrics.", telemetry.Other)
	p("Prometheus sees dots as underscores, the unit and `_total` as suffixes: `wechatpay_callback_processed_total`, `wechatpay_callback_duration_seconds_bucket`.\n")
	p("## Instruments\n")
	p("| instrument | kind | unit | attributes | what it tells |\n|---|---|---|---|---|")
	for _, in := range telemetry.Instruments() {
		labels := "–"
		if len(in.Labels) > 0 {
			labels = "`" + strings.Join(in.Labels, "`, `") + "`"
		}
		p("| `%s` | %s | `%s` | %s | %s |", in.Name, in.Kind, in.Unit, labels, in.Description)
	}
	p("\nBesides: `http.server.*` (without `server.address` and `server.port`, and without what is shed at the door), `db.client.operation.duration` (`db.system.name` is sqlite, postgresql, or mysql, which MariaDB is spoken to as), and the Go runtime's `go.*`.\n")
	p("## Records\n")
	p("One `%s` per callback: INFO when accepted or duplicate, ERROR for a proven failure, WARN for the other failures. At debug level also `%s` on entry.", telemetry.EventHandled, telemetry.EventReceived)
	p("A flood of records of what nobody has proven (unproven, noise, shed) is thinned out: `%s` in the next record tells by how many. The counters are exact.", telemetry.FieldSuppressed)
	p("On stderr each is a line of JSON with `timestamp`, `level`, `msg` (the name), `trace_id` and `span_id`; over OTLP the name is the event name.\n")
	p("| field | meaning |\n|---|---|")
	for _, f := range telemetry.Fields() {
		p("| `%s` | %s |", f.Name, f.Meaning)
	}
	p("\n## Spans\n")
	p("`POST /wechatpay/{merchant}` → `%s`, `%s`. `%s` links to the `%s` that made its row durable, a trace of its own with the SQL spans (begin, commit, and of statements that are alike the first; `%s` counts the rest) and `%s`, `%s` (seconds). What is shed at the door has no span.",
		telemetry.SpanOpen, telemetry.SpanRecord, telemetry.SpanRecord, telemetry.SpanCommit, telemetry.AttrSpansOmitted, telemetry.AttrBatchSize, telemetry.AttrBatchWaited)
	p("The server span links to the first and the previous arrival of the same notification; `%s` says which link is which. A span is an error when the failure pages somebody.", telemetry.AttrLink)
	p("Where nothing exports traces no span is recorded, and there are no exemplars. The ids are made all the same and stand in records and rows; a stored `traceparent` then ends in `-00`.\n")
	p("## Reasons\n")
	p("| reason | answer | class | English | 中文 |\n|---|---|---|---|---|")
	for _, r := range callback.Reasons() {
		var answers, classes []string
		for _, c := range r.Classes() {
			classes = append(classes, string(c))
			if s := fmt.Sprint(r.Status(c)); !slices.Contains(answers, s) {
				answers = append(answers, s)
			}
		}
		p("| `%s` | %s | %s | %s | %s |", r, strings.Join(answers, ", "), strings.Join(classes, ", "), r.English(), r.Chinese())
	}
	return b.Bytes()
}

// golden compares got with a file, or writes the file with -update.
func golden(t *testing.T, path string, got []byte) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs (run with -update to accept):\n%s", path, firstDifference(string(got), string(want)))
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		var a, b string
		if i < len(g) {
			a = g[i]
		}
		if i < len(w) {
			b = w[i]
		}
		if a != b {
			return fmt.Sprintf("line %d\n got: %s\nwant: %s", i+1, a, b)
		}
	}
	return ""
}

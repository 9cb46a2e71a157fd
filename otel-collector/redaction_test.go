package otelcollector_test

import (
	"encoding/base64"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/uuid"
	"go.yaml.in/yaml/v3"

	"wxnotify/service/callback"
	"wxnotify/service/telemetry"
)

// lock is one redaction processor of config.yaml.
type lock struct {
	AllKeys        bool     `yaml:"allow_all_keys"`
	AllTypes       bool     `yaml:"redact_all_types"`
	Allowed        []string `yaml:"allowed_keys"`
	Ignored        []string `yaml:"ignored_keys"`
	Values         []string `yaml:"blocked_values"`
	AllowedValues  []string `yaml:"allowed_values"`
	IgnoredPattern []string `yaml:"ignored_key_patterns"`
}

// signals are the second halves of the processors' names.
var signals = []string{"metrics", "logs", "traces"}

func locks(t *testing.T) map[string]lock {
	t.Helper()
	raw, err := os.ReadFile("config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var config struct {
		Processors map[string]yaml.Node
	}
	if err := yaml.Unmarshal(raw, &config); err != nil {
		t.Fatal(err)
	}
	found := map[string]lock{}
	for _, signal := range signals {
		var l lock
		node, ok := config.Processors["redaction/"+signal]
		if !ok {
			t.Fatalf("no redaction/%s", signal)
		}
		if err := node.Decode(&l); err != nil {
			t.Fatal(err)
		}
		found[signal] = l
	}
	return found
}

func (l lock) keys() []string { return slices.Concat(l.Allowed, l.Ignored) }

// onSpans are the fields that the service puts on spans; the others are the
// record's alone.
var onSpans = []string{
	telemetry.FieldCallbackID, telemetry.FieldMerchant, telemetry.FieldAPI, telemetry.FieldStatus, telemetry.FieldClass,
	telemetry.FieldReason, telemetry.FieldPeer, telemetry.FieldEventType, telemetry.FieldNotificationID,
	telemetry.FieldTransactionID, telemetry.FieldOutTradeNo, telemetry.FieldRefundID, telemetry.FieldResultCode,
	telemetry.FieldEventID, telemetry.FieldArrival,
	telemetry.AttrBatchSize, telemetry.AttrBatchWaited, telemetry.AttrSpansOmitted, telemetry.AttrLink,
}

// TestKeysThatPass: everything the service emits by contract passes, and what
// must not be on a signal is not let through there.
func TestKeysThatPass(t *testing.T) {
	t.Parallel()
	all := locks(t)
	for signal, l := range all {
		if l.AllKeys || !l.AllTypes || len(l.AllowedValues)+len(l.IgnoredPattern) > 0 || len(l.Values) == 0 {
			t.Errorf("redaction/%s does not fail closed", signal)
		}
		keys := l.keys()
		slices.Sort(keys)
		if twice := len(keys) - len(slices.Compact(slices.Clone(keys))); twice > 0 {
			t.Errorf("redaction/%s names %d keys twice", signal, twice)
		}
	}

	for _, f := range telemetry.Fields() {
		passes(t, all, "logs", f.Name)
	}
	for _, field := range lifeFields(t) {
		passes(t, all, "logs", field)
	}
	for _, name := range onSpans {
		passes(t, all, "traces", name)
	}
	for _, i := range telemetry.Instruments() {
		for _, label := range i.Labels {
			passes(t, all, "metrics", label)
		}
	}
	for _, resource := range []string{
		"service.name", "service.namespace", "service.version", "service.instance.id", "deployment.environment.name",
		"telemetry.sdk.name", "telemetry.sdk.language", "telemetry.sdk.version", "host.name", "k8s.pod.name",
	} {
		for _, signal := range signals {
			passes(t, all, signal, resource)
		}
	}

	for _, f := range telemetry.Fields() {
		if strings.HasPrefix(f.Name, "wechatpay.") && slices.Contains(all["metrics"].keys(), f.Name) {
			t.Errorf("%s may be on a metric", f.Name)
		}
		if !slices.Contains(onSpans, f.Name) && strings.HasPrefix(f.Name, "wechatpay.") && slices.Contains(all["traces"].Allowed, f.Name) {
			t.Errorf("%s may be on a span, and the service never puts it there", f.Name)
		}
	}
}

func passes(t *testing.T, all map[string]lock, signal, key string) {
	t.Helper()
	if !slices.Contains(all[signal].keys(), key) {
		t.Errorf("redaction/%s removes %s", signal, key)
	}
}

// lifeFields reads the names of the fields that the wiring's log lines have.
// otelslog turns "error" into the convention's exception.*.
func lifeFields(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../service/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal("no service", err)
	}
	var fields []string
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			verb, ok := call.Fun.(*ast.SelectorExpr)
			if !ok || !slices.Contains([]string{"InfoContext", "WarnContext", "ErrorContext"}, verb.Sel.Name) {
				return true
			}
			for i := 2; i < len(call.Args); i += 2 {
				if text, ok := call.Args[i].(*ast.BasicLit); ok {
					field, err := strconv.Unquote(text.Value)
					if err != nil {
						t.Fatal(err)
					}
					fields = append(fields, field)
				}
			}
			return true
		})
	}
	if !slices.Contains(fields, "merchants") || !slices.Contains(fields, "error") {
		t.Fatalf("the log lines of service/ have %v: are they read wrongly?", fields)
	}
	fields = slices.DeleteFunc(fields, func(f string) bool { return f == "error" })
	return append(fields, "exception.type", "exception.message")
}

// mask does to text what the processor does to a value.
func mask(t *testing.T, text string) string {
	t.Helper()
	for _, pattern := range locks(t)["logs"].Values {
		text = regexp.MustCompile(pattern).ReplaceAllString(text, "****")
	}
	return text
}

// secrets are what the second lock recognises by its form.
var secrets = map[string]string{
	"mobile":        "13912345678",
	"mobile, 86":    "+8613912345678",
	"mobile, typed": "139 1234 5678",
	"identity card": "11010519491231002X",
	"bank card":     "6222021234567890123",
	"card, typed":   "6222 0212 3456 7890",
	"openid":        "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o",
	"APIv3 key":     "Abcdefghijklmnopqrstuvwxyz012345",
	"APIv2 sign":    "C380BEC2BFD727A4B6845133519F3AD6",
	"private key":   "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END PRIVATE KEY-----",
}

func TestSecretsAreMasked(t *testing.T) {
	t.Parallel()
	for name, secret := range secrets {
		for _, around := range []string{
			"%s", "payer %s refused", `{"a":"%s","b":1}`, "<a>%s</a>", "a=%s&b=1", "tel.%s", "号码%s。", "%[1]s %[1]s %[1]s", "%[1]s,%[1]s",
		} {
			if got := mask(t, fmt.Sprintf(around, secret)); strings.Contains(got, secret) || !strings.Contains(got, "****") {
				t.Errorf("%s: %q stays %q", name, fmt.Sprintf(around, secret), got)
			}
		}
	}
}

// TestWhatIsOursStays: nothing that the service means to tell looks like a
// secret, whatever the dice say.
func TestWhatIsOursStays(t *testing.T) {
	t.Parallel()
	dice := rand.New(rand.NewPCG(1, 2))
	patterns := make([]*regexp.Regexp, 0, 6)
	for _, p := range locks(t)["logs"].Values {
		patterns = append(patterns, regexp.MustCompile(p))
	}
	stays := func(text string) {
		for _, p := range patterns {
			if found := p.FindString(text); found != "" {
				t.Errorf("%q is taken for a secret (%s) in %.300s", found, p, text)
			}
		}
	}
	for range 1000 {
		ciphertext, id := make([]byte, 400+dice.IntN(2000)), uuid.UUID{}
		for i := range ciphertext {
			ciphertext[i] = byte(dice.IntN(256))
		}
		for i := range id {
			id[i] = byte(dice.IntN(256))
		}
		stays(`{"id":"` + id.String() + `","create_time":"2026-11-23T10:34:56+08:00","resource_type":"encrypt-resource",` +
			`"event_type":"TRANSACTION.SUCCESS","summary":"支付成功","resource":{"original_type":"transaction","algorithm":"AEAD_AES_256_GCM",` +
			`"ciphertext":"` + base64.StdEncoding.EncodeToString(ciphertext) + `","associated_data":"transaction","nonce":"fdasflkja484"}}`)
		stays(strconv.FormatFloat(dice.ExpFloat64(), 'g', -1, 64))           // seconds
		stays(strconv.FormatInt(1_700_000_000+dice.Int64N(200_000_000), 10)) // Unix time
		stays(fmt.Sprintf("EV-20261123%012d", dice.Int64N(1e12)))            // 通知ID
		stays(fmt.Sprintf("42000012342026%014d", dice.Int64N(1e14)))         // 微信支付订单号
		stays(fmt.Sprintf("%040X", ciphertext[:20]))                         // serial of a certificate
		stays("PUB_KEY_ID_0116" + fmt.Sprintf("%024d", dice.Int64N(1e15)))
	}
	for _, reason := range callback.Reasons() {
		stays(string(reason))
		stays(reason.English())
		stays(reason.Chinese())
	}
	for _, text := range []string{
		"INSERT INTO callbacks (id, merchant, received_at, body_hash) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
		"/wechatpay/{merchant}", "203.0.113.0/24", "2001:db8:1::/48", "v0.0.0-20261123170803-abcdef012345",
		"Mozilla/4.0", "wechatpay.callback.handled", "WECHATPAY2-SHA256-RSA2048", "*errors.errorString", "[::]:8080",
		"<xml><appid>wx2421b1c4370ec43b</appid><mch_id>1900000109</mch_id><time_end>20261123103456</time_end></xml>",
	} {
		stays(text)
	}
}

// merchantNames are legal ones, some of them of the form of a secret.
var merchantNames = []string{
	"shop", "a", "13800138000", "aaaaaaaaaaaaaaaa1111111111111111", "official-shop-beijing-flower", "6222021234567890123",
	"11010519491231002x", strings.Repeat("-", 32), callback.OtherMerchant,
}

// TestMerchantNamesPass: a failure whose merchant is masked reaches nobody, so a
// name is not looked at for secrets, only for the form of a name.
func TestMerchantNamesPass(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	all := locks(t)
	for signal, attribute := range map[string]string{
		"metrics": `datapoint.attributes["merchant"]`,
		"logs":    `log.attributes["wechatpay.merchant"]`,
		"traces":  `span.attributes["wechatpay.merchant"]`,
	} {
		key := strings.Split(attribute, `"`)[1]
		if !slices.Contains(all[signal].Ignored, key) {
			t.Errorf("redaction/%s takes a %s for a secret", signal, key)
		}
		guard := regexp.MustCompile(regexp.QuoteMeta(`set(`+attribute+`, "_OTHER") where `+attribute+` != nil and not IsMatch(`+attribute+`, "`) + `([^"]+)"\)`)
		found := guard.FindSubmatch(raw)
		if found == nil {
			t.Errorf("transform/%s lets any %s pass", signal, key)
			continue
		}
		form := regexp.MustCompile(string(found[1]))
		for _, name := range append([]string{"", "a@b", "A", "a b", "\nshop", strings.Repeat("a", 33), "_other", "shop\n"}, merchantNames...) {
			if want := name == callback.OtherMerchant || callback.IsMerchantName(name); form.MatchString(name) != want {
				t.Errorf("transform/%s: %q is a name: %v, want %v", signal, name, !want, want)
			}
		}
	}
}

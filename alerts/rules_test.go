package alerts_test

import (
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"

	promql "github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"

	"wxnotify/service/callback"
)

// ruleFile is a file of Prometheus rules, read strictly.
type ruleFile struct {
	Groups []ruleGroup `yaml:"groups"`
}

type ruleGroup struct {
	Name     string        `yaml:"name"`
	Interval string        `yaml:"interval,omitempty"`
	Rules    []shippedRule `yaml:"rules"`
}

// shippedRule is an alert, or a recording when it has no Alert.
type shippedRule struct {
	Record        string            `yaml:"record,omitempty"`
	Alert         string            `yaml:"alert,omitempty"`
	Expr          string            `yaml:"expr"`
	For           string            `yaml:"for,omitempty"`
	KeepFiringFor string            `yaml:"keep_firing_for,omitempty"`
	Labels        map[string]string `yaml:"labels,omitempty"`
	Annotations   map[string]string `yaml:"annotations,omitempty"`
}

// everyRule is one row per alerting rule, in the order of the files: what is
// promised to Alertmanager's routes, the runbooks and the dashboard. A panel of
// "" is none.
var everyRule = []struct{ file, alert, severity, panel string }{
	{"callback", "WechatPayCallbackFailed", `{{ if eq $labels.class "proven" }}critical{{ else }}warning{{ end }}`, "10"},
	{"callback", "WechatPayNotificationOutstanding", "critical", "4"},
	{"callback", "WechatPayCallbackSilence", "warning", "6"},
	{"callback", "WechatPayAllRefused", "critical", "11"},
	{"callback", "WechatPayOutstandingUnchanged", "none", "4"},
	{"platform", "WechatPayKeyExpiring", "warning", "41"},
	{"platform", "WechatPayKeyExpiring", "critical", "41"},
	{"platform", "WechatPayClockSkew", "warning", "43"},
	{"platform", "WechatPaySpoolInUse", "critical", "52"},
	{"platform", "WechatPayDiskFilling", "warning", "53"},
	{"platform", "WechatPayDiskFilling", "critical", "53"},
	{"platform", "WechatPayServiceDown", "critical", "61"},
	{"platform", "WechatPayTelemetryAbsent", "critical", "62"},
	{"platform", "WechatPayTelemetryAbsent", "critical", "62"},
	{"platform", "WechatPayCollectorDropping", "warning", "63"},
	{"platform", "WechatPayCollectorDropping", "warning", "63"},
	{"platform", "WechatPayCollectorDropping", "warning", "63"},
	{"platform", "WechatPayPagerFailing", "critical", "66"},
	{"platform", "WechatPayPagerFailing", "warning", "67"},
	{"platform", "WechatPayAlertmanagerFailing", "warning", "65"},
	{"platform", "Watchdog", "none", ""},
	{"slo", "WechatPayErrorBudgetBurn", "critical", "12"},
	{"slo", "WechatPayErrorBudgetBurn", "warning", "12"},
}

// decode reads YAML and refuses what the type does not know.
func decode(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// shippedRules are the rules of one file, or of all files, in order.
func shippedRules(t *testing.T, names ...string) (all []shippedRule) {
	t.Helper()
	if len(names) == 0 {
		names = []string{"callback", "platform", "slo"}
	}
	for _, name := range names {
		var f ruleFile
		decode(t, filepath.Join("rules", name+".yml"), &f)
		for _, g := range f.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func alertsOnly(all []shippedRule) []shippedRule {
	return slices.DeleteFunc(all, func(r shippedRule) bool { return r.Alert == "" })
}

func parse(t *testing.T, expr string) promql.Expr {
	t.Helper()
	tree, err := promql.NewParser(promql.Options{}).ParseExpr(expr)
	if err != nil {
		t.Fatalf("%v:\n%s", err, expr)
	}
	return tree
}

func TestRulesAreThoseOfTheTable(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("rules/*.yml")
	if err != nil || len(files) != 3 {
		t.Fatalf("rules in %q, %v; this test knows three files", files, err)
	}
	var got []shippedRule
	for _, file := range []string{"callback", "platform", "slo"} {
		for _, r := range alertsOnly(shippedRules(t, file)) {
			if n := len(got); n < len(everyRule) && everyRule[n].file != file {
				t.Errorf("%s is in %s.yml; want %s.yml", r.Alert, file, everyRule[n].file)
			}
			got = append(got, r)
		}
	}
	if len(got) != len(everyRule) {
		t.Fatalf("%d alerting rules; want %d", len(got), len(everyRule))
	}
	for i, want := range everyRule {
		r := got[i]
		if r.Alert != want.alert || r.Labels["severity"] != want.severity {
			t.Errorf("rule %d is %s (%s); want %s (%s)", i, r.Alert, r.Labels["severity"], want.alert, want.severity)
		}
		if r.For == "" {
			t.Errorf("%s does not say how long it waits", r.Alert)
		}
		checkLinks(t, r, want.panel)
		checkWords(t, r)
	}
}

func checkLinks(t *testing.T, r shippedRule, panel string) {
	t.Helper()
	const (
		grafana = `{{ or $externalLabels.grafana_url "http://localhost:3000" }}/d/wxnotify-callbacks` +
			`?var-environment={{ or $labels.deployment_environment_name "$__all" | urlquery }}` +
			`&var-merchant={{ or $labels.merchant "$__all" | urlquery }}`
		runbooks = `{{ or $externalLabels.runbooks_url (printf "%s/user" $externalURL) }}/`
	)
	page := r.Alert + ".html"
	switch r.Alert {
	case "WechatPayCallbackFailed":
		page += "#{{ $labels.error_type }}"
	case "WechatPayOutstandingUnchanged": // nobody is told of it
		page = "WechatPayNotificationOutstanding.html"
	}
	if panel != "" {
		panel = "&viewPanel=" + panel
	}
	for name, want := range map[string]string{
		"runbook_url": runbooks + page, "dashboard_url": grafana, "panel_url": grafana + panel,
	} {
		if got := r.Annotations[name]; got != want {
			t.Errorf("%s: %s is\n%s\nwant\n%s", r.Alert, name, got, want)
		}
	}
}

// checkWords wants a headline that stands for a whole group, and two lines, one
// in each language.
func checkWords(t *testing.T, r shippedRule) {
	t.Helper()
	names := slices.Sorted(maps.Keys(r.Annotations))
	want := []string{"dashboard_url", "description", "panel_url", "runbook_url", "summary"}
	if r.Alert == "WechatPayCallbackFailed" || r.Alert == "WechatPayNotificationOutstanding" {
		want = append([]string{"count"}, want...) // the mail's subject says how many
	}
	if !slices.Equal(names, want) {
		t.Errorf("%s has the annotations %q; want %q", r.Alert, names, want)
	}
	english, chinese, both := strings.Cut(r.Annotations["summary"], " · ")
	if !both || han(english) || !han(chinese) || strings.Contains(r.Annotations["summary"], "{{") {
		t.Errorf("%s: summary %q; want a fixed sentence in English · Chinese", r.Alert, r.Annotations["summary"])
	}
	// What begins with a trimming action continues the line before it.
	var lines []string
	for line := range strings.Lines(r.Annotations["description"]) {
		if strings.HasPrefix(line, "{{-") && len(lines) > 0 {
			lines[len(lines)-1] += line
		} else if !strings.HasPrefix(line, "{{-") {
			lines = append(lines, line)
		}
	}
	if len(lines) != 2 || han(lines[0]) || !han(lines[1]) {
		t.Errorf("%s: want two lines, English and Chinese:\n%q", r.Alert, lines)
	}
}

func han(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) }) >= 0
}

// TestPagingExpressionIsTheOwnersRule holds the rule against the sentence "one
// failure in five minutes, or more" as it was agreed, word for word.
func TestPagingExpressionIsTheOwnersRule(t *testing.T) {
	t.Parallel()
	const agreed = `
		max by (deployment_environment_name, merchant, error_type, class) (wechatpay_callback_failures{class=~"proven|unproven"}) > 0
		or sum by (deployment_environment_name, merchant, error_type, class) (increase(wechatpay_callback_processed_total{outcome="failed",class=~"proven|unproven"}[5m])) > 0`
	r := shippedRules(t, "callback")[0]
	if got, want := parse(t, r.Expr).String(), parse(t, agreed).String(); got != want {
		t.Errorf("the rule is\n%s\nwant\n%s", got, want)
	}
	if r.For != "0s" || r.KeepFiringFor != "15m" {
		t.Errorf("for %s, keep_firing_for %s; want 0s, 15m", r.For, r.KeepFiringFor)
	}
}

// TestAggregationKeepsTheEnvironment: two environments in one Prometheus are two
// incidents, and replicas are not.
func TestAggregationKeepsTheEnvironment(t *testing.T) {
	t.Parallel()
	// The targets need not say which environment they are of.
	const anyReplica = `max(up{job="wxnotify-up"})`
	for _, r := range shippedRules(t) {
		promql.Inspect(parse(t, r.Expr), func(n promql.Node, path []promql.Node) error {
			if a, ok := n.(*promql.AggregateExpr); ok && (a.Without || !slices.Contains(a.Grouping, "deployment_environment_name")) && a.String() != anyReplica {
				t.Errorf("%s%s loses the environment: %s", r.Alert, r.Record, a)
			}
			return nil
		})
	}
}

// TestTextsKnowWhatIsNotSentAgain: texts name the reasons that WeChat Pay was
// told are received. The registry decides which those are.
func TestTextsKnowWhatIsNotSentAgain(t *testing.T) {
	t.Parallel()
	var kept []string
	for _, reason := range callback.Reasons() {
		if reason.Quarantined() {
			kept = append(kept, string(reason))
		}
	}
	want := `match "^(` + strings.Join(kept, "|") + `)$" $labels.error_type`
	for _, r := range alertsOnly(shippedRules(t, "callback"))[:2] {
		if !strings.Contains(r.Annotations["description"], want) {
			t.Errorf("%s does not know the quarantined reasons: want %s", r.Alert, want)
		}
	}
}

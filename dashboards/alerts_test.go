package dashboards_test

import (
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// unlinked are the alerts without a panel.
var unlinked = map[string]string{
	"Watchdog": "always fires, so there is nothing to look at",
}

// undrawn are numbers in an alert's expression that its panel does not show as
// a threshold.
var undrawn = map[string]struct {
	numbers []float64
	why     string
}{
	"WechatPayAllRefused":      {[]float64{0, 6}, "counts in five minutes; the panel shows rates, and the condition is their absence"},
	"WechatPayCallbackSilence": {[]float64{10}, "how busy yesterday and last week were; the panel shows the age, with the alert's for: 30m"},
	"WechatPayErrorBudgetBurn": {[]float64{10}, "how many failures a window must have before its ratio means anything"},
	"WechatPayDiskFilling":     {[]float64{0}, "where the trend leads"},
}

// unalerted are thresholds that no alert compares with.
var unalerted = map[int]struct {
	steps []float64
	why   string
}{
	1:  {[]float64{1}, "one failure"},
	3:  {[]float64{1}, "one failure"},
	5:  {[]float64{0.01}, "any money at all"},
	18: {[]float64{1}, "one notification"},
	6:  {[]float64{1800}, "the silence alert's for: 30m"},
	7:  {[]float64{2.5, 5}, "our own deadline and WeChat Pay's"},
	13: {[]float64{2.5, 5}, "our own deadline and WeChat Pay's"},
	16: {[]float64{2.5}, "our own deadline"},
	72: {[]float64{2.5, 5}, "our own deadline and WeChat Pay's"},
	43: {[]float64{-60}, "the other direction"},
	54: {[]float64{30}, "when the store's gauges become absent, see telemetry.SnapshotAge"},
	61: {[]float64{1}, "up"},
	62: {[]float64{60}, "the window in which metrics must have come"},
}

// TestAlertsLeadToTheirPanels: each alert links to a panel that is there, and the
// panel changes its colour where the alert speaks.
func TestAlertsLeadToTheirPanels(t *testing.T) {
	t.Parallel()
	b := shipped(t)
	panels := map[int]panel{}
	for _, p := range b.all() {
		panels[p.ID] = p
	}
	spoken := map[int][]float64{}
	alerts := 0
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		alerts++
		if unlinked[r.Alert] != "" {
			continue
		}
		id := r.panel()
		p, exists := panels[id]
		if !exists {
			t.Errorf("%s links to panel %d, which does not exist", r.Alert, id)
			continue
		}
		drawn := steps(t, p)
		for _, n := range limitsOf(parsed(t, r.Expr)) {
			spoken[id] = append(spoken[id], n)
			if slices.ContainsFunc(undrawn[r.Alert].numbers, same(n)) {
				continue
			}
			// Counts are whole: above 0 is 1 and more.
			if !slices.ContainsFunc(drawn, same(n)) && (n != 0 || !slices.Contains(drawn, 1)) {
				t.Errorf("%s compares with %v; panel %d changes its colour at %v", r.Alert, n, id, drawn)
			}
		}
	}
	if alerts < 14 {
		t.Errorf("%d alerts; this test looks at nothing", alerts)
	}
	for _, p := range b.all() {
		for _, s := range steps(t, p) {
			known := slices.ContainsFunc(spoken[p.ID], same(s)) || slices.ContainsFunc(unalerted[p.ID].steps, same(s)) ||
				s == 1 && slices.Contains(spoken[p.ID], 0)
			if !known {
				t.Errorf("panel %d changes its colour at %v, and no alert that links to it knows the number", p.ID, s)
			}
		}
	}
}

// panel is the id of the panel that an alert links to, 0 when to none. The rest of
// the address is held in the tests of the rules.
func (r rule) panel() int {
	_, id, _ := strings.Cut(r.Annotations["panel_url"], "&viewPanel=")
	n, _ := strconv.Atoi(id)
	return n
}

// same tolerates what 14.4 * 0.001 is in binary.
func same(n float64) func(float64) bool {
	return func(m float64) bool { return math.Abs(n-m) <= 1e-9*math.Abs(n) }
}

// steps are the numbers at which a panel changes its colour, those of single
// columns and series too.
func steps(t *testing.T, p panel) []float64 {
	t.Helper()
	all := []thresholds{p.FieldConfig.Defaults.Thresholds}
	for _, o := range p.FieldConfig.Overrides {
		for _, property := range o.Properties {
			if property.ID != "thresholds" {
				continue
			}
			var own thresholds
			if err := json.Unmarshal(property.Value, &own); err != nil {
				t.Fatal(err)
			}
			all = append(all, own)
		}
	}
	var numbers []float64
	for _, of := range all {
		for _, s := range of.Steps {
			if s.Value != nil {
				numbers = append(numbers, *s.Value)
			}
		}
	}
	return numbers
}

// TestRedMeansAct: red is on panels that a critical alert links to, and on the
// few that stand for them on the first screen or hold WeChat Pay's limit.
func TestRedMeansAct(t *testing.T) {
	t.Parallel()
	may := map[int]bool{1: true, 2: true, 3: true, 5: true, 7: true, 13: true, 18: true, 72: true}
	for _, r := range rules(t) {
		if r.Labels["severity"] != "warning" {
			may[r.panel()] = true
		}
	}
	for _, p := range shipped(t).all() {
		for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
			if s.Color == "red" && !may[p.ID] {
				t.Errorf("panel %d is red, and nobody has to act", p.ID)
			}
		}
	}
}

// TestPagingExpression: what the dashboard calls failing is what the alert calls
// failing, to the letter, once the reader's choices are taken out.
func TestPagingExpression(t *testing.T) {
	t.Parallel()
	var alert string
	for _, r := range rules(t) {
		if r.Alert == "WechatPayCallbackFailed" {
			alert = unchosen(parsed(t, r.Expr))
		}
	}
	if alert == "" {
		t.Fatal("no alert WechatPayCallbackFailed")
	}
	for _, q := range shipped(t).questions() {
		switch q.panel {
		case 10:
			if got := unchosen(parsed(t, q.expr)); got != alert {
				t.Errorf("panel 10 asks\n%s\nthe alert\n%s", got, alert)
			}
		case 1, 3:
			if got := unchosen(parsed(t, q.expr)); !strings.Contains(got, fmt.Sprintf("floor(%s)", alert)) {
				t.Errorf("panel %d asks\n%s\nthe alert\n%s", q.panel, got, alert)
			}
		}
	}
}

// unchosen is an expression without the matchers that hold the reader's choices.
func unchosen(e parser.Expr) string {
	each(e, func(v *parser.VectorSelector) {
		v.LabelMatchers = slices.DeleteFunc(v.LabelMatchers, func(m *labels.Matcher) bool { return strings.HasPrefix(m.Value, "$") })
	})
	return e.String()
}

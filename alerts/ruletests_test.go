package alerts_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// ruleTests is a file of promtool's, as far as it is looked at here.
type ruleTests struct {
	Files []string `yaml:"rule_files"`
	Tests []struct {
		Name   string `yaml:"name"`
		Alerts []struct {
			Alert string `yaml:"alertname"`
			Want  []any  `yaml:"exp_alerts"`
		} `yaml:"alert_rule_test"`
		Queries []struct {
			Expr string `yaml:"expr"`
			Want []struct {
				Labels string `yaml:"labels"`
			} `yaml:"exp_samples"`
		} `yaml:"promql_expr_test"`
	} `yaml:"tests"`
}

// TestEveryAlertFiresAndIsSilentSomewhere looks through promtool's tests: an alert
// that nothing has seen fire, or stay silent, is a guess.
func TestEveryAlertFiresAndIsSilentSomewhere(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("rules/tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	fires, silent := map[string]bool{}, map[string]bool{"Watchdog": true}
	for _, file := range files {
		var f ruleTests
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(text, &f); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		var loaded []string
		for _, rules := range f.Files {
			for _, r := range alertsOnly(shippedRules(t, strings.TrimSuffix(filepath.Base(rules), ".yml"))) {
				loaded = append(loaded, r.Alert)
			}
		}
		for _, test := range f.Tests {
			for _, a := range test.Alerts {
				if !slices.Contains(loaded, a.Alert) {
					t.Errorf("%s: %s: there is no alert %s", file, test.Name, a.Alert)
				}
				fires[a.Alert] = fires[a.Alert] || len(a.Want) > 0
				silent[a.Alert] = silent[a.Alert] || len(a.Want) == 0
			}
			for _, q := range test.Queries {
				everyone := strings.Contains(q.Expr, "ALERTS") && !strings.Contains(q.Expr, "alertname=")
				for _, alert := range loaded {
					asked := everyone || strings.Contains(q.Expr, `alertname="`+alert+`"`)
					silent[alert] = silent[alert] || asked && len(q.Want) == 0
					for _, s := range q.Want {
						fires[alert] = fires[alert] || strings.Contains(s.Labels, `alertname="`+alert+`"`)
					}
				}
			}
		}
	}
	for _, r := range alertsOnly(shippedRules(t)) {
		if !fires[r.Alert] {
			t.Errorf("no test sees %s fire", r.Alert)
		}
		if !silent[r.Alert] {
			t.Errorf("no test sees %s stay silent", r.Alert)
		}
	}
}

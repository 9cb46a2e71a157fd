//go:build stack

package main

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// fenced is a query in a runbook, ready to be copied.
var fenced = regexp.MustCompile("(?ms)^ *(?:\\d\\. )?```(promql|logql)\n *(.*?)\n *```$")

// unanswered are the runbooks' queries that rightly find nothing after the run,
// and why.
var unanswered = map[string]string{
	`sum by (integration, reason) (rate(alertmanager_notifications_failed_total[5m])) > 0`:      "no page failed to get out",
	`sum by (integration, reason) (increase(alertmanager_notifications_failed_total[15m])) > 0`: "no page failed to get out",
	`{service_name="wxnotify", deployment_environment_name="busy"} |= "nobody can be told"`:     "somebody could be told",
}

// everyRunbook runs what the runbooks tell people to look at, until it shows
// something. Its examples give way to a merchant and an order of the run, and
// records are those of the run.
func everyRunbook(t *testing.T, s *stack, order string) {
	examples := strings.NewReplacer(
		`wechatpay_merchant="shop"`, `wechatpay_merchant="busy"`, `"T2026112300001"`, strconv.Quote(order),
		`{service_name="wxnotify"}`, `{service_name="wxnotify", deployment_environment_name="busy"}`,
	)
	stores := map[string]question{
		"promql": {store: "prometheus", instant: true, want: "vector"},
		"logql":  {store: "loki", want: "streams"},
	}
	files, err := filepath.Glob("../alerts/runbooks/*.md")
	if err != nil {
		t.Fatal(err)
	}
	rightly := maps.Clone(unanswered)
	asked, waiting := map[string]bool{}, map[string]func() bool{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range fenced.FindAllStringSubmatch(string(text), -1) {
			q := stores[block[1]]
			q.name, q.expr = filepath.Base(file), examples.Replace(block[2])
			delete(rightly, q.expr)
			if !asked[q.expr] { // the page's twin asks the same
				q.open(t, s, waiting, unanswered[q.expr])
			}
			asked[q.expr] = true
		}
	}
	if len(asked) < 12 {
		t.Errorf("the runbooks ask %d questions; this test looks at nothing", len(asked))
	}
	if len(rightly) > 0 {
		t.Errorf("no runbook asks %q", slices.Sorted(maps.Keys(rightly)))
	}
	untilAll(t, 90*time.Second, waiting)
}

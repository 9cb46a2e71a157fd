//go:build stack

package alerts_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"wxnotify/service/callback"
)

var seed = flag.Uint64("seed", 0, "repeat a run of TestEverySingleFailurePages; 0 draws a new one")

// TestEverySingleFailurePages draws 4,000 merchants with one failure each, and some
// with none: any interval between samples from 5 s to 60 s, jitter, any value to
// start from, restarts before the failure or right after it, a replica beside it.
// The shipped rule, in the real promtool, must see every failure at the very
// evaluation after its sample, and nothing else.
//
// The counter is all it gets: the store's gauge would make it easy.
func TestEverySingleFailurePages(t *testing.T) {
	t.Parallel()
	const shards, failing, healthy = 40, 100, 5
	if *seed == 0 {
		*seed = rand.Uint64()
	}
	t.Logf("repeat with -seed %d", *seed)
	dice := rand.New(rand.NewPCG(*seed, 0))

	dir := t.TempDir()
	writeYAML(t, filepath.Join(dir, "rules.yml"), pagingRule(t))
	args := []string{"test", "rules"}
	for shard := range shards {
		test := promtoolTest{Name: fmt.Sprintf("shard %d of seed %d", shard, *seed), Interval: "1s"}
		ask := promtoolQuery{At: fmt.Sprintf("%ds", randomEnd), Expr: "ALERTS_FOR_STATE"}
		for i := range failing + healthy {
			m := drawMerchant(dice, fmt.Sprintf("m%04d", shard*failing+i), i < failing)
			test.Series = append(test.Series, m.series...)
			if i < failing {
				ask.Want = append(ask.Want, m.firing)
			}
		}
		test.Queries = []promtoolQuery{ask}
		file := filepath.Join(dir, fmt.Sprintf("shard%02d.yml", shard))
		writeYAML(t, file, map[string]any{"rule_files": []string{"rules.yml"}, "evaluation_interval": "5s", "tests": []promtoolTest{test}})
		args = append(args, file)
	}
	promtool(t, args...)
}

// pagingRule is the shipped rule without its texts, which are of no account here
// and take most of the time.
func pagingRule(t *testing.T) ruleFile {
	t.Helper()
	for _, r := range shippedRules(t, "callback") {
		if r.Alert == "WechatPayCallbackFailed" {
			r.Annotations = nil
			return ruleFile{Groups: []ruleGroup{{Name: "paging", Rules: []shippedRule{r}}}}
		}
	}
	t.Fatal("there is no paging rule")
	return ruleFile{}
}

// All times in seconds. A run ends before keep_firing_for could let go of the
// first alert.
const (
	randomEnd    = 600
	failureFirst = 130 // two samples at the longest interval have been taken
	failureLast  = 480
	evaluation   = 5
)

type promtoolTest struct {
	Name     string           `yaml:"name"`
	Interval string           `yaml:"interval"`
	Series   []promtoolSeries `yaml:"input_series"`
	Queries  []promtoolQuery  `yaml:"promql_expr_test"`
}

type promtoolSeries struct {
	Series string `yaml:"series"`
	Values string `yaml:"values"`
}

type promtoolQuery struct {
	At   string           `yaml:"eval_time"`
	Expr string           `yaml:"expr"`
	Want []promtoolSample `yaml:"exp_samples"`
}

type promtoolSample struct {
	Labels string `yaml:"labels"`
	Value  int    `yaml:"value"`
}

// merchant is one draw: what Prometheus gets to see, and when it must fire.
type merchant struct {
	series []promtoolSeries
	firing promtoolSample
}

func drawMerchant(dice *rand.Rand, name string, fails bool) merchant {
	reason, class := drawReason(dice)
	start, interval := dice.IntN(3)*dice.IntN(1000), 5+dice.IntN(56)
	failure := randomEnd * 2 // never
	if fails {
		failure = failureFirst + dice.IntN(failureLast-failureFirst)
	}
	birth, death := 0, randomEnd // of the process that fails
	var m merchant
	add := func(instance string, samples samples) {
		labels := fmt.Sprintf("merchant=%q,api=\"v3\",outcome=\"failed\",class=%q,error_type=%q,instance=%q", name, class, reason, instance)
		m.series = append(m.series, promtoolSeries{"wechatpay_callback_processed_total{" + labels + "}", samples.String()})
	}

	restart := dice.IntN(3)
	if restart == 1 { // before the failure: the next process comes to its 1 under another id
		birth = failure - 1 - dice.IntN(failureFirst-2)
		if !fails {
			birth = randomEnd / 2
		}
		add("before", draw(dice, 0, birth, interval, func(int) int { return start }))
		start = 0
	}
	count := func(at int) int {
		if at >= failure {
			return start + 1
		}
		return start
	}
	samples := draw(dice, birth, death, interval, count)
	seen := samples.first(failure)
	if restart == 2 && fails { // killed when the failure was just out
		samples = samples[:seen+1]
		add("after", draw(dice, samples[seen].at+1, randomEnd, interval, func(int) int { return 0 }))
	}
	add("failing", samples)
	if dice.IntN(2) == 0 {
		many := dice.IntN(100000)
		add("replica", draw(dice, 0, randomEnd, interval, func(int) int { return many }))
	}

	if fails {
		severity := "critical"
		if class == callback.Unproven {
			severity = "warning"
		}
		m.firing = promtoolSample{
			Labels: fmt.Sprintf("ALERTS_FOR_STATE{alertname=\"WechatPayCallbackFailed\",severity=%q,merchant=%q,class=%q,error_type=%q}", severity, name, class, reason),
			Value:  (samples[seen].at + evaluation - 1) / evaluation * evaluation,
		}
	}
	return m
}

// drawReason draws a pair that pages.
func drawReason(dice *rand.Rand) (callback.Reason, callback.Class) {
	for {
		reasons := callback.Reasons()
		reason := reasons[dice.IntN(len(reasons))]
		class := reason.Classes()[dice.IntN(len(reason.Classes()))]
		if class.Pages() {
			return reason, class
		}
	}
}

type samples []struct{ at, value int }

// draw takes samples of a process from its birth, which it exports at once, to its
// death, up to a tenth of the interval early or late.
func draw(dice *rand.Rand, birth, death, interval int, count func(at int) int) (all samples) {
	for at := birth; at < death; {
		all = append(all, struct{ at, value int }{at, count(at)})
		jitter := interval / 10
		at += max(1, interval-jitter+dice.IntN(2*jitter+1))
	}
	return all
}

// first is the index of the first sample at or after a time.
func (s samples) first(at int) int {
	return slices.IndexFunc(s, func(one struct{ at, value int }) bool { return one.at >= at })
}

// String is promtool's notation, one place a second.
func (s samples) String() string {
	var b strings.Builder
	next := 0
	for _, one := range s {
		if gap := one.at - next; gap > 0 {
			fmt.Fprintf(&b, "_x%d ", gap)
		}
		fmt.Fprintf(&b, "%d ", one.value)
		next = one.at + 1
	}
	return strings.TrimSpace(b.String())
}

func writeYAML(t *testing.T, file string, value any) {
	t.Helper()
	text, err := yaml.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

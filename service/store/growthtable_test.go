package store_test

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// growthTable is what was measured, in the order in which it came first.
type growthTable struct {
	rows []*growthRow
}

type growthRow struct {
	engine, name string
	values       [growthRounds][2]float64 // empty and grown
}

func (t *growthTable) add(engine, name string, round int, grown bool, value float64) {
	at := slices.IndexFunc(t.rows, func(r *growthRow) bool { return r.engine == engine && r.name == name })
	if at < 0 {
		at = len(t.rows)
		t.rows = append(t.rows, &growthRow{engine: engine, name: name})
	}
	column := 0
	if grown {
		column = 1
	}
	t.rows[at].values[round][column] = value
}

// The goals: what a grown store may cost beside an empty one, and how long a
// start may take.
const (
	growthGoal = 1.2
	startGoal  = 3000 // ms
)

func (t *growthTable) print(to io.Writer) {
	_, _ = fmt.Fprintf(to, "| engine | measure | empty | grown | ratio: min / **median** / max | goal | met |\n|---|---|---|---|---|---|---|\n")
	slices.SortStableFunc(t.rows, func(a, b *growthRow) int { return strings.Compare(a.group()+a.name, b.group()+b.name) })
	for _, r := range t.rows {
		empty, grown, ratio := r.column(0), r.column(1), make([]float64, growthRounds)
		for i, pair := range r.values {
			ratio[i] = pair[1] / pair[0]
		}
		slices.Sort(ratio)
		ratios := fmt.Sprintf("%.2f / **%.2f** / %.2f", ratio[0], ratio[growthRounds/2], ratio[growthRounds-1])
		goal, met := fmt.Sprintf("≤ %.1f×", growthGoal), ratio[growthRounds/2] <= growthGoal
		switch {
		case strings.HasPrefix(r.name, "start"):
			goal, met = "≤ 3 s", grown <= startGoal
		case strings.HasPrefix(r.name, "purged"), strings.Contains(r.name, "slowest"):
			goal = ""
		}
		if r.values[0][0] == 0 {
			ratios = ""
		}
		verdict := map[bool]string{true: "yes", false: "no"}[met]
		if goal == "" {
			verdict = ""
		}
		_, _ = fmt.Fprintf(to, "| %s | %s | %.2f | %.2f | %s | %s | %s |\n", r.engine, r.name, empty, grown, ratios, goal, verdict)
	}
}

// group keeps an engine's rows together, by what they are about.
func (r *growthRow) group() string {
	order := []string{"accept, 1 ", "accept, 64 ", "sampler", "Find by n", "Find by o", "Find by t", "Callback", "Incidents", "Outstanding", "purging", "purged", "start", "memory"}
	return fmt.Sprintf("%s %02d", r.engine, slices.IndexFunc(order, func(o string) bool { return strings.HasPrefix(r.name, o) }))
}

// column is the median of one database.
func (r *growthRow) column(n int) float64 {
	var all []float64
	for _, pair := range r.values {
		all = append(all, pair[n])
	}
	slices.Sort(all)
	return all[len(all)/2]
}

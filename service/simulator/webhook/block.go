package webhook

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// beijing is the zone of the people who read this (Asia/Shanghai, without
// needing a time zone database).
var beijing = time.FixedZone("CST", 8*60*60)

// told is how many alerts of a page are shown one by one.
const told = 5

// links are the annotations that are shown as links, in this order.
var links = []struct{ annotation, name string }{
	{"runbook_url", "runbook"}, {"panel_url", "panel"}, {"dashboard_url", "dashboard"},
}

// block is the page as a person reads it in a terminal.
func (p Page) block() string {
	var b strings.Builder
	fmt.Fprintf(&b, "━━ %s  %s → %s ━━\n", p.At.In(beijing).Format("15:04:05"), p.headline(), p.Receiver)
	for _, a := range p.Alerts[:min(told, len(p.Alerts))] {
		a.write(&b)
	}
	if more := len(p.Alerts) - told + p.TruncatedAlerts; more > 0 {
		fmt.Fprintf(&b, "   … and %d more\n", more)
	}
	b.WriteByte('\n')
	return b.String()
}

// headline is such as "firing: 2 × WechatPayCallbackFailed".
func (p Page) headline() string {
	var names []string
	for _, a := range p.Alerts {
		names = append(names, a.Labels["alertname"])
	}
	slices.Sort(names)
	names = slices.Compact(names)
	what := strings.Join(names, ", ")
	if n := len(p.Alerts) + p.TruncatedAlerts; n > 1 {
		what = fmt.Sprintf("%d × %s", n, what)
	}
	return string(p.Status) + ": " + what
}

// write adds one alert: who and why, what it says, where to look.
func (a Alert) write(b *strings.Builder) {
	who := []string{string(a.Status)}
	for _, label := range []string{"severity", "deployment_environment_name", "merchant", "class", "error_type"} {
		if v := a.Labels[label]; v != "" {
			who = append(who, v)
		}
	}
	fmt.Fprintf(b, "   %s, since %s\n", strings.Join(who, " · "), a.StartsAt.In(beijing).Format("15:04:05"))
	for _, text := range []string{"summary", "description"} {
		for line := range strings.Lines(a.Annotations[text]) {
			if line = strings.TrimSpace(line); line != "" {
				fmt.Fprintf(b, "     %s\n", line)
			}
		}
	}
	for _, l := range links {
		if to := a.Annotations[l.annotation]; to != "" {
			fmt.Fprintf(b, "     %-9s %s\n", l.name, to)
		}
	}
	if a.Annotations["summary"] == "" {
		fmt.Fprintf(b, "     %s\n", cmp.Or(a.GeneratorURL, "no summary"))
	}
}

package dashboards_test

import (
	"encoding/json"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/prometheus/prometheus/promql/parser"

	"wxnotify/service/callback"
)

func chinese(text string) bool {
	return strings.ContainsFunc(text, func(r rune) bool { return unicode.Is(unicode.Han, r) })
}

// signed are the panels whose values may be below zero.
var signed = map[int]string{
	41: "a certificate that has expired",
	43: "a clock that is ahead",
}

// explained is a description of four paragraphs: what, normal, do, Chinese.
var explained = regexp.MustCompile(`^[^\n]{20,}\n\n\*\*Normal:\*\* \S[^\n]*\n\n\*\*Do:\*\* \S[^\n]{8,}\n\n[^\n]*\p{Han}[^\n]*$`)

// TestPanelsExplainThemselves: whoever is paged at night finds on every panel
// what is normal and what to do, in English and in Chinese.
func TestPanelsExplainThemselves(t *testing.T) {
	t.Parallel()
	for _, p := range shipped(t).all() {
		if english, han, ok := strings.Cut(p.Title, " · "); !ok || chinese(english) || !chinese(han) {
			t.Errorf("panel %d: title %q is not “English · 中文”", p.ID, p.Title)
		}
		if !explained.MatchString(p.Description) {
			t.Errorf("panel %d: description is not “what, Normal, Do, 中文”:\n%s", p.ID, p.Description)
		}
		look := p.FieldConfig.Defaults
		if look.Unit == "" || look.Decimals == nil || look.NoValue == "" || len(look.Thresholds.Steps) == 0 {
			t.Errorf("panel %d: unit %q, decimals %v, noValue %q, %d thresholds: one is missing",
				p.ID, look.Unit, look.Decimals, look.NoValue, len(look.Thresholds.Steps))
		}
		if !chinese(look.NoValue) {
			t.Errorf("panel %d: %q, shown when there is nothing, has no Chinese", p.ID, look.NoValue)
		}
		if _, may := signed[p.ID]; may == (look.Min != nil && *look.Min == 0) {
			t.Errorf("panel %d: min 0 or a reason why not, one of the two", p.ID)
		}
	}
}

// TestLegends: a line's last and highest value can be read without a mouse.
func TestLegends(t *testing.T) {
	t.Parallel()
	for _, p := range shipped(t).all() {
		if p.Type != "timeseries" {
			continue
		}
		raw, err := json.Marshal(p.Options["legend"])
		if err != nil {
			t.Fatal(err)
		}
		var legend struct {
			DisplayMode string
			ShowLegend  bool
			Calcs       []string
		}
		if err := json.Unmarshal(raw, &legend); err != nil {
			t.Fatal(err)
		}
		if legend.DisplayMode != "table" || !legend.ShowLegend || !slices.Equal(legend.Calcs, []string{"lastNotNull", "max"}) {
			t.Errorf("panel %d: legend %+v is no table with last and max", p.ID, legend)
		}
	}
}

// TestTables: text stays text. Grafana formats whatever looks like a number, and
// would round 微信支付订单号 4200002345202611240000000001 to 4.2e+27.
func TestTables(t *testing.T) {
	t.Parallel()
	for _, p := range shipped(t).all() {
		if p.Type != "table" {
			continue
		}
		if p.FieldConfig.Defaults.Unit != "string" {
			t.Errorf("panel %d: unit %q, want string for all but the columns that say otherwise", p.ID, p.FieldConfig.Defaults.Unit)
		}
		units := map[string]bool{}
		for _, o := range p.FieldConfig.Overrides {
			for _, property := range o.Properties {
				if column, ok := o.Matcher.Options.(string); ok && property.ID == "unit" {
					units[column] = true
				}
			}
		}
		for _, tr := range p.Transformations {
			headings, _ := tr.Options["renameByName"].(map[string]any)
			for field, heading := range headings {
				if number := strings.HasPrefix(field, "Value"); number != units[heading.(string)] {
					t.Errorf("panel %d: column %q holds numbers: %v, has a unit: %v", p.ID, heading, number, !number)
				}
			}
		}
	}
}

// TestGrid: stable ids, nothing overlaps, and the first row is one screen.
func TestGrid(t *testing.T) {
	t.Parallel()
	b := shipped(t)
	ids := map[int]string{}
	taken := map[[2]int]int{}
	place := func(p panel) {
		if other, twice := ids[p.ID]; twice || p.ID == 0 {
			t.Errorf("id %d of %q is 0 or also that of %q", p.ID, p.Title, other)
		}
		ids[p.ID] = p.Title
		if p.GridPos.W == 0 || p.GridPos.H == 0 || p.GridPos.X+p.GridPos.W > 24 {
			t.Errorf("panel %d lies at %+v", p.ID, p.GridPos)
		}
		for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
			for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
				if other := taken[[2]int{x, y}]; other != 0 {
					t.Errorf("panels %d and %d overlap at %d, %d", p.ID, other, x, y)
					return
				}
				taken[[2]int{x, y}] = p.ID
			}
		}
	}
	for _, p := range b.Panels {
		place(p)
		for _, folded := range p.Panels {
			place(folded)
		}
	}
	first := map[int]bool{}
	for _, p := range b.Panels {
		if p.Type == "row" {
			if p.GridPos.Y != 8 {
				t.Errorf("the first row takes %d lines, want 8: more does not fit one screen", p.GridPos.Y)
			}
			break
		}
		first[p.ID] = true
	}
	for id := 1; id <= 7; id++ {
		if !first[id] {
			t.Errorf("panel %d is not in the first row", id)
		}
	}
}

// TestSettings of the dashboard as a whole.
func TestSettings(t *testing.T) {
	t.Parallel()
	b := shipped(t)
	if b.UID != "wxnotify-callbacks" || b.Editable || b.SchemaVersion < 36 || b.Refresh == "" || b.GraphTooltip != 1 {
		t.Errorf("uid %q, editable %v, schema %d, refresh %q, crosshair %d", b.UID, b.Editable, b.SchemaVersion, b.Refresh, b.GraphTooltip)
	}
	names := map[string]variable{}
	for _, v := range b.Templating.List {
		names[v.Name] = v
	}
	for _, name := range []string{"environment", "merchant", "instance"} {
		v := names[name]
		if v.Type != "query" || v.AllValue != ".*" || v.Refresh != 2 || v.Current.Value != "$__all" {
			t.Errorf("variable %s: %+v", name, v)
		}
	}
	if !names["merchant"].Multi || !names["instance"].Multi {
		t.Error("several merchants and instances can be chosen at once")
	}
	for name, uid := range map[string]string{"prometheus": "wxnotify-prometheus", "loki": "wxnotify-loki", "jaeger": "wxnotify-jaeger"} {
		if v := names[name]; v.Type != "datasource" || v.Current.Value != uid {
			t.Errorf("data source variable %s: %+v", name, v)
		}
	}
}

// TestDataSources: none is wired in; the reader's variables choose.
func TestDataSources(t *testing.T) {
	t.Parallel()
	b := shipped(t)
	for _, p := range b.all() {
		if len(p.Targets) == 0 {
			t.Errorf("panel %d asks nothing", p.ID)
		}
		for i, target := range p.Targets {
			if target.Datasource != p.Datasource || target.Datasource.UID != "${"+target.Datasource.Type+"}" {
				t.Errorf("panel %d asks %+v, its data source is %+v", p.ID, target.Datasource, p.Datasource)
			}
			if want := string(rune('A' + i)); target.RefID != want {
				t.Errorf("panel %d: query %q, want %q", p.ID, target.RefID, want)
			}
			if target.Legend == "" && p.Type != "table" {
				t.Errorf("panel %d, query %s: its series have no name", p.ID, target.RefID)
			}
		}
	}
	for _, a := range b.Annotations.List {
		if a.Datasource.UID != "${prometheus}" {
			t.Errorf("annotation %q asks %+v", a.Name, a.Datasource)
		}
	}
}

// mirrors are the panels with windows of their own, and why.
var mirrors = map[int]string{
	1:  "WechatPayCallbackFailed",
	3:  "WechatPayCallbackFailed",
	10: "WechatPayCallbackFailed",
	2:  "WechatPayNotificationOutstanding: one minute, see gen.owed",
	4:  "WechatPayNotificationOutstanding",
	5:  "WechatPayNotificationOutstanding",
	18: "WechatPayNotificationOutstanding",
	7:  "one number for now, over the five minutes of the alerts",
	63: "WechatPayCollectorDropping",
	66: "WechatPayPagerFailing",
}

// TestIntervals: rates follow the width of the screen, except where a panel
// mirrors an alert and says the alert's own window.
func TestIntervals(t *testing.T) {
	t.Parallel()
	for _, q := range shipped(t).questions() {
		if q.store == "loki" {
			for _, window := range regexp.MustCompile(`\[([^\]]*)\]`).FindAllStringSubmatch(q.expr, -1) {
				if window[1] != "$__auto" {
					t.Errorf("panel %d: %s; want $__auto", q.panel, window[0])
				}
			}
			continue
		}
		each(parsed(t, q.expr), func(m *parser.MatrixSelector) {
			if _, mirror := mirrors[q.panel]; mirror == (m.Range == automatic) {
				t.Errorf("panel %d: window %s; want $__rate_interval, or the alert's where it mirrors one", q.panel, m.Range)
			}
		})
	}
}

// TestLinks: they stay on this Grafana or go where a variable says, and what they
// ask of Explore can be read.
func TestLinks(t *testing.T) {
	t.Parallel()
	b := shipped(t)
	all := slices.Clone(b.Links)
	for _, p := range b.all() {
		all = append(all, p.FieldConfig.Defaults.Links...)
		for _, o := range p.FieldConfig.Overrides {
			for _, property := range o.Properties {
				if property.ID != "links" {
					continue
				}
				var links []link
				if err := json.Unmarshal(property.Value, &links); err != nil {
					t.Fatal(err)
				}
				all = append(all, links...)
			}
		}
	}
	explored := 0
	for _, l := range all {
		if page, ok := strings.CutPrefix(l.URL, "${runbooks}/"); ok {
			page, section, _ := strings.Cut(page, "#")
			checkRunbook(t, page, section != "")
		}
		if l.Title == "" || !strings.HasPrefix(l.URL, "/") && !strings.HasPrefix(l.URL, "${runbooks}/") {
			t.Errorf("%q leads to %q", l.Title, l.URL)
		}
		if !strings.HasPrefix(l.URL, "/explore?") {
			continue
		}
		explored++
		u, err := url.Parse(l.URL)
		if err != nil {
			t.Fatal(err)
		}
		var panes map[string]any
		if err := json.Unmarshal([]byte(u.Query().Get("panes")), &panes); err != nil {
			t.Errorf("%q: %v\n%s", l.Title, err, u.Query().Get("panes"))
		}
	}
	if explored < 8 {
		t.Errorf("%d links to Explore", explored)
	}
}

// checkRunbook looks for the page, and for a section of each reason that a row of
// a table could name.
func checkRunbook(t *testing.T, page string, sections bool) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../alerts/runbooks/html", page))
	if err != nil {
		t.Error(err)
		return
	}
	for _, reason := range callback.Reasons() {
		if pages := slices.ContainsFunc(reason.Classes(), callback.Class.Pages); sections && pages && !strings.Contains(string(text), `id="`+string(reason)+`"`) {
			t.Errorf("%s has no section %s", page, reason)
		}
	}
}

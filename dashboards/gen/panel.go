package gen

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/variants"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"

	"wxnotify/service/callback"
)

// panel is what every panel says about itself, whatever it draws. Ids are
// stable: alerts and bookmarks link to them.
type panel struct {
	id            uint32
	width, height uint32
	title         string // English · 中文
	about         about
	unit          string
	decimals      float64
	signed        bool   // the value may be below zero
	empty         string // shown instead of "No data"
	mood          string // colour of the empty text; plain when nothing is said
	limits        limits
	queries       []query
	tints         []tint
	links         []link // from a value to where it leads
	overrides     []override
	at            *dashboard.GridPos
}

// about is a panel's description: what is normal, what to do, and both in Chinese.
type about struct{ what, normal, do, chinese string }

func (a about) String() string {
	return a.what + "\n\n**Normal:** " + a.normal + "\n\n**Do:** " + a.do + "\n\n" + a.chinese
}

// link leads from a value to a page.
type link struct{ title, url string }

func (l link) build() cog.Builder[dashboard.DashboardLink] {
	return dashboard.NewDashboardLinkBuilder(l.title).Type(dashboard.DashboardLinkTypeLink).Url(l.url).TargetBlank(true)
}

// override changes how one column or series looks.
type override struct {
	field      string
	properties []dashboard.DynamicConfigValue
}

// property is one setting of an override.
func property(id string, value any) dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: id, Value: value}
}

// surface is what the builders of all kinds of panels have in common.
type surface[B any] interface {
	cog.Builder[dashboard.Panel]
	Id(id uint32) B
	Title(title string) B
	Description(text string) B
	Datasource(of dashboard.DataSourceRef) B
	GridPos(at dashboard.GridPos) B
	Span(columns uint32) B
	Height(rows uint32) B
	Unit(unit string) B
	Decimals(n float64) B
	Min(at float64) B
	NoValue(text string) B
	Mappings(of []dashboard.ValueMapping) B
	Thresholds(of cog.Builder[dashboard.ThresholdsConfig]) B
	Targets(of []cog.Builder[variants.Dataquery]) B
	DataLinks(of []cog.Builder[dashboard.DashboardLink]) B
	OverrideByRegexp(pattern string, with []dashboard.DynamicConfigValue) B
	OverrideByName(name string, with []dashboard.DynamicConfigValue) B
}

// dress puts on a builder what the panel says about itself.
func dress[B surface[B]](b B, p panel) B {
	of := metrics
	if len(p.queries) > 0 && p.queries[0].logs {
		of = records
	}
	b = b.Id(p.id).Title(p.title).Description(p.about.String()).Datasource(of).Unit(p.unit).Decimals(p.decimals).
		NoValue(p.empty).Thresholds(p.limits.build()).Span(p.width).Height(p.height)
	if p.at != nil {
		b = b.GridPos(*p.at)
	}
	if !p.signed {
		b = b.Min(0)
	}
	var targets []cog.Builder[variants.Dataquery]
	for i, q := range p.queries {
		targets = append(targets, q.build(string(rune('A'+i))))
	}
	b = b.Targets(targets)
	if len(p.links) > 0 {
		var links []cog.Builder[dashboard.DashboardLink]
		for _, l := range p.links {
			links = append(links, l.build())
		}
		b = b.DataLinks(links)
	}
	for _, t := range p.tints {
		b = b.OverrideByRegexp(t.pattern, []dashboard.DynamicConfigValue{t.property()})
	}
	for _, o := range p.overrides {
		b = b.OverrideByName(o.field, o.properties)
	}
	return b
}

// number draws the panel as big figures, coloured by its limits.
func (p panel) number() cog.Builder[dashboard.Panel] {
	mood := p.mood
	if mood == "" {
		mood = plain
	}
	return dress(stat.NewPanelBuilder(), p).
		Mappings([]dashboard.ValueMapping{nothing(p.empty, mood)}).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).
		ColorMode(common.BigValueColorModeValue).GraphMode(common.BigValueGraphModeNone).
		TextMode(common.BigValueTextModeAuto).JustifyMode(common.BigValueJustifyModeCenter).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
}

// nothing shows an absent value as words, in a colour that says whether that is good.
func nothing(text, colour string) dashboard.ValueMapping {
	of := dashboard.NewSpecialValueMap()
	of.Options.Match = dashboard.SpecialValueMatchNullAndNan
	of.Options.Result = dashboard.ValueMappingResult{Text: &text, Color: &colour}
	return dashboard.ValueMapping{SpecialValueMap: of}
}

// graph draws the panel as lines over time, with a table of last and highest
// values for a legend and dashed lines at its limits.
func (p panel) graph() *timeseries.PanelBuilder {
	b := dress(timeseries.NewPanelBuilder(), p).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdPaletteClassic)).
		LineWidth(2).FillOpacity(8).ShowPoints(common.VisibilityModeAuto).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeTable).
			Placement(common.LegendPlacementBottom).Calcs([]string{"lastNotNull", "max"}).SortBy("Last *").SortDesc(true)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending))
	if len(p.limits.steps) > 0 {
		b = b.ThresholdsStyle(common.NewGraphThresholdsStyleConfigBuilder().Mode(common.GraphThresholdsStyleModeDashed))
	}
	return b
}

// bars draws the panel as stacked bars: counts that come and go.
func (p panel) bars() *timeseries.PanelBuilder {
	return p.graph().DrawStyle(common.GraphDrawStyleBars).FillOpacity(80).LineWidth(0).
		Stacking(common.NewStackingConfigBuilder().Mode(common.StackingModeNormal))
}

// buckets draws the panel as a heat map of a histogram.
func (p panel) buckets() *heatmap.PanelBuilder {
	return dress(heatmap.NewPanelBuilder(), p).
		Calculate(false).ShowLegend().CellGap(1).ExemplarsColor("rgba(255,0,255,0.7)").
		Color(heatmap.NewHeatmapColorOptionsBuilder().Mode(heatmap.HeatmapColorModeOpacity).Fill(blue).Scale(heatmap.HeatmapColorScaleExponential).Exponent(0.5).Steps(32)).
		YAxis(heatmap.NewYAxisConfigBuilder().Unit(p.unit).Decimals(0).AxisPlacement(common.AxisPlacementLeft)).
		Tooltip(heatmap.NewHeatmapTooltipBuilder().Mode(common.TooltipDisplayModeSingle).YHistogram(true))
}

// states draws the panel as coloured stretches of time.
func (p panel) states(of ...dashboard.ValueMapping) *statetimeline.PanelBuilder {
	return dress(statetimeline.NewPanelBuilder(), p).
		Mappings(of).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds)).
		ShowValue(common.VisibilityModeAuto).RowHeight(0.8).MergeValues(true).FillOpacity(70).LineWidth(0).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(false).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom)).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeSingle).Sort(common.SortOrderNone))
}

// column is one column of a table: the field it comes from and its heading. It is
// text unless a property says its unit: an order number is no number to round.
type column struct {
	field, heading string
	width          int // 0: what is left
	properties     []dashboard.DynamicConfigValue
}

// grid draws the panel as a table of these columns and no other.
func (p panel) grid(before []dashboard.DataTransformerConfig, columns ...column) *table.PanelBuilder {
	var keep []string
	order, headings := map[string]any{}, map[string]any{}
	for i, c := range columns {
		keep = append(keep, c.field)
		order[c.field], headings[c.field] = i, c.heading
		properties := append([]dashboard.DynamicConfigValue{property("noValue", "–")}, c.properties...)
		if c.width > 0 {
			properties = append([]dashboard.DynamicConfigValue{property("custom.width", c.width)}, properties...)
		}
		p.overrides = append(p.overrides, override{c.heading, properties})
	}
	p.unit = "string"
	b := dress(table.NewPanelBuilder(), p).ShowHeader(true).Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{})).CellHeight(common.TableCellHeightSm).Filterable(false).
		ColorScheme(dashboard.NewFieldColorBuilder().Mode(dashboard.FieldColorModeIdThresholds))
	for _, t := range before {
		b = b.WithTransformation(t)
	}
	return b.
		WithTransformation(dashboard.DataTransformerConfig{Id: "filterFieldsByName", Options: map[string]any{"include": map[string]any{"names": keep}}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{"indexByName": order, "renameByName": headings}})
}

// merged makes one table of the answers to several queries.
func merged() []dashboard.DataTransformerConfig {
	return []dashboard.DataTransformerConfig{{Id: "merge", Options: map[string]any{}}}
}

// unfolded makes columns of the fields of log records.
func unfolded() []dashboard.DataTransformerConfig {
	return []dashboard.DataTransformerConfig{{Id: "extractFields", Options: map[string]any{"source": "labels", "format": "json", "replace": false, "keepTime": true}}}
}

// painted colours a cell by the panel's limits.
func painted() dashboard.DynamicConfigValue {
	return property("custom.cellOptions", map[string]any{"type": "color-text"})
}

// leads makes a cell a link.
func leads(to ...link) dashboard.DynamicConfigValue {
	var all []map[string]any
	for _, l := range to {
		all = append(all, map[string]any{"title": l.title, "url": l.url, "targetBlank": true})
	}
	return property("links", all)
}

// counted makes a cell's value a whole number, in a unit of its own.
func counted(unit string, more ...dashboard.DynamicConfigValue) []dashboard.DynamicConfigValue {
	return append([]dashboard.DynamicConfigValue{property("unit", unit), property("decimals", 0)}, more...)
}

// worded gives a cell's words the colours of their classes, in the theme's own
// tones: letters need more contrast than lines.
func worded() []dashboard.DynamicConfigValue {
	options := map[string]any{}
	for word, colour := range map[any]string{
		callback.Accepted: well, callback.Duplicate: "blue", callback.Failed: act,
		callback.Proven: act, callback.Unproven: watch, callback.Probe: "purple", callback.Noise: plain,
	} {
		options[fmt.Sprint(word)] = map[string]any{"color": colour, "text": fmt.Sprint(word)}
	}
	return []dashboard.DynamicConfigValue{property("mappings", []map[string]any{{"type": "value", "options": options}}), painted()}
}

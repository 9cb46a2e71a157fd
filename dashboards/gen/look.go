package gen

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/service/callback"
)

// What a colour asks of the reader. Grafana's own names follow the theme, light
// or dark. Red means "act", and nothing else is red.
const (
	act   = "red"
	watch = "orange"
	well  = "green"
	plain = "text" // says something without judging it
)

// What is drawn: the same thing has the same colour on every panel. The hues
// were searched for, so that each stands out from a white and from a black page
// and from every other, to the colour-blind too; the lint test holds them to it.
const (
	teal      = "#1D746A"
	blue      = "#6F90F1"
	vermilion = "#C42B0E"
	amber     = "#C08B1C"
	purple    = "#8F43C4"
	grey      = "#929492"
)

// Colours is who wears which colour.
func Colours() map[string]string {
	return map[string]string{
		string(callback.Accepted):  teal,
		string(callback.Duplicate): blue,
		string(callback.Proven):    vermilion, // act
		string(callback.Unproven):  amber,
		string(callback.Probe):     purple,
		string(callback.Noise):     grey,
	}
}

// tint gives the series whose names match a pattern their colour.
type tint struct {
	pattern, colour string
	shades          bool // several series: shades of the colour
}

// classes colours the series that are named after a class, and the two outcomes
// that need none; in shades where several series are of one class.
func classes(shades bool) []tint {
	var all []tint
	for _, of := range []string{
		string(callback.Accepted), string(callback.Duplicate),
		string(callback.Proven), string(callback.Unproven), string(callback.Probe), string(callback.Noise),
	} {
		all = append(all, tint{pattern: "/^" + of + "( |$)/", colour: Colours()[of], shades: shades})
	}
	return all
}

// every gives all series shades of one colour: lines by merchant, by event type.
func every(colour string) []tint { return []tint{{pattern: "/.*/", colour: colour, shades: true}} }

// named gives each series the colour at its name.
func named(pairs ...string) []tint {
	var all []tint
	for i := 0; i+1 < len(pairs); i += 2 {
		all = append(all, tint{pattern: "/^" + pairs[i] + "/", colour: pairs[i+1]})
	}
	return all
}

func (t tint) property() dashboard.DynamicConfigValue {
	mode := "fixed"
	if t.shades {
		mode = "shades"
	}
	return dashboard.DynamicConfigValue{Id: "color", Value: map[string]any{"mode": mode, "fixedColor": t.colour}}
}

// limit is where a value changes its colour: at this number and above.
type limit struct {
	at     float64
	colour string
}

// limits are the thresholds of a panel, the lowest first; below is the colour
// of everything under the first.
type limits struct {
	below string
	steps []limit
}

// above makes limits of one colour under the first number.
func above(below string, steps ...limit) limits { return limits{below, steps} }

// stepped is an override's own limits.
func stepped(l limits) dashboard.DynamicConfigValue {
	steps := []map[string]any{{"value": nil, "color": l.below}}
	for _, s := range l.steps {
		steps = append(steps, map[string]any{"value": s.at, "color": s.colour})
	}
	return property("thresholds", map[string]any{"mode": "absolute", "steps": steps})
}

func (l limits) build() cog.Builder[dashboard.ThresholdsConfig] {
	below := l.below
	if below == "" {
		below = plain
	}
	steps := []dashboard.Threshold{{Color: below}}
	for _, s := range l.steps {
		steps = append(steps, dashboard.Threshold{Value: &s.at, Color: s.colour})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

package dashboards_test

import (
	"encoding/json"
	"maps"
	"math"
	"slices"
	"strconv"
	"testing"

	"wxnotify/dashboards/gen"
)

// TestColoursStandOut from Grafana's panels, light and dark, by the 3 : 1 that
// WCAG wants of graphics, and from each other for the colour-blind too.
func TestColoursStandOut(t *testing.T) {
	t.Parallel()
	colours := gen.Colours()
	if len(colours) != 6 {
		t.Fatalf("%d colours", len(colours))
	}
	names := slices.Sorted(maps.Keys(colours))
	for i, name := range names {
		c := colour(t, colours[name])
		for page, hex := range map[string]string{"light": "#ffffff", "dark": "#181b1f"} {
			if got := contrast(c, colour(t, hex)); got < 3 {
				t.Errorf("%s has contrast %.2f on the %s page", name, got, page)
			}
		}
		for _, other := range names[i+1:] {
			o := colour(t, colours[other])
			for eyes, see := range eyes {
				if d := distance(see.apply(c), see.apply(o)); d < 0.1 {
					t.Errorf("%s and %s look alike to %s eyes: %.3f", name, other, eyes, d)
				}
			}
		}
	}
}

// TestSameColourEverywhere: a series' name has one colour on all panels.
func TestSameColourEverywhere(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, p := range shipped(t).all() {
		for _, o := range p.FieldConfig.Overrides {
			pattern, _ := o.Matcher.Options.(string)
			for _, property := range o.Properties {
				if property.ID != "color" || pattern == "/.*/" {
					continue
				}
				var c struct{ FixedColor string }
				if err := json.Unmarshal(property.Value, &c); err != nil {
					t.Fatal(err)
				}
				if before, again := seen[pattern]; again && before != c.FixedColor {
					t.Errorf("panel %d: %s is %s here and %s elsewhere", p.ID, pattern, c.FixedColor, before)
				}
				seen[pattern] = c.FixedColor
			}
		}
	}
	if len(seen) < 6 {
		t.Errorf("%d names have a colour", len(seen))
	}
}

// rgb is linear light.
type rgb [3]float64

func colour(t *testing.T, hex string) rgb {
	t.Helper()
	n, err := strconv.ParseUint(hex[1:], 16, 32)
	if err != nil {
		t.Fatal(err)
	}
	var c rgb
	for i := range c {
		v := float64(n>>(16-8*i)&0xff) / 255
		if c[i] = v / 12.92; v > 0.04045 {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return c
}

func (c rgb) luminance() float64 { return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2] }

func contrast(a, b rgb) float64 {
	hi, lo := max(a.luminance(), b.luminance()), min(a.luminance(), b.luminance())
	return (hi + 0.05) / (lo + 0.05)
}

// matrix is how eyes see linear light.
type matrix [3]rgb

// eyes after Machado, Oliveira and Fernandes (2009), severity 1.
var eyes = map[string]matrix{
	"trichromat":  {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}},
	"protanope":   {{0.152286, 1.052583, -0.204868}, {0.114503, 0.786281, 0.099216}, {-0.003882, -0.048116, 1.051998}},
	"deuteranope": {{0.367322, 0.860646, -0.227968}, {0.280085, 0.672501, 0.047413}, {-0.011820, 0.042940, 0.968881}},
}

func (m matrix) apply(c rgb) rgb {
	var seen rgb
	for i := range seen {
		seen[i] = max(0, m[i][0]*c[0]+m[i][1]*c[1]+m[i][2]*c[2])
	}
	return seen
}

// distance in Oklab, where equal steps look equal; 0.02 can just be told apart.
func distance(a, b rgb) float64 {
	p, q := oklab(a), oklab(b)
	return math.Sqrt((p[0]-q[0])*(p[0]-q[0]) + (p[1]-q[1])*(p[1]-q[1]) + (p[2]-q[2])*(p[2]-q[2]))
}

func oklab(c rgb) rgb {
	l := math.Cbrt(0.4122214708*c[0] + 0.5363325363*c[1] + 0.0514459929*c[2])
	m := math.Cbrt(0.2119034982*c[0] + 0.6806995451*c[1] + 0.1073969566*c[2])
	s := math.Cbrt(0.0883024619*c[0] + 0.2817188376*c[1] + 0.6299787005*c[2])
	return rgb{
		0.2104542553*l + 0.7936177850*m - 0.0040720468*s,
		1.9779984951*l - 2.4285922050*m + 0.4505937099*s,
		0.0259040371*l + 0.7827717662*m - 0.8086757660*s,
	}
}

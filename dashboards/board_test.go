package dashboards_test

import (
	"encoding/json"
	"os"
	"testing"
)

// board is a dashboard as far as the tests look at it.
type board struct {
	UID           string  `json:"uid"`
	Title         string  `json:"title"`
	Editable      bool    `json:"editable"`
	SchemaVersion int     `json:"schemaVersion"`
	Refresh       string  `json:"refresh"`
	GraphTooltip  int     `json:"graphTooltip"`
	Panels        []panel `json:"panels"`
	Templating    struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []annotation `json:"list"`
	} `json:"annotations"`
	Links []link `json:"links"`
}

// panel is one panel, or a row with the panels folded into it.
type panel struct {
	ID              int       `json:"id"`
	Type            string    `json:"type"`
	Title           string    `json:"title"`
	Description     string    `json:"description"`
	Collapsed       bool      `json:"collapsed"`
	Datasource      reference `json:"datasource"`
	GridPos         place     `json:"gridPos"`
	FieldConfig     fields    `json:"fieldConfig"`
	Transformations []struct {
		ID      string         `json:"id"`
		Options map[string]any `json:"options"`
	} `json:"transformations"`
	Targets []target       `json:"targets"`
	Options map[string]any `json:"options"`
	Panels  []panel        `json:"panels"`
}

// place is where a panel lies on the grid of 24 columns.
type place struct{ X, Y, W, H int }

// reference is a reference to a data source.
type reference struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// fields is how values look.
type fields struct {
	Defaults  look `json:"defaults"`
	Overrides []struct {
		Matcher struct {
			ID      string `json:"id"`
			Options any    `json:"options"`
		} `json:"matcher"`
		Properties []struct {
			ID    string          `json:"id"`
			Value json.RawMessage `json:"value"`
		} `json:"properties"`
	} `json:"overrides"`
}

// look is how one value looks.
type look struct {
	Unit       string     `json:"unit"`
	Decimals   *float64   `json:"decimals"`
	Min        *float64   `json:"min"`
	NoValue    string     `json:"noValue"`
	Thresholds thresholds `json:"thresholds"`
	Links      []link     `json:"links"`
}

// thresholds are the numbers at which a value changes its colour.
type thresholds struct {
	Steps []struct {
		Value *float64 `json:"value"`
		Color string   `json:"color"`
	} `json:"steps"`
}

// link leads to another page.
type link struct {
	Title string `json:"title"`
	URL   string `json:"url"`
}

// target is one query of a panel or an annotation.
type target struct {
	RefID      string    `json:"refId"`
	Expr       string    `json:"expr"`
	Legend     string    `json:"legendFormat"`
	Datasource reference `json:"datasource"`
}

// variable is a choice that the reader has.
type variable struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Query    any    `json:"query"`
	Refresh  int    `json:"refresh"`
	AllValue string `json:"allValue"`
	Multi    bool   `json:"multi"`
	Current  struct {
		Value any `json:"value"`
	} `json:"current"`
}

// annotation marks moments on all graphs.
type annotation struct {
	Name       string    `json:"name"`
	Datasource reference `json:"datasource"`
	Target     target    `json:"target"`
}

// shipped is the dashboard that is committed.
func shipped(t *testing.T) board {
	t.Helper()
	raw, err := os.ReadFile("callbacks.json")
	if err != nil {
		t.Fatal(err)
	}
	var b board
	if err := json.Unmarshal(raw, &b); err != nil {
		t.Fatal(err)
	}
	if len(b.all()) < 30 {
		t.Fatalf("%d panels; this test looks at nothing", len(b.all()))
	}
	return b
}

// all is every panel that draws something, those of folded rows too.
func (b board) all() []panel {
	var all []panel
	for _, p := range b.Panels {
		if p.Type != "row" {
			all = append(all, p)
		}
		all = append(all, p.Panels...)
	}
	return all
}

// question is one query of the dashboard.
type question struct {
	panel int    // 0: an annotation
	title string // of the panel or the annotation
	store string // prometheus or loki
	expr  string // as written, with Grafana's variables
}

// questions are those of all panels in reading order, then the annotations'.
func (b board) questions() []question {
	var all []question
	for _, p := range b.all() {
		for _, t := range p.Targets {
			all = append(all, question{p.ID, p.Title, t.Datasource.Type, t.Expr})
		}
	}
	for _, a := range b.Annotations.List {
		all = append(all, question{0, a.Name, a.Datasource.Type, a.Target.Expr})
	}
	return all
}

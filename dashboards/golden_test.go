package dashboards_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"

	"wxnotify/dashboards/gen"
)

var update = flag.Bool("update", false, "write callbacks.json anew")

// TestGolden: the committed dashboard is what the generator makes.
func TestGolden(t *testing.T) {
	t.Parallel()
	made, err := gen.JSON()
	if err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("callbacks.json", made, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("callbacks.json")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(made, kept) {
		t.Error("callbacks.json is not what dashboards/gen makes: run `go test ./dashboards -run TestGolden -update` and read the diff")
	}
}

// TestStrict: Grafana's own schema knows every field and misses none.
func TestStrict(t *testing.T) {
	t.Parallel()
	plugins.RegisterDefaultPlugins()
	raw, err := os.ReadFile("callbacks.json")
	if err != nil {
		t.Fatal(err)
	}
	var d dashboard.Dashboard
	if err := d.UnmarshalJSONStrict(known(t, raw)); err != nil {
		t.Fatal(err)
	}
	if err := d.UnmarshalJSONStrict(bytes.Replace(raw, []byte(`"noValue"`), []byte(`"novalue"`), 1)); err == nil {
		t.Error("an unknown field went through; this test looks at nothing")
	}
}

// known takes out what the Prometheus data source adds to an annotation: the
// schema describes annotations of Grafana itself only.
func known(t *testing.T, raw []byte) []byte {
	t.Helper()
	var tree map[string]any
	if err := json.Unmarshal(raw, &tree); err != nil {
		t.Fatal(err)
	}
	for _, a := range tree["annotations"].(map[string]any)["list"].([]any) {
		for _, field := range []string{"titleFormat", "textFormat", "tagKeys"} {
			delete(a.(map[string]any), field)
		}
	}
	clean, err := json.Marshal(tree)
	if err != nil {
		t.Fatal(err)
	}
	return clean
}

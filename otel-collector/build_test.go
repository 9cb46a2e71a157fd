package otelcollector_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// TestBuildIsOfTheManifest: every part that builder.yaml names, in its version,
// is what the generated sources are made of.
func TestBuildIsOfTheManifest(t *testing.T) {
	t.Parallel()
	read := func(name string) string {
		text, err := os.ReadFile("build/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	parts := regexp.MustCompile(`gomod: (\S+) (v\S+)`).FindAllStringSubmatch(read("builder.yaml"), -1)
	if len(parts) < 8 {
		t.Fatalf("%d parts in builder.yaml; this test looks at nothing", len(parts))
	}
	required, imported := read("go.mod"), read("components.go")+read("main.go")
	for _, p := range parts {
		if !strings.Contains(required, p[1]+" "+p[2]) {
			t.Errorf("build/go.mod does not require %s %s: generate it anew, see builder.yaml", p[1], p[2])
		}
		if !strings.Contains(imported, `"`+p[1]+`"`) {
			t.Errorf("the generated sources do not import %s: generate it anew, see builder.yaml", p[1])
		}
	}
}

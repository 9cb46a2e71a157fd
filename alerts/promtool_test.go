//go:build stack

package alerts_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestPromtoolAcceptsConfigurationAndRules(t *testing.T) {
	t.Parallel()
	promtool(t, "check", "config", "--lint=all", "--lint-fatal", "prometheus.yml")
	files, err := filepath.Glob("rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	promtool(t, append([]string{"check", "rules", "--lint=all", "--lint-fatal"}, files...)...)
}

func TestPromtoolRunsTheRules(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("rules/tests/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yml"), func(t *testing.T) {
			t.Parallel()
			promtool(t, "test", "rules", file)
		})
	}
}

// promtool runs the pinned promtool, which must be content.
func promtool(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), binary(t, "promtool"), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("promtool %s: %v\n%.8000s", strings.Join(args[:2], " "), err, out)
	}
}

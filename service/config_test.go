package main

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares got with a file under testdata, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s (run with -update to accept):\n%s", path, got)
	}
}

// TestConfigProblems pins what each broken configuration is told: every problem
// at once, each with its field and the fix.
func TestConfigProblems(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob(filepath.Join("testdata", "config", "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			_, err := loadConfig(file, nil)
			got := "usable\n"
			if err != nil {
				got = err.Error() + "\n"
			}
			golden(t, filepath.Join("config", strings.TrimSuffix(filepath.Base(file), ".yaml")+".golden"), got)
		})
	}
}

func TestExampleConfigurationIsUsable(t *testing.T) {
	t.Parallel()
	if _, err := loadConfig("wxnotify.example.yaml", nil); err != nil {
		t.Error(err)
	}
}

func TestEnvironmentWins(t *testing.T) {
	t.Parallel()
	c, err := loadConfig(filepath.Join("testdata", "config", "good.yaml"), []string{
		"WXNOTIFY_CONFIG=elsewhere.yaml",
		"WXNOTIFY_STORE__PATH=/data/env.db",
		"WXNOTIFY_STORE__RETENTION_DAYS=400",
		"WXNOTIFY_SPOOL__SIZE=8MiB",
		"WXNOTIFY_SHUTDOWN__DELAY=3s",
		"WXNOTIFY_TRUSTED_PROXIES=10.0.0.0/8, 192.0.2.1/32",
		"WXNOTIFY_MERCHANTS__SECOND__MCHID=1900000002",
		"WXNOTIFY_MERCHANTS__SECOND__KEYS__0__FILE=/k/0.pem",
		"WXNOTIFY_MERCHANTS__SECOND__KEYS__1__FILE=/k/1.pem",
		"WXNOTIFY_MERCHANTS__SECOND__APIV3_KEYS__0__ENV=SECOND_KEY",
		"HOME=/root",
		"WXNOTIFY_SERVICE_HOST=10.0.0.7", "WXNOTIFY_SERVICE_PORT_HTTP=8080", // Kubernetes sets these
		"WXNOTIFY_PORT=tcp://10.0.0.7:8080", "WXNOTIFY_PRIVATE_PORT_9090_TCP_ADDR=10.0.0.8",
	})
	if err != nil {
		t.Fatal(err)
	}
	second := c.Merchants["second"]
	switch {
	case c.Store.Path != "/data/env.db" || c.Store.RetentionDays != 400:
		t.Errorf("store %+v", c.Store)
	case c.Spool.Size != 8<<20:
		t.Errorf("spool %+v", c.Spool)
	case c.Shutdown.Delay.String() != "3s":
		t.Errorf("shutdown %+v", c.Shutdown)
	case len(c.TrustedProxies) != 2 || c.TrustedProxies[1].String() != "192.0.2.1/32":
		t.Errorf("trusted_proxies %v", c.TrustedProxies)
	case len(second.Keys) != 2 || second.Keys[1].File != "/k/1.pem" || second.APIv3Keys[0].Env != "SECOND_KEY":
		t.Errorf("second merchant %+v", second)
	case c.Merchants["shop"].MchID != "1900000001":
		t.Errorf("the file's merchant was lost: %+v", c.Merchants)
	}
}

func TestUnknownVariableIsAnError(t *testing.T) {
	t.Parallel()
	_, err := loadConfig(filepath.Join("testdata", "config", "good.yaml"), []string{"WXNOTIFY_STORE__PAHT=/x"})
	if err == nil || !strings.Contains(err.Error(), "store.paht: unknown setting") {
		t.Errorf("a misspelt variable was taken: %v", err)
	}
}

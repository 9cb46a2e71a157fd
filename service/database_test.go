package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// storeSettings are the store's, as a file says them.
func storeSettings(c StoreConfig) map[string]any {
	if c.URL == "" {
		return map[string]any{"path": c.Path}
	}
	return map[string]any{"url": c.URL, "password": map[string]string{"file": c.Password.File, "env": c.Password.Env}}
}

// dbPassword is looked for in everything that is said. Written into an address,
// it would look otherwise.
const dbPassword = "hunter2/canary@%"

var dbPasswordSaid = []string{dbPassword, "hunter2", "canary"}

// onServer is a configuration with an address, and the password in a file.
func onServer(t *testing.T, url, password string) (path string) {
	t.Helper()
	account := *shop()
	cfg := configFor(t, &account)
	cfg.Store.URL, cfg.Store.Password.File = url, filepath.Join(t.TempDir(), "database_password")
	if err := os.WriteFile(cfg.Store.Password.File, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return writeConfig(t, cfg)
}

// unspoken fails when what was said holds the password.
func unspoken(t *testing.T, said string) {
	t.Helper()
	for _, canary := range dbPasswordSaid {
		if strings.Contains(said, canary) {
			t.Errorf("the password was said:\n%s", said)
		}
	}
}

// TestDatabaseUnreachable: no server is needed to get an address wrong.
func TestDatabaseUnreachable(t *testing.T) {
	t.Parallel()
	for url, says := range map[string]string{
		"postgres://wxnotify@127.0.0.1:9/wxnotify":                              "nobody listens at 127.0.0.1:9",
		"mysql://wxnotify@127.0.0.1:9/wxnotify":                                 "nobody listens at 127.0.0.1:9",
		"postgres://wxnotify@127.0.0.1:9/wxnotify?sslmode=perhaps":              "the address cannot be read: sslmode is invalid",
		"postgres://wxnotify@127.0.0.1:9/wxnotify?sslrootcert=nowhere.pem":      "the address cannot be read: ",
		"mysql://wxnotify@127.0.0.1:9/wxnotify?charset=latin1":                  `the unknown parameter "charset"`,
		"mysql://wxnotify@127.0.0.1:9/wxnotify?tls=perhaps":                     "tls=perhaps: write true",
		"postgres://wxnotify@nobody.invalid/wxnotify":                           "the host nobody.invalid is not known",
		"mysql://wxnotify@nobody.invalid/wxnotify":                              "the host nobody.invalid is not known",
		"postgres://wxnotify@127.0.0.1:9,127.0.0.1:10/wxnotify?sslmode=disable": "nobody listens at 127.0.0.1:",
	} {
		t.Run(url, func(t *testing.T) {
			t.Parallel()
			path := onServer(t, url, dbPassword)
			for _, command := range []string{"migrate", "check", "serve", "resolve"} {
				code, out, errs := invoke(t.Context(), command, "--config", path)
				if code != exitFailed || !strings.Contains(out+errs, says) || !strings.Contains(out+errs, "store.url") {
					t.Errorf("%s: exit %d, want %q\n%s%s", command, code, says, out, errs)
				}
				unspoken(t, out+errs)
			}
		})
	}
}

// TestMigrateFile: the step does no harm where it is not needed.
func TestMigrateFile(t *testing.T) {
	t.Parallel()
	account := *shop()
	cfg := configFor(t, &account)
	path := writeConfig(t, cfg)
	for _, says := range []string{"The schema was version 0 and is version", "The schema is up to date: version"} {
		code, out, errs := invoke(t.Context(), "migrate", "--config", path)
		if code != exitOK || !strings.Contains(out, says) {
			t.Errorf("exit %d, want %q\n%s%s", code, says, out, errs)
		}
	}
	code, out, _ := invoke(t.Context(), "migrate", "--help")
	for _, says := range []string{"Run it before the first", "rights", "SQLite"} {
		if code != exitOK || !strings.Contains(out, says) {
			t.Errorf("--help, exit %d, says nothing of %q:\n%s", code, says, out)
		}
	}
}

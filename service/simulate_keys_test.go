package main

import (
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// TestSimulateKeysDatabase: an account whose service keeps its books on a server.
func TestSimulateKeysDatabase(t *testing.T) {
	t.Parallel()
	dir, shared := filepath.Join(t.TempDir(), "account"), filepath.Join(t.TempDir(), "shared")
	const url = "postgres://wxnotify@postgres/wxnotify"
	args := []string{"simulate", "keys", "--keep", "--dir", dir, "--database-secrets", shared}
	for range 2 { // made, and kept
		if code, out, errs := invoke(t.Context(), append(args, "--database", url)...); code != exitOK {
			t.Fatalf("exit %d: %s%s", code, out, errs)
		}
	}
	cfg, err := loadConfig(filepath.Join(dir, "wxnotify.yaml"), nil)
	if err != nil || cfg.Store.URL != url {
		t.Fatalf("the books are in %q, %v", cfg.Store.URL, err)
	}
	password := read(t, cfg.Store.Password.File)
	if len(password) < 20 || read(t, filepath.Join(shared, "database_password")) != password {
		t.Errorf("the service's password is %q, the server's %q", password, read(t, filepath.Join(shared, "database_password")))
	}
	// Another database than the one that holds the past is no oversight to repeat.
	if code, _, errs := invoke(t.Context(), args...); code != exitUsage || !strings.Contains(errs, "was made for "+url) {
		t.Errorf("kept for a file: exit %d: %s", code, errs)
	}
}

// TestSimulateKeysPager: an account whose service tells a mail server and a robot,
// and takes Alertmanager's alerts.
func TestSimulateKeysPager(t *testing.T) {
	t.Parallel()
	dir, shared := filepath.Join(t.TempDir(), "account"), filepath.Join(t.TempDir(), "shared")
	args := []string{
		"simulate", "keys", "--keep", "--dir", dir, "--mail", "mailpit:1025", "--dingtalk", "http://dingtalk:8082", "--alertmanager", shared,
		"--link-runbooks", "http://localhost:9090/user", "--link-trace", "http://localhost:16686/trace/{trace_id}",
	}
	if code, out, errs := invoke(t.Context(), args...); code != exitOK {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	cfg, err := loadConfig(filepath.Join(dir, "wxnotify.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	relay := RelayConfig{Host: "mailpit", Port: 1025, TLS: "none"}
	if p := cfg.Pager; len(p.Email) != 1 || !reflect.DeepEqual(p.Email[0].Relays, []RelayConfig{relay}) || len(p.DingTalk) != 1 ||
		p.Links != (LinksConfig{Runbooks: "http://localhost:9090/user", Trace: "http://localhost:16686/trace/{trace_id}"}) {
		t.Errorf("the pager: %+v", p)
	}
	robot, err := url.Parse(read(t, cfg.Pager.DingTalk[0].URL.File))
	if err != nil || robot.Host != "dingtalk:8082" || robot.Path != "/robot/send" {
		t.Errorf("the robot is at %s, %v", robot, err)
	}
	simulated := simulateDingTalk{Keys: dir}
	if err := simulated.readKeys(); err != nil || simulated.Token != robot.Query().Get("access_token") ||
		len(simulated.Token) < 20 || simulated.Secret != read(t, cfg.Pager.DingTalk[0].Secret.File) {
		t.Errorf("the robot takes token %q, secret %q, %v", simulated.Token, simulated.Secret, err)
	}
	// Alertmanager is another user: it gets a copy, and sees nothing of the account.
	copied := filepath.Join(shared, "alertmanager_token")
	token := read(t, copied)
	if len(token) < 20 || token != read(t, cfg.Pager.Alertmanager.Token.File) {
		t.Errorf("Alertmanager posts with %q", token)
	}
	for path, want := range map[string]os.FileMode{copied: 0o004, cfg.Pager.Alertmanager.Token.File: 0, filepath.Join(dir, "dingtalk_secret"): 0} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != want {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
	// Kept, and handed over once more where that has been lost.
	if err := os.Remove(copied); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := invoke(t.Context(), args...); code != exitOK || read(t, copied) != token {
		t.Errorf("kept: exit %d: %s%s", code, out, errs)
	}
}

// TestSimulateKeysAlone: nobody is to be told, so there is nothing about it.
func TestSimulateKeysAlone(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "account")
	if code, out, errs := invoke(t.Context(), "simulate", "keys", "--dir", dir); code != exitOK {
		t.Fatalf("exit %d: %s%s", code, out, errs)
	}
	if text := read(t, filepath.Join(dir, "wxnotify.yaml")); strings.Contains(text, "pager") {
		t.Errorf("the configuration:\n%s", text)
	}
	for _, args := range [][]string{
		{"--dir", dir, "--keep", "--alertmanager", t.TempDir()}, // it has no token to hand over
		{"--dir", dir},
		{"--dir", t.TempDir(), "--mail", "mailpit"},
		{"--dir", t.TempDir(), "--dingtalk", "dingtalk:8082"},
	} {
		if code, out, errs := invoke(t.Context(), append([]string{"simulate", "keys"}, args...)...); code != exitUsage {
			t.Errorf("%q: exit %d: %s%s", args, code, out, errs)
		}
	}
}

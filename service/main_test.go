package main

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
)

// invoke runs the program as from a shell.
func invoke(ctx context.Context, args ...string) (code int, out, err string) {
	stdout, stderr := &buffer{}, &buffer{}
	code = run(ctx, args, terminal{stdout, stderr})
	return code, stdout.String(), stderr.String()
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name string
		args []string
		code int
		says string // on either output
	}{
		{"nothing", nil, exitOK, "Start with: wxnotify demo"},
		{"help", []string{"--help"}, exitOK, "resolve"},
		{"help of a command", []string{"demo", "--help"}, exitOK, "--speed"},
		{"unknown command", []string{"sreve"}, exitUsage, "wxnotify --help"},
		{"unknown flag", []string{"serve", "--port"}, exitUsage, "--port"},
		{"version", []string{"version"}, exitOK, "wxnotify "},
		{"serve without a merchant", []string{"serve"}, exitUsage, "wxnotify demo"},
		{"serve with a file that is not there", []string{"serve", "-c", "nowhere.yaml"}, exitUsage, "nowhere.yaml"},
		{"check without a merchant", []string{"check"}, exitUsage, "no merchant is configured"},
		{"resolve without a decision", []string{"resolve", "n1"}, exitUsage, "--accept or --reject"},
		{"simulate with half a target", []string{"simulate", "load", "--target", "http://127.0.0.1:1"}, exitUsage, "give both"},
		{"simulate with keys that are not there", []string{"simulate", "sign", "--keys", "nowhere"}, exitUsage, "simulate keys"},
		{"demo at no rate", []string{"demo", "--rate", "0"}, exitUsage, "--rate"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			code, out, errs := invoke(t.Context(), c.args...)
			if code != c.code || !strings.Contains(out+errs, c.says) {
				t.Errorf("exit %d, want %d with %q:\n%s%s", code, c.code, c.says, out, errs)
			}
			if code != exitOK && out != "" && !strings.Contains(errs, "wxnotify") {
				t.Errorf("an error belongs on stderr: %q", out)
			}
		})
	}
}

// TestShortestConfiguration takes what `serve` prints to somebody without a
// configuration, and uses it.
func TestShortestConfiguration(t *testing.T) {
	t.Parallel()
	_, _, text := invoke(t.Context(), "serve")
	_, text, _ = strings.Cut(text, "    merchants:\n")
	text, _, _ = strings.Cut(text, "\n\n")
	path := filepath.Join(t.TempDir(), "wxnotify.yaml")
	if err := os.WriteFile(path, []byte("    merchants:\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := loadConfig(path, nil); err != nil {
		t.Errorf("the printed configuration does not work: %v\n%s", err, text)
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	account := *shop()
	cfg := configFor(t, &account)
	path := writeConfig(t, cfg)
	code, out, errs := invoke(t.Context(), "check", "--config", path)
	if code != exitOK || strings.Contains(out, "fail") {
		t.Errorf("exit %d\n%s%s", code, out, errs)
	}
	for _, says := range []string{"platform_certificate " + account.CertificateSerial, "public_key " + account.PublicKeyID, "apiv3", "store.path", "private.token is set"} {
		if !strings.Contains(out, says) {
			t.Errorf("check says nothing of %q:\n%s", says, out)
		}
	}

	// A database with a payment that is outstanding, beside the running service.
	w := newWorld(t, nil)
	w.post(t, w.wechat.Message(wechat.Payment, wechat.NewOrder(100)).Sign(wechat.Stale, time.Now()))
	code, out, _ = invoke(t.Context(), "check", "--config", writeConfig(t, w.config))
	if code != exitOK || !strings.Contains(out, "1 notifications are outstanding") {
		t.Errorf("exit %d\n%s", code, out)
	}

	if err := os.WriteFile(cfg.Merchants["shop"].APIv3Keys[0].File, []byte("31 characters, one is missing..\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, _ = invoke(t.Context(), "check", "--config", path)
	if code != exitFailed || !regexp.MustCompile(`(?m)^fail  keys: merchants\.shop\.apiv3_keys\.0: 31 bytes`).MatchString(out) {
		t.Errorf("exit %d\n%s", code, out)
	}
}

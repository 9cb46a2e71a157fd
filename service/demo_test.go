package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"wxnotify/service/simulator/dingtalk"
	"wxnotify/service/simulator/smtp"
)

// vary are the parts of the page that no two demos have in common.
var vary = regexp.MustCompile(`(\d{4}-\d\d-\d\d )?\d\d:\d\d:\d\d( – \d\d:\d\d:\d\d)?|\bT\d{20,}|in \d+ s| +[0-9.]+m?s\b`)

// TestDemoPages: the demo shows the page that its failure made, and sends that
// one, and no other, through the channels of a configuration.
func TestDemoPages(t *testing.T) {
	t.Parallel()
	robot := dingtalk.New(dingtalk.Options{Token: "robot", Keywords: []string{"demo"}})
	chat, err := dingtalk.Listen(t.Context(), "127.0.0.1:0", robot, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = chat.Close() }) // nobody sends any more
	relay, err := smtp.Listen(t.Context(), smtp.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = relay.Close() }) // likewise
	account := *shop()
	cfg := configFor(t, &account)
	cfg.Pager.DingTalk = []DingTalkConfig{{URL: Secret{File: written(t, chat.URL)}, Keyword: "demo"}}
	cfg.Pager.Email = []EmailConfig{{From: "demo@example.com", To: []string{"you@example.com"}, Relays: []RelayConfig{{Host: "127.0.0.1", Port: relay.Port(), TLS: "none"}}}}
	out := &buffer{}
	if code := run(t.Context(), []string{"demo", "--for", "300ms", "--page-with", writeConfig(t, cfg)}, terminal{out, os.Stderr}); code != exitOK {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	_, page, found := strings.Cut(out.String(), "\nOne that fails: ")
	if !found {
		t.Fatalf("no page:\n%s", out)
	}
	golden(t, "demo-page.txt", vary.ReplaceAllString(page, "…"))
	messages, letters := robot.Messages(), relay.Letters()
	if len(messages) != 1 || !strings.Contains(messages[0].Text, `headers\_missing`) {
		t.Errorf("the robot took %+v", messages)
	}
	if len(letters) != 1 || letters[0].To[0] != "you@example.com" {
		t.Errorf("the relay took %d letters", len(letters))
	}
}

// TestDemoRefusesToPageNobody says so before the demo begins.
func TestDemoRefusesToPageNobody(t *testing.T) {
	t.Parallel()
	account := *shop()
	said := &buffer{}
	path := writeConfig(t, configFor(t, &account))
	for _, args := range [][]string{{"--page-with", path}, {"--page-with", filepath.Join(t.TempDir(), "missing.yaml")}} {
		if code := run(t.Context(), append([]string{"demo"}, args...), terminal{said, said}); code != exitUsage {
			t.Errorf("%v: exit code %d:\n%s", args, code, said)
		}
	}
	if !strings.Contains(said.String(), "no channel is configured") {
		t.Error(said)
	}
}

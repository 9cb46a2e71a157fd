package main

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"wxnotify/service/pager"
)

// TestSimulateDingTalk: the address that is printed works in a configuration.
func TestSimulateDingTalk(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, ended := &buffer{}, make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "dingtalk", "--listen", "127.0.0.1:0", "--secret", "SEC1", "--keyword", "wxnotify"}, terminal{out, out})
	}()
	address := regexp.MustCompile(`(http://127\.0\.0\.1:\d+/)robot/send\S+`)
	var printed []string
	for printed == nil {
		select {
		case <-time.After(10 * time.Millisecond):
			printed = address.FindStringSubmatch(out.String())
		case code := <-ended:
			t.Fatalf("exit %d: %s", code, out)
		case <-t.Context().Done():
			t.Fatal("no address was printed")
		}
	}
	channel := pager.DingTalk{URL: printed[0], Secret: "SEC1", Keyword: "wxnotify"}
	for _, r := range pager.Test(t.Context(), []pager.Route{{Name: "robot", Channel: channel}}) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
	res, err := http.Get(printed[1])
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if kind := res.Header.Get("Content-Type"); res.StatusCode != http.StatusOK || !strings.HasPrefix(kind, "text/html") {
		t.Errorf("the page is a %d %s", res.StatusCode, kind)
	}
	if !strings.Contains(out.String(), "━━") {
		t.Errorf("the message is not printed: %s", out)
	}
	stop()
	if code := <-ended; code != exitOK || !strings.Contains(out.String(), "1 requests, 1 messages taken") {
		t.Errorf("exit %d: %s", code, out)
	}
}

func TestSimulateDingTalkRefuses(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{"--listen", "0.0.0.0:0"}, {"--speed", "0"}, {"--keys", t.TempDir()}} {
		if code, out, errs := invoke(t.Context(), append([]string{"simulate", "dingtalk"}, args...)...); code != exitUsage {
			t.Errorf("%q: exit %d: %s%s", args, code, out, errs)
		}
	}
}

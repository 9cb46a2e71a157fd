package main

import (
	"context"
	"net/http"
	"regexp"
	"strings"
	"testing"
)

// TestInbox takes one page as Alertmanager posts it, and prints it.
func TestInbox(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out, ended := &buffer{}, make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"simulate", "inbox", "--listen", "127.0.0.1:0"}, terminal{out, out})
	}()
	var address string
	eventually(t, "the inbox says where it is", func() bool {
		address = regexp.MustCompile(`http://[0-9.]+:[0-9]+`).FindString(out.String())
		return address != ""
	})
	const page = `{"version":"4","groupKey":"{}","status":"firing","receiver":"page","alerts":[{"status":"firing",
		"labels":{"alertname":"WechatPayCallbackFailed","merchant":"shop","error_type":"timestamp_stale"},
		"annotations":{"summary":"A callback failed."},"startsAt":"2026-11-23T13:03:01Z"}]}`
	answer, err := http.Post(address, "application/json", strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	stop()
	if code := <-ended; answer.StatusCode != http.StatusOK || code != exitOK {
		t.Errorf("answered %d, ended with %d", answer.StatusCode, code)
	}
	for _, says := range []string{"WechatPayCallbackFailed → page", "shop · timestamp_stale, since 21:03:01", "A callback failed."} {
		if !strings.Contains(out.String(), says) {
			t.Errorf("prints nothing of %q:\n%s", says, out.String())
		}
	}
}

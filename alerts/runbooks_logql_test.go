//go:build stack

package alerts_test

import (
	"io"
	"net"
	"net/http"
	"net/url"
	"testing"
	"time"
)

// TestLokiUnderstandsTheRunbooks lets a real Loki run every LogQL query.
func TestLokiUnderstandsTheRunbooks(t *testing.T) {
	t.Parallel()
	api, inner, dir := freeAddress(t), freeAddress(t), t.TempDir()
	port := func(address string) string { _, p, _ := net.SplitHostPort(address); return p }
	launch(t, ".", "loki", "-config.file=../otel-collector/loki.yaml", "-common.path-prefix="+dir,
		"-common.storage.filesystem.chunk-directory="+dir+"/chunks", "-common.storage.filesystem.rules-directory="+dir+"/rules",
		"-server.http-listen-address=127.0.0.1", "-server.http-listen-port="+port(api),
		"-server.grpc-listen-port="+port(inner), "-querier.frontend-address="+inner)
	within(t, 60*time.Second, "Loki ready", func() bool { return answers(t, "http://"+api+"/ready") })
	asked := 0
	for file, text := range pages(t) {
		for _, m := range fenced.FindAllStringSubmatch(text, -1) {
			if m[1] != "logql" {
				continue
			}
			asked++
			answer, err := http.Get("http://" + api + "/loki/api/v1/query_range?" + url.Values{"query": {m[2]}}.Encode())
			if err != nil {
				t.Fatal(err)
			}
			says, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK {
				t.Errorf("%s: Loki answers %s %s\n%s", file, answer.Status, says, m[2])
			}
		}
	}
	if asked == 0 {
		t.Error("no runbook asks Loki anything")
	}
}

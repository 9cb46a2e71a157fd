//go:build stack

package otelcollector_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/telemetry"
)

// lokiFlags put Loki on loopback and its files into dir.
func lokiFlags(t *testing.T, dir, listen string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(listen)
	if err != nil {
		t.Fatal(err)
	}
	inner := free(t)
	_, innerPort, err := net.SplitHostPort(inner)
	if err != nil {
		t.Fatal(err)
	}
	return []string{
		"-config.file=" + shipped(t, "loki.yaml"), "-common.path-prefix=" + dir,
		"-common.storage.filesystem.chunk-directory=" + dir + "/chunks", "-common.storage.filesystem.rules-directory=" + dir + "/rules",
		"-server.http-listen-address=" + host, "-server.http-listen-port=" + port,
		"-server.grpc-listen-port=" + innerPort, "-querier.frontend-address=" + inner,
	}
}

// TestStackLoki: Loki accepts its configuration, takes what the collector sends
// and finds it by order number. Its only labels are the three that are meant to be.
func TestStackLoki(t *testing.T) {
	t.Parallel()
	binary := tool(t, "loki")
	if said, err := exec.CommandContext(t.Context(), binary, "-config.file=loki.yaml", "-verify-config").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	listen := free(t)
	launch(t, "http://"+listen+"/ready", binary, lokiFlags(t, t.TempDir(), listen), nil)
	s := newSink(t)
	to := s.stores()
	to.loki = "http://" + listen + "/otlp"
	c := startCollector(t, to, t.TempDir())
	c.send(t, "logs", records(t, resource,
		record(t, telemetry.EventHandled, facts{telemetry.FieldOutTradeNo: "T-1", telemetry.FieldBody: strings.Repeat("x", 8<<10)}),
		record(t, telemetry.EventHandled, facts{telemetry.FieldOutTradeNo: "T-2"})))

	query := url.Values{
		"query": {`{service_name="wxnotify",deployment_environment_name="production"} | wechatpay_out_trade_no="T-1"`},
		"start": {time.Now().AddDate(0, 0, -199).Format(time.RFC3339)}, // retention's whole span can be asked for
	}
	var found struct {
		Data struct {
			Result []struct {
				Stream map[string]string
				Values [][2]string
			}
		}
	}
	eventually(t, "the record in Loki", func() bool {
		decode(t, "http://"+listen+"/loki/api/v1/query_range?"+query.Encode(), &found)
		return len(found.Data.Result) == 1
	})
	got := found.Data.Result[0]
	if len(got.Values) != 1 || got.Values[0][1] != telemetry.EventHandled || len(got.Stream["wechatpay_body"]) != 8<<10 {
		t.Errorf("found %.500v", got)
	}
	var names struct{ Data []string }
	decode(t, "http://"+listen+"/loki/api/v1/labels", &names)
	slices.Sort(names.Data)
	if want := []string{"deployment_environment_name", "service_name"}; !slices.Equal(names.Data, want) {
		t.Errorf("labels %v, want %v (service_namespace too, where one is set)", names.Data, want)
	}
}

// TestStackOneClockWrong: Prometheus refuses a request whole for one sample of
// the far future. Whoever sent beside it loses nothing.
func TestStackOneClockWrong(t *testing.T) {
	t.Parallel()
	listen := free(t)
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(config, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	launch(t, "http://"+listen+"/-/ready", tool(t, "prometheus"), []string{
		"--config.file=" + config, "--storage.tsdb.path=" + t.TempDir(), "--web.listen-address=" + listen, "--web.enable-otlp-receiver",
	}, nil)
	to := newSink(t).stores()
	to.prometheus = "http://" + listen + "/api/v1/otlp"
	c := startCollector(t, to, t.TempDir())

	const pairs = 10
	for i := range pairs {
		wrong := counter(t, telemetry.CallbackProcessed, facts{telemetry.LabelMerchant: fmt.Sprintf("wrong-%d", i)}, nil)
		wrong.GetSum().GetDataPoints()[0].TimeUnixNano = uint64(time.Now().Add(20 * time.Minute).UnixNano())
		c.send(t, "metrics", metrics(t, resource, wrong))
		right := counter(t, telemetry.CallbackProcessed, facts{telemetry.LabelMerchant: fmt.Sprintf("right-%d", i)}, nil)
		c.send(t, "metrics", metrics(t, resource, right))
	}
	series := func(which string) (n int) {
		var found struct{ Data []map[string]string }
		decode(t, "http://"+listen+"/api/v1/series?"+url.Values{"match[]": {`{merchant=~"` + which + `-.*"}`}}.Encode(), &found)
		return len(found.Data)
	}
	eventually(t, "the samples of the right clock", func() bool { return series("right") == pairs })
	if n := series("wrong"); n > 0 {
		t.Errorf("%d series of the future were taken: this test tests nothing", n)
	}
}

// TestStackJaeger: the same for a trace, which also survives a restart.
func TestStackJaeger(t *testing.T) {
	t.Parallel()
	binary, data := tool(t, "jaeger"), t.TempDir()
	otlp, query, health := free(t), free(t), free(t)
	env := []string{
		"JAEGER_DATA=" + data, "JAEGER_OTLP_LISTEN=" + otlp, "JAEGER_QUERY_LISTEN=" + query,
		"JAEGER_QUERY_GRPC_LISTEN=" + free(t), "JAEGER_HEALTH_LISTEN=" + health,
	}
	validate := exec.CommandContext(t.Context(), binary, "validate", "--config", shipped(t, "jaeger.yaml"))
	validate.Env = append(os.Environ(), env...)
	if said, err := validate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	run := func() *process {
		return launch(t, "http://"+health+"/status", binary, []string{"--config", "jaeger.yaml"}, env)
	}
	first := run()
	to := newSink(t).stores()
	to.jaeger = otlp
	c := startCollector(t, to, t.TempDir())
	one := span(t, "POST /wechatpay/{merchant}", time.Millisecond, facts{telemetry.FieldOutTradeNo: "T-1", telemetry.FieldStatus: "accepted"})
	c.send(t, "traces", traces(t, resource, one))

	search := "http://" + query + "/api/traces?" + url.Values{
		"service": {"wxnotify"}, "tags": {fmt.Sprintf(`{%q:"T-1"}`, telemetry.FieldOutTradeNo)},
		"lookback": {"1h"}, "limit": {"20"},
	}.Encode()
	stored := func() bool {
		var found struct{ Data []struct{ TraceID string } }
		decode(t, search, &found)
		return len(found.Data) == 1 && found.Data[0].TraceID == fmt.Sprintf("%x", one.GetTraceId())
	}
	eventually(t, "the trace in Jaeger", stored)
	first.end(t, syscall.SIGTERM)
	run()
	eventually(t, "the trace after a restart", stored)
}

func decode(t *testing.T, url string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(body(t, url)), into); err != nil {
		t.Fatal(err)
	}
}

// eventually asks until the answer is yes.
func eventually(t *testing.T, what string, yes func() bool) {
	t.Helper()
	deadline, tick := time.NewTimer(patience), time.NewTicker(50*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("never seen: %s", what)
		}
	}
}

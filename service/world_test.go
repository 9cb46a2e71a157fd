package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
	"wxnotify/service/store"
	"wxnotify/service/store/storetest/server"
	"wxnotify/service/telemetry"
)

// asProgram makes this test binary behave as wxnotify itself, so that tests can
// kill a real process.
const asProgram = "TEST_AS_WXNOTIFY"

func TestMain(m *testing.M) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	if os.Getenv(asProgram) != "" {
		end := profiled()
		code := run(ctx, os.Args[1:], terminal{os.Stdout, os.Stderr})
		end()
		os.Exit(code)
	}
	if options := os.Getenv(asReference); options != "" {
		if err := serveReference(ctx, options); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(exitFailed)
		}
		os.Exit(exitOK)
	}
	stop()
	os.Exit(m.Run())
}

// shop is one merchant account for all tests: making keys is slow. Tests that
// change it take a copy.
var shop = sync.OnceValue(func() *wechat.Merchant {
	m, err := wechat.NewMerchant("shop")
	if err != nil {
		panic(err)
	}
	return m
})

// world is a running service and the WeChat Pay outside of it.
type world struct {
	*service
	wechat  *wechat.Merchant
	records *buffer // what the service writes to stderr
	public  string
	private string
}

// buffer is a [bytes.Buffer] for several goroutines.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// configFor writes the account's keys into a folder of the test's own.
func configFor(t testing.TB, m *wechat.Merchant) Config {
	t.Helper()
	dir := t.TempDir()
	files, err := m.WriteKeys(filepath.Join(dir, "keys"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "token"), []byte(testToken), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg := defaults()
	cfg.Listen, cfg.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Private.Token = Secret{File: filepath.Join(dir, "token")}
	cfg.Store.Path = filepath.Join(dir, "wxnotify.db")
	cfg.Spool = SpoolConfig{Path: filepath.Join(dir, "wxnotify.spool"), Size: 4 << 20}
	cfg.Merchants = map[string]Merchant{m.Name: settingsFor(m, files)}
	return cfg
}

const testToken = "0123456789abcdef0123456789abcdef"

// newWorld starts a service; change, if not nil, sees its configuration first.
func newWorld(t *testing.T, change func(*Config)) *world {
	t.Helper()
	account := *shop()
	cfg := configFor(t, &account)
	if change != nil {
		change(&cfg)
	}
	w := &world{wechat: &account, records: &buffer{}}
	s, err := start(t.Context(), cfg, telemetry.Options{Stderr: w.records})
	if err != nil {
		t.Fatal(err)
	}
	w.service = s
	w.public, w.private = "http://"+s.public.Addr().String(), "http://"+s.private.Addr().String()
	account.NotifyURL = notifyURL(w.public, account.Name)
	t.Cleanup(func() {
		if !w.stopped() {
			w.end(t)
		}
	})
	return w
}

func (w *world) stopped() bool {
	select {
	case <-w.stopping:
		return true
	default:
		return false
	}
}

// end stops the service, so that everything it had to say is said.
func (w *world) end(t *testing.T) {
	t.Helper()
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}

// post sends one callback and returns the answer.
func (w *world) post(t *testing.T, s wechat.Sending) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.URL, bytes.NewReader(s.Body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = s.Header
	return do(t, r)
}

func (w *world) get(t *testing.T, path string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.private+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testToken)
	return do(t, r)
}

func (w *world) register(t *testing.T, number string, amount int64) int {
	t.Helper()
	url := fmt.Sprintf("%s/merchants/%s/orders/%s", w.private, w.wechat.Name, number)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, strings.NewReader(fmt.Sprintf(`{"amount":%d}`, amount)))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+testToken)
	status, _ := do(t, r)
	return status
}

func do(t *testing.T, r *http.Request) (status int, body string) {
	t.Helper()
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(text)
}

// handled returns the canonical records written so far. The service must have
// ended: the writer is asynchronous.
func (w *world) handled(t *testing.T) []map[string]any {
	t.Helper()
	var all []map[string]any
	for line := range strings.Lines(w.records.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("not JSON: %q", line)
		}
		if record["msg"] == telemetry.EventHandled {
			all = append(all, record)
		}
	}
	return all
}

// metric sums the series of name whose labels hold every one of labels, as
// /metrics shows them.
func metric(t testing.TB, text, name string, labels ...string) float64 {
	t.Helper()
	sum := 0.0
series:
	for line := range strings.Lines(text) {
		rest, ok := strings.CutPrefix(line, name+"{")
		if !ok {
			continue
		}
		for _, l := range labels {
			if !strings.Contains(rest, l) {
				continue series
			}
		}
		value, err := strconv.ParseFloat(strings.Fields(rest[strings.LastIndexByte(rest, '}')+1:])[0], 64)
		if err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		sum += value
	}
	return sum
}

// eventually asks until it is told yes: for what happens behind the answer.
func eventually(t *testing.T, what string, ask func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	limit := time.After(20 * time.Second)
	for !ask() {
		select {
		case <-tick.C:
		case <-limit:
			t.Fatalf("waited 20 s in vain: %s", what)
		}
	}
}

// reopen opens a stopped service's database.
func reopen(t *testing.T, cfg Config) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Options{Path: cfg.Store.Path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return db
}

// writeConfig writes a configuration that loadConfig reads back. JSON is YAML.
func writeConfig(t testing.TB, cfg Config) string {
	t.Helper()
	merchants := map[string]any{}
	for name, m := range cfg.Merchants {
		keys, secrets := []map[string]string{}, func(list []Secret) (out []map[string]string) {
			for _, s := range list {
				out = append(out, map[string]string{"file": s.File, "env": s.Env})
			}
			return out
		}
		for _, k := range m.Keys {
			keys = append(keys, map[string]string{"id": k.ID, "file": k.File})
		}
		merchants[name] = map[string]any{
			"mchid": m.MchID, "appids": m.AppIDs, "orders": m.Orders, "keys": keys,
			"apiv3_keys": secrets(m.APIv3Keys), "v2": map[string]any{"keys": secrets(m.V2.Keys)},
		}
	}
	text, err := json.MarshalIndent(map[string]any{
		"listen": cfg.Listen, "merchants": merchants,
		"private": map[string]any{"listen": cfg.Private.Listen, "token": map[string]string{"file": cfg.Private.Token.File}},
		"pager":   pagerSettings(cfg.Pager),
		"store":   storeSettings(cfg.Store),
		"spool":   map[string]any{"path": cfg.Spool.Path, "size": fmt.Sprint(int64(cfg.Spool.Size))},
	}, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(filepath.Dir(cfg.Store.Path), "wxnotify.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// pagerSettings is the pager's part of it.
func pagerSettings(p PagerConfig) map[string]any {
	file := func(s Secret) map[string]string { return map[string]string{"file": s.File} }
	hooks, robots, letters := []map[string]any{}, []map[string]any{}, []map[string]any{}
	for _, h := range p.Webhook {
		hooks = append(hooks, map[string]any{"url": file(h.URL)})
	}
	for _, d := range p.DingTalk {
		robots = append(robots, map[string]any{"url": file(d.URL), "secret": file(d.Secret), "keyword": d.Keyword})
	}
	for _, e := range p.Email {
		relays := []map[string]any{}
		for _, r := range e.Relays {
			relays = append(relays, map[string]any{"host": r.Host, "port": r.Port, "tls": r.TLS})
		}
		letters = append(letters, map[string]any{"from": e.From, "to": e.To, "relays": relays})
	}
	return map[string]any{
		"mode": p.Mode, "webhook": hooks, "dingtalk": robots, "email": letters,
		"alertmanager": map[string]any{"token": file(p.Alertmanager.Token)},
	}
}

// written is a file with this secret in it.
func written(t *testing.T, secret string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// withoutPassword is the address as the settings want it.
func withoutPassword(address string) string {
	return strings.Replace(address, ":"+server.Password+"@", "@", 1)
}

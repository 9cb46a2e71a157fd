package web_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/callback"
	"wxnotify/service/web"
)

var update = flag.Bool("update", false, "write the golden files anew")

// accepter is a stand-in for the intake: it answers as told and keeps what it got.
type accepter struct {
	answer func(env callback.Envelope) (callback.Receipt, error)
	mu     sync.Mutex
	got    []callback.Envelope
}

func (a *accepter) Accept(_ context.Context, env callback.Envelope) (callback.Receipt, error) {
	a.mu.Lock()
	a.got = append(a.got, env)
	a.mu.Unlock()
	return a.answer(env)
}

func (a *accepter) only(t *testing.T) callback.Envelope {
	t.Helper()
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.got) != 1 {
		t.Fatalf("accepted %d envelopes, want 1", len(a.got))
	}
	return a.got[0]
}

func refuse(r callback.Reason) func(callback.Envelope) (callback.Receipt, error) {
	return func(callback.Envelope) (callback.Receipt, error) { return callback.Receipt{}, callback.Refuse(r, "") }
}

// accepted needs a receipt with proof, which only a store may make; the floors
// test names this file as the one exception outside of it.
func accepted(callback.Envelope) (callback.Receipt, error) {
	return callback.Committed(callback.Commit{}), nil
}

func post(path, body string) *http.Request {
	return httptest.NewRequest(http.MethodPost, path, strings.NewReader(body))
}

func serve(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func dump(t *testing.T, r *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%d %s\n%s\n", r.StatusCode, r.Header.Get("Content-Type"), body)
}

// TestAnswers pins what WeChat Pay is told for every reason, in both protocols.
func TestAnswers(t *testing.T) {
	t.Parallel()
	const v2, v3 = "<xml></xml>", "{}"
	var got strings.Builder
	record := func(name, body string, answer func(callback.Envelope) (callback.Receipt, error)) {
		h := web.NewPublic(web.PublicOptions{Accept: &accepter{answer: answer}})
		fmt.Fprintf(&got, "## %s\n%s\n", name, dump(t, serve(h, post("/wechatpay/shop", body))))
	}
	record("accepted v3", v3, accepted)
	record("accepted v2", v2, accepted)
	for _, reason := range callback.Reasons() {
		answer := refuse(reason)
		if reason.Quarantined() {
			answer = func(callback.Envelope) (callback.Receipt, error) {
				return callback.Committed(callback.Commit{Quarantine: reason}), nil
			}
		}
		record(string(reason)+" v3", v3, answer)
		record(string(reason)+" v2", v2, answer)
	}
	record("decrypt_failed unproven v2", v2, func(callback.Envelope) (callback.Receipt, error) {
		return callback.Receipt{}, callback.Refuse(callback.ReasonDecryptFailed, "").InClass(callback.Unproven)
	})

	golden := filepath.Join("testdata", "answers.golden")
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("answers differ from %s (run with -update to accept):\n%s", golden, got.String())
	}
}

// TestNoSuccessWithoutProof is promise P1 at the door: whatever goes wrong
// inside, no 2xx leaves without a receipt.
func TestNoSuccessWithoutProof(t *testing.T) {
	t.Parallel()
	cases := map[string]func(callback.Envelope) (callback.Receipt, error){
		"forgotten return": func(callback.Envelope) (callback.Receipt, error) { return callback.Receipt{}, nil },
		"panic":            func(callback.Envelope) (callback.Receipt, error) { panic("boom") },
		"plain error":      func(callback.Envelope) (callback.Receipt, error) { return callback.Receipt{}, errors.New("x") },
		"receipt and error": func(e callback.Envelope) (callback.Receipt, error) {
			r, _ := accepted(e)
			return r, errors.New("x")
		},
		"quarantine reason as a refusal": refuse(callback.ReasonConflict),
		"unknown reason":                 refuse("made up"),
	}
	for name, answer := range cases {
		for _, body := range []string{"{}", "<xml/>"} {
			t.Run(name+" "+body, func(t *testing.T) {
				t.Parallel()
				h := web.NewPublic(web.PublicOptions{Accept: &accepter{answer: answer}})
				r := serve(h, post("/wechatpay/shop", body))
				text := dump(t, r)
				if r.StatusCode < 400 || !strings.Contains(text, "FAIL") {
					t.Errorf("answered %q", text)
				}
			})
		}
	}
}

func TestPaths(t *testing.T) {
	t.Parallel()
	cases := []struct {
		method, path string
		status       int
		merchant     string
		accepted     bool
	}{
		{"POST", "/wechatpay/shop", 204, "shop", true},
		{"POST", "/wechatpay/shop/", 204, "shop", true},
		{"POST", "//wechatpay///shop//", 204, "shop", true},
		{"POST", "/wechatpay/", 204, "", true},
		{"POST", "/", 204, "", true},
		{"POST", "/notify/wx", 204, "", true},
		{"GET", "/wechatpay/shop", 405, "", false},
		{"GET", "/metrics", 405, "", false},
		{"OPTIONS", "/wechatpay/shop", 405, "", false},
		{"OPTIONS", "/", 405, "", false},
		{"HEAD", "/wechatpay/shop", 405, "", false},
		{"PUT", "/wechatpay/shop", 405, "", false},
		{"GET", "/healthz", 405, "", false},
	}
	for _, c := range cases {
		t.Run(c.method+" "+c.path, func(t *testing.T) {
			t.Parallel()
			a := &accepter{answer: accepted}
			r := serve(web.NewPublic(web.PublicOptions{Accept: a}), httptest.NewRequest(c.method, c.path, nil))
			if r.StatusCode != c.status {
				t.Errorf("status %d, want %d", r.StatusCode, c.status)
			}
			if c.accepted && a.only(t).Merchant != c.merchant {
				t.Errorf("merchant %q, want %q", a.only(t).Merchant, c.merchant)
			}
			if !c.accepted && len(a.got) != 0 {
				t.Error("taken in, although it is no callback")
			}
		})
	}
}

func TestEnvelope(t *testing.T) {
	t.Parallel()
	a := &accepter{answer: accepted}
	h := web.NewPublic(web.PublicOptions{
		Accept:         a,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	r := post("/wechatpay/shop", "\r\n{\"id\" : 1}\n")
	r.Header.Set("Wechatpay-Serial", "S")
	r.Header.Set("Wechatpay-Timestamp", "+1")
	r.Header.Set("Wechatpay-Nonce", "N")
	r.Header.Set("Wechatpay-Signature-Type", "T")
	r.Header.Set("Wechatpay-Signature", "V")
	r.Header.Set("X-Forwarded-For", "198.51.100.9, 203.0.113.7, 192.0.2.44")
	r.RemoteAddr = "192.0.2.1:1234"
	serve(h, r)
	env := a.only(t)
	if want := (callback.Signature{Serial: "S", Timestamp: "+1", Nonce: "N", Type: "T", Value: "V"}); env.Signature != want {
		t.Errorf("signature %+v, want %+v", env.Signature, want)
	}
	if string(env.Body) != "\r\n{\"id\" : 1}\n" {
		t.Errorf("body was changed: %q", env.Body)
	}
	if env.Peer.String() != "203.0.113.7" {
		t.Errorf("peer %s, want the last hop before our own proxies", env.Peer)
	}
	if env.ID == "" || env.Received.IsZero() || env.Read.Before(env.Received) {
		t.Errorf("id %q, received %v, read %v", env.ID, env.Received, env.Read)
	}
}

func TestForwardedForIsNotBelievedWithoutAProxy(t *testing.T) {
	t.Parallel()
	a := &accepter{answer: accepted}
	r := post("/wechatpay/shop", "{}")
	r.Header.Set("X-Forwarded-For", "203.0.113.7")
	r.Header.Set("X-Real-IP", "203.0.113.8")
	r.RemoteAddr = "127.0.0.1:1"
	serve(web.NewPublic(web.PublicOptions{Accept: a}), r)
	if got := a.only(t).Peer.String(); got != "127.0.0.1" {
		t.Errorf("peer %s, want the connection's own address", got)
	}
}

func TestTooLarge(t *testing.T) {
	t.Parallel()
	for name, length := range map[string]int64{"announced": 101, "chunked": -1} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := &accepter{answer: func(env callback.Envelope) (callback.Receipt, error) { return callback.Receipt{}, env.Verdict }}
			r := post("/wechatpay/shop", strings.Repeat("x", 101))
			r.ContentLength = length
			got := serve(web.NewPublic(web.PublicOptions{Accept: a, MaxBody: 100}), r)
			if got.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("status %d", got.StatusCode)
			}
			if env := a.only(t); env.Verdict == nil || env.Verdict.Reason != callback.ReasonTooLarge || len(env.Body) > 0 {
				t.Errorf("envelope %+v", env)
			}
		})
	}
}

// TestSenderHangsUp shows that the sender cannot cancel a commit: the context
// has our deadline and not the client's life.
func TestSenderHangsUp(t *testing.T) {
	t.Parallel()
	entered, hungUp, seen := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	intake := acceptFunc(func(ctx context.Context, _ callback.Envelope) (callback.Receipt, error) {
		close(entered)
		<-hungUp
		seen <- ctx.Err()
		return callback.Receipt{}, callback.Refuse(callback.ReasonDeadline, "")
	})
	ctx, cancel := context.WithCancel(t.Context())
	go serve(web.NewPublic(web.PublicOptions{Accept: intake, Deadline: time.Hour}), post("/wechatpay/shop", "{}").WithContext(ctx))
	<-entered
	cancel()
	close(hungUp)
	if err := <-seen; err != nil {
		t.Errorf("the commit was cancelled by the sender: %v", err)
	}
}

type acceptFunc func(context.Context, callback.Envelope) (callback.Receipt, error)

func (f acceptFunc) Accept(ctx context.Context, env callback.Envelope) (callback.Receipt, error) {
	return f(ctx, env)
}

// TestBodyThatBreaksOff lets a sender announce more than it sends.
func TestBodyThatBreaksOff(t *testing.T) {
	t.Parallel()
	a := &accepter{answer: refuse(callback.ReasonSignatureInvalid)}
	s, err := web.Listen(t.Context(), "127.0.0.1:0", web.NewPublic(web.PublicOptions{Accept: a}))
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprint(conn, "POST /wechatpay/shop HTTP/1.1\r\nHost: x\r\nContent-Length: 50\r\n\r\n{\"half\":")
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(string(answer), "HTTP/1.1 401") {
		t.Errorf("answered %q", answer)
	}
	if env := a.only(t); string(env.Body) != `{"half":` || env.Length != 50 {
		t.Errorf("body %q, length %d", env.Body, env.Length)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

type notes struct{ got chan string }

func (n notes) Answered(id string, status int, _ time.Time, took time.Duration) {
	n.got <- fmt.Sprint(id != "", status, took >= 0)
}

func TestAnsweredIsNoted(t *testing.T) {
	t.Parallel()
	n := notes{make(chan string, 1)}
	serve(web.NewPublic(web.PublicOptions{Accept: &accepter{answer: accepted}, Note: n}), post("/wechatpay/shop", "{}"))
	if got := <-n.got; got != "true 204 true" {
		t.Errorf("noted %q", got)
	}
}

// TestUnusedConnection opens a connection and sends nothing: a door must not
// wait for it.
func TestUnusedConnection(t *testing.T) {
	t.Parallel()
	s, err := web.Listen(t.Context(), "127.0.0.1:0", http.NotFoundHandler())
	if err != nil {
		t.Fatal(err)
	}
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := s.Close(ctx); err != nil {
		t.Errorf("waited for a connection that says nothing: %v", err)
	}
}

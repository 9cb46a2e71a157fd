package pager_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"testing"
	"time"

	"wxnotify/service/pager"
	"wxnotify/service/simulator/dingtalk"
	"wxnotify/service/simulator/smtp"
)

const (
	robotToken  = "robot-token-5f0c"
	robotSecret = "SECrobot-secret-9a1e"
)

// inProcess reaches a handler without a network, so that clocks can be virtual.
type inProcess struct{ http.Handler }

func (h inProcess) RoundTrip(r *http.Request) (answer *http.Response, err error) {
	w := httptest.NewRecorder()
	defer func() {
		if recover() != nil {
			answer, err = nil, io.ErrUnexpectedEOF
		}
	}()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// near is a robot and the channel to it, without a network.
func near(l pager.Language) (*dingtalk.Robot, pager.DingTalk) {
	robot := dingtalk.New(dingtalk.Options{Token: robotToken, Secret: robotSecret})
	return robot, pager.DingTalk{
		URL: "https://robot.example/robot/send?access_token=" + robotToken, Secret: robotSecret,
		Mobiles: []string{"13800000000", "13900000000"}, Writer: writer(l),
		Client: &http.Client{Transport: inProcess{robot.Handler()}},
	}
}

// robotOn is a robot on the loopback.
func robotOn(t *testing.T, o dingtalk.Options, secure bool) (*dingtalk.Robot, *dingtalk.Server) {
	t.Helper()
	o.Token = robotToken
	robot := dingtalk.New(o)
	server, err := dingtalk.Listen(t.Context(), "127.0.0.1:0", robot, secure)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return robot, server
}

// relayOn is a mail relay on the loopback and the way to it.
func relayOn(t *testing.T, o smtp.Options) (*smtp.Server, pager.Relay) {
	t.Helper()
	if o.TLS == "" {
		o.TLS = smtp.None
	}
	server, err := smtp.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	return server, pager.Relay{
		Host: "127.0.0.1", Port: server.Port(), TLS: pager.TLS(o.TLS), Username: o.Username, Password: o.Password,
		Config: &tls.Config{RootCAs: server.CA(), MinVersion: tls.VersionTLS12},
	}
}

// trusting is a client that trusts a stand-in's certificate.
func trusting(ca *x509.CertPool) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig = &tls.Config{RootCAs: ca, MinVersion: tls.VersionTLS12}
	transport.DisableKeepAlives = true
	return &http.Client{Transport: transport}
}

func mailTo(relays ...pager.Relay) pager.Email {
	return pager.Email{From: "wxnotify@example.com", To: []string{"oncall@example.com"}, Relays: relays, Writer: writer(pager.English)}
}

// soon bounds a sending.
func soon(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// post is a letter as its reader's program takes it apart.
type post struct {
	header      mail.Header
	subject     string
	plain, html string
}

func open(t *testing.T, l smtp.Letter) (p post) {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(l.Data))
	if err != nil {
		t.Fatal(err)
	}
	p.header = m.Header
	if p.subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		t.Fatal(err)
	}
	kind, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("a letter of type %q: %v", kind, err)
	}
	parts := multipart.NewReader(m.Body, params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF { //nolint:errorlint // as the reader promises
			return p
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		body = bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n"))
		switch kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type")); kind {
		case "text/plain":
			p.plain = string(body)
		case "text/html":
			p.html = string(body)
		}
	}
}

package dingtalk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"time"
)

// Handler is the robot and, for people and scripts beside it:
//
//   - POST /robot/send?access_token=… is the robot;
//   - GET / shows the messages as a telephone would;
//   - GET /messages answers them and the [Report] as JSON;
//   - POST /faults orders a [Trouble], such as {"fault":"errcode","code":310000,"times":3};
//   - GET /healthz answers 200.
func (r *Robot) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("/robot/send", r.send)
	mux.HandleFunc("GET /{$}", r.page)
	mux.HandleFunc("GET /messages", r.messages)
	mux.HandleFunc("POST /faults", r.faults)
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	mux.HandleFunc("/elsewhere", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.report.Strayed++
		answer(w, CodeOK, "")
	})
	return mux
}

func (r *Robot) messages(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"report": r.Report(), "messages": r.Messages()}) // the other side has gone
}

func (r *Robot) faults(w http.ResponseWriter, q *http.Request) {
	var t Trouble
	in := json.NewDecoder(http.MaxBytesReader(w, q.Body, 64<<10))
	in.DisallowUnknownFields()
	if err := in.Decode(&t); err != nil || !t.known() {
		http.Error(w, fmt.Sprintf(`want {"fault":…,"code":…,"times":…}; fault is one of %q`, Faults()), http.StatusBadRequest)
		return
	}
	r.Misbehave(t)
	w.WriteHeader(http.StatusNoContent)
}

// Server is a robot on a port of this host.
type Server struct {
	// URL is the robot's address with its token, as an operator copies it.
	URL string
	// Page is where a person looks at the messages.
	Page string
	// CA signed the server's certificate; nil without TLS.
	CA *x509.CertPool

	http *http.Server
	done chan error
}

// Listen serves a robot on addr, which must be of the loopback unless it may be
// anywhere: a stand-in is nobody else's business. With secure it speaks TLS.
func Listen(ctx context.Context, addr string, r *Robot, secure bool) (*Server, error) {
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); !r.opts.Anywhere && (err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback())) {
		return nil, errors.New("dingtalk: a stand-in listens on the loopback only, such as 127.0.0.1:8082")
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("dingtalk: %w", err)
	}
	s := &Server{done: make(chan error, 1)}
	s.http = &http.Server{Handler: r.Handler(), ReadHeaderTimeout: 5 * time.Second, ErrorLog: log.New(io.Discard, "", 0)}
	scheme := "http://"
	if secure {
		scheme = "https://"
		certificate, pool, err := selfSigned()
		if err != nil {
			return nil, errors.Join(err, l.Close())
		}
		s.CA = pool
		l = tls.NewListener(l, &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			if r.breaksTLS() {
				return nil, errors.New("broken on command")
			}
			return certificate, nil
		}})
	}
	s.Page = scheme + l.Addr().String() + "/"
	s.URL = s.Page + "robot/send?access_token=" + url.QueryEscape(r.opts.Token)
	go func() { s.done <- s.http.Serve(l) }()
	return s, nil
}

// breaksTLS reports whether a handshake must fail now.
func (r *Robot) breaksTLS() bool {
	r.mu.Lock()
	broken := r.trouble.Fault == BrokenTLS
	r.mu.Unlock()
	return broken && r.next().Fault == BrokenTLS
}

// Failed tells when the server has ended by itself.
func (s *Server) Failed() <-chan error { return s.done }

// Close ends the server and every connection.
func (s *Server) Close() error { return s.http.Close() }

// selfSigned makes a certificate for this host that nobody else trusts.
func selfSigned() (*tls.Certificate, *x509.CertPool, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("dingtalk: %w", err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "dingtalk stand-in"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("dingtalk: %w", err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, nil, fmt.Errorf("dingtalk: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key, Leaf: leaf}, pool, nil
}

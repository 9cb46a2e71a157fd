package smtp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// TLS is how a server protects its connections.
type TLS string

// The ways.
const (
	None     TLS = "none"
	Explicit TLS = "starttls"
	Implicit TLS = "implicit" // from the first byte
)

// Options are how a server is set up.
type Options struct {
	TLS TLS // empty: None
	// Username and Password are asked for; without a username anybody may send.
	Username, Password string
	// Greylist refuses a sender and recipient that it does not know (451) until
	// so long after they came first; 0: never.
	Greylist time.Duration
}

// Letter is what a server took.
type Letter struct {
	From      string
	To        []string
	Data      []byte // as sent, without dots that were doubled
	Encrypted bool
	User      string // who had logged in
}

// Server is a relay on the loopback.
type Server struct {
	opts     Options
	listener net.Listener
	tls      *tls.Config
	pool     *x509.CertPool
	serving  sync.WaitGroup
	closed   context.Context
	end      context.CancelFunc

	mu       sync.Mutex
	faults   []Fault
	struck   int
	sessions int
	taken    []Letter
	known    map[string]time.Time // sender and recipient, since when
}

// Listen starts a server on a free port of the loopback.
func Listen(ctx context.Context, o Options) (*Server, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("smtp: %w", err)
	}
	s := &Server{opts: o, listener: l, known: map[string]time.Time{}}
	s.closed, s.end = context.WithCancel(context.WithoutCancel(ctx))
	certificate, pool, err := authority()
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	s.pool = pool
	s.tls = &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	s.serving.Go(s.accept)
	return s, nil
}

func (s *Server) accept() {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.mu.Lock()
		s.sessions++
		s.mu.Unlock()
		s.serving.Go(func() { s.serve(conn) })
	}
}

// Port is where the server listens on 127.0.0.1.
func (s *Server) Port() int { return s.listener.Addr().(*net.TCPAddr).Port }

// CA trusts the server's certificate, and no other.
func (s *Server) CA() *x509.CertPool { return s.pool }

// Letters is what was taken, the eldest first.
func (s *Server) Letters() []Letter {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Letter(nil), s.taken...)
}

// Struck is how often a fault struck.
func (s *Server) Struck() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.struck
}

// Sessions is how often somebody connected.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Close ends the server and every session.
func (s *Server) Close() error {
	err := s.listener.Close()
	s.end()
	s.serving.Wait()
	return err
}

func (s *Server) take(l Letter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.taken = append(s.taken, l)
}

// grey reports whether a pair is not known for long enough yet.
func (s *Server) grey(from, to string, now time.Time) bool {
	if s.opts.Greylist == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	since, known := s.known[from+" "+to]
	if !known {
		s.known[from+" "+to] = now
		return true
	}
	return now.Sub(since) < s.opts.Greylist
}

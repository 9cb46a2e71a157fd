package web

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/net/netutil"
)

// Server is one listening door.
type Server struct {
	listener net.Listener
	server   *http.Server
	done     chan error

	mu     sync.Mutex
	silent map[net.Conn]bool // connections that have not sent a byte
}

// maxConnections bounds one door: a stalled connection costs memory, and a
// sender beyond the bound waits in the kernel's queue.
const maxConnections = 8192

// Listen opens a door at address ("host:port"; port 0 asks for a free one) and
// serves h on it until [Server.Close]. The context is for opening it only.
func Listen(ctx context.Context, address string, h http.Handler) (*Server, error) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	s := &Server{
		listener: l,
		server: &http.Server{
			Handler:           h,
			ReadHeaderTimeout: 3 * time.Second,
			ReadTimeout:       5 * time.Second,
			WriteTimeout:      6 * time.Second,
			IdleTimeout:       60 * time.Second,
			MaxHeaderBytes:    16 << 10,
			// net/http reports strangers' TLS and header junk here, in their words.
			ErrorLog: log.New(io.Discard, "", 0),
		},
		done:   make(chan error, 1),
		silent: map[net.Conn]bool{},
	}
	s.server.ConnState = s.track
	go func() {
		err := s.server.Serve(netutil.LimitListener(l, maxConnections))
		if errors.Is(err, http.ErrServerClosed) {
			err = nil
		}
		s.done <- err
	}()
	return s, nil
}

// Addr is where the door listens.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Failed yields the error that made the door stop serving, nil after Close.
func (s *Server) Failed() <-chan error { return s.done }

// silence is how long a closing door waits for the first byte of a connection.
// Clients open connections that they never use, and net/http alone would wait
// 5 s for each.
const silence = 300 * time.Millisecond

// Close stops accepting, lets requests in flight finish until ctx ends, then
// cuts the rest off: they get no answer, so WeChat Pay sends them again.
func (s *Server) Close(ctx context.Context) error {
	hangUp := time.AfterFunc(silence, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		for c := range s.silent {
			_ = c.Close()
		}
	})
	defer hangUp.Stop()
	if err := s.server.Shutdown(ctx); err != nil {
		return errors.Join(err, s.server.Close())
	}
	return nil
}

func (s *Server) track(c net.Conn, state http.ConnState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if state == http.StateNew {
		s.silent[c] = true
	} else {
		delete(s.silent, c)
	}
}

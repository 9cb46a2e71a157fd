// Package server starts real PostgreSQL and MariaDB servers for tests and
// benchmarks, breaks them on purpose and puts faults on the way to them:
//
//	url := server.Shared(t, server.PostgreSQL).Database(t)
//
// A server lives in a folder of its own on a free port of the loopback interface.
// It ends with the process that started it, even one that is killed; see [guard].
package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// Engine is a kind of server.
type Engine string

// The engines.
const (
	PostgreSQL Engine = "PostgreSQL"
	MariaDB    Engine = "MariaDB"
)

// Engines are all of them, for tests by table.
func Engines() []Engine { return []Engine{PostgreSQL, MariaDB} }

// Scheme is what the URLs of the engine's databases begin with.
func (e Engine) Scheme() string {
	if e == MariaDB {
		return "mysql"
	}
	return "postgres"
}

// product is what is the engine's own.
type product struct {
	tool     string // for .ci/tool
	user     string // who runs it where we are root: it refuses to be
	install  func(s *Server) []string
	serve    func(s *Server) []string
	client   func(s *Server) []string               // reads SQL from its input
	account  string                                 // SQL that makes the account of our URLs
	tls      func(certificate, key string) []string // settings
	create   string                                 // SQL that gives it a database
	drop     string                                 // SQL that takes it away
	query    string                                 // of our URLs
	socket   func(s *Server) string                 // in the folder, where nobody else can answer
	ready    func(conn net.Conn) error
	answered func(sent []byte) bool // reports whether a COMMIT is, by all that was sent since
	gentle   syscall.Signal         // stops it, whoever is connected
	violent  syscall.Signal         // ends it at once, and leaves nothing in the kernel
}

func (e Engine) product() (*product, error) {
	switch e {
	case PostgreSQL:
		return &postgres, nil
	case MariaDB:
		return &mariadb, nil
	}
	return nil, fmt.Errorf("server: no engine %q", string(e))
}

// The account of every URL. A password is there so that tests see that it
// leaks nowhere.
const (
	User     = "wxnotify"
	Password = "secret"
)

// Option changes how a server is made.
type Option func(*Server)

// WithoutSync makes commits fast that survive the death of the server, but not
// that of the machine. For tests that do not look at durability.
func WithoutSync() Option { return func(s *Server) { s.noSync = true } }

// WithSetting sets one of the engine's own settings for every start.
func WithSetting(name, value string) Option {
	return func(s *Server) { s.settings = append(s.settings, name+"="+value) }
}

// Server is one server with its data.
type Server struct {
	engine    Engine
	product   *product
	programs  string // folder
	guard     *guard
	port      int
	noSync    bool
	settings  []string
	disk      int // megabytes, or 0
	identity  *identity
	databases atomic.Int64

	mu        sync.Mutex // starts and ends exclude each other
	process   *process   // nil while the server is down
	toxiproxy *toxiproxy // nil until somebody wants it
}

// startLimit is how long a server may take to get ready, after a crash and on a
// busy machine.
const startLimit = 60 * time.Second

// New makes a server and starts it. Most tests want [Shared].
func New(e Engine, options ...Option) (*Server, error) {
	p, err := e.product()
	if err != nil {
		return nil, err
	}
	s := &Server{engine: e, product: p}
	for _, set := range options {
		set(s)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*startLimit)
	defer cancel()
	if s.programs, err = tool(p.tool); err != nil {
		return nil, err
	}
	if s.guard, err = newGuard(p.tool, p.user, p.violent); err != nil {
		return nil, err
	}
	if err := s.make(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// make prepares the data, and starts with them.
func (s *Server) make(ctx context.Context) error {
	if err := errors.Join(s.mount(ctx), s.identify()); err != nil {
		return err
	}
	install := s.product.install(s)
	if err := s.guard.run(ctx, "install.log", install[0], install[1:]...); err != nil {
		return fmt.Errorf("server: data of a new %s: %w", s.engine, err)
	}
	for try := 1; ; try++ { // somebody may take the port before we do
		port, err := freePort()
		if err != nil {
			return err
		}
		s.port = port
		if err = s.Start(ctx); err == nil {
			break
		}
		if try == 3 {
			return err
		}
	}
	_, err := s.sql(ctx, s.product.account)
	return err
}

// data is where the server keeps them.
func (s *Server) data() string { return filepath.Join(s.guard.dir, "data") }

// Addr is where the server listens, and will again after a restart.
func (s *Server) Addr() string { return fmt.Sprintf("127.0.0.1:%d", s.port) }

// Engine is what the server is.
func (s *Server) Engine() Engine { return s.engine }

// Start starts a server that is down, on the same port with the same data, and
// returns when it takes connections.
func (s *Server) Start(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, startLimit)
	defer cancel()
	serve := s.product.serve(s)
	p, err := s.guard.start(serverLog, serve[0], serve[1:]...)
	if err != nil {
		return err
	}
	s.process = p
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		why := s.answers(ctx)
		if why == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.ended:
			s.process = nil
			return fmt.Errorf("server: %s ends instead of starting:\n%s", s.engine, s.Log())
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("server: %s is not ready: %w\n%s", s.engine, why, s.Log()), s.end())
		}
	}
}

// answers asks at the door that nobody else can listen on: on its port, another
// server may have been faster. The engines open it after the port.
func (s *Server) answers(ctx context.Context) error {
	conn, err := new(net.Dialer).DialContext(ctx, "unix", s.product.socket(s))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	return s.product.ready(conn)
}

// Stop stops the server as its operator would: what runs is undone, connections
// are closed, and the data are written down.
func (s *Server) Stop(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return nil
	}
	if err := s.process.signal(s.product.gentle); err != nil {
		return err
	}
	select {
	case <-s.process.ended:
		s.process = nil
		return nil
	case <-ctx.Done():
		return fmt.Errorf("server: %s does not stop: %w", s.engine, ctx.Err())
	}
}

// Kill ends the server as a crash does.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.end()
}

// Restart is a Stop and a Start.
func (s *Server) Restart(ctx context.Context) error {
	if err := s.Stop(ctx); err != nil {
		return err
	}
	return s.Start(ctx)
}

// Pause freezes the server: it keeps its connections, and answers nothing until
// Resume.
func (s *Server) Pause() error { return s.signal(syscall.SIGSTOP) }

// Resume ends a Pause.
func (s *Server) Resume() error { return s.signal(syscall.SIGCONT) }

func (s *Server) signal(what syscall.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.process == nil {
		return fmt.Errorf("server: %s is down", s.engine)
	}
	return s.process.signal(what)
}

// end kills the process. The caller holds the lock.
func (s *Server) end() error {
	if s.process == nil {
		return nil
	}
	err := s.process.end()
	s.process = nil
	return err
}

// serverLog is in the folder.
const serverLog = "server.log"

// Log is the end of what the server has said.
func (s *Server) Log() string { return s.guard.said(serverLog) }

// Close ends the server and removes its data.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	err := s.guard.close()
	if s.toxiproxy != nil {
		err = errors.Join(err, s.toxiproxy.guard.close())
	}
	if s.process != nil {
		<-s.process.ended
		s.process = nil
	}
	return err
}

package server

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Proxy is a toxiproxy on the way to a server. Its faults add up, and last until
// Heal.
type Proxy struct {
	t         testing.TB
	toxiproxy *toxiproxy
	address   string
	path      string // in the API
	toxics    map[string]bool
}

// Proxy puts a proxy in front of the server, for one test.
func (s *Server) Proxy(t testing.TB) *Proxy {
	t.Helper()
	x, err := s.throughToxiproxy(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	name := fmt.Sprintf("%s-%d", s.engine, port)
	p := &Proxy{t: t, toxiproxy: x, address: fmt.Sprintf("127.0.0.1:%d", port), path: "/proxies/" + name, toxics: map[string]bool{}}
	p.call(http.MethodPost, "/proxies", map[string]any{"name": name, "listen": p.address, "upstream": s.Addr(), "enabled": true})
	t.Cleanup(func() { _ = x.call(context.Background(), http.MethodDelete, p.path, nil) }) // the server may be closed by now
	return p
}

// throughToxiproxy starts the server's toxiproxy for the first who wants one.
func (s *Server) throughToxiproxy(ctx context.Context) (x *toxiproxy, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.toxiproxy == nil {
		s.toxiproxy, err = newToxiproxy(ctx)
	}
	return s.toxiproxy, err
}

// URL is the way through the proxy to a [Server.Database].
func (p *Proxy) URL(database string) string { return through(p.address, database) }

// Addr is where the proxy listens.
func (p *Proxy) Addr() string { return p.address }

// Down closes every connection and refuses new ones, as a host without a server
// does.
func (p *Proxy) Down() { p.enable(false) }

// Up ends Down.
func (p *Proxy) Up() { p.enable(true) }

// Latency delays the server's answers.
func (p *Proxy) Latency(delay, jitter time.Duration) {
	p.poison("latency", "downstream", map[string]any{"latency": delay.Milliseconds(), "jitter": jitter.Milliseconds()})
}

// Timeout stops the data in both directions: nobody hears anything any more.
// Connections stay open, or are closed after a while that is not zero.
func (p *Proxy) Timeout(after time.Duration) {
	p.both("timeout", map[string]any{"timeout": after.Milliseconds()})
}

// ResetPeer ends connections with a TCP RST, new ones after a while.
func (p *Proxy) ResetPeer(after time.Duration) {
	p.both("reset_peer", map[string]any{"timeout": after.Milliseconds()})
}

// Bandwidth is what each direction still carries.
func (p *Proxy) Bandwidth(kilobytesPerSecond int) {
	p.both("bandwidth", map[string]any{"rate": kilobytesPerSecond})
}

// LimitData closes a connection after so many bytes of answers.
func (p *Proxy) LimitData(bytes int) {
	p.poison("limit_data", "downstream", map[string]any{"bytes": bytes})
}

// Heal ends all faults. Connections that one of them has stopped are closed.
func (p *Proxy) Heal() {
	for toxic := range p.toxics {
		p.call(http.MethodDelete, p.path+"/toxics/"+toxic, nil)
	}
	clear(p.toxics)
	p.Up()
}

func (p *Proxy) enable(up bool) { p.call(http.MethodPost, p.path, map[string]any{"enabled": up}) }

func (p *Proxy) both(kind string, attributes map[string]any) {
	p.poison(kind, "upstream", attributes)
	p.poison(kind, "downstream", attributes)
}

// poison replaces a toxic of the same kind.
func (p *Proxy) poison(kind, stream string, attributes map[string]any) {
	name := kind + "-" + stream
	if p.toxics[name] {
		p.call(http.MethodDelete, p.path+"/toxics/"+name, nil)
	}
	p.toxics[name] = true
	p.call(http.MethodPost, p.path+"/toxics", map[string]any{"name": name, "type": kind, "stream": stream, "attributes": attributes})
}

// call outlives the test's context: a fault may be healed in a cleanup.
func (p *Proxy) call(method, path string, body any) {
	if err := p.toxiproxy.call(context.Background(), method, path, body); err != nil {
		p.t.Error(err)
	}
}

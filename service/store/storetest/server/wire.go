package server

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// Wire is a proxy on the way to a server that looks for a text in what the client
// sends, and cuts the connection there: between a COMMIT and its answer. Of a
// prepared statement the text comes by once, when it is prepared.
type Wire struct {
	t        testing.TB
	server   *Server
	listener *net.TCPListener
	next     atomic.Pointer[cut]
	carriers sync.WaitGroup

	mu   sync.Mutex
	open map[net.Conn]bool // nil when the wire is closed
}

// cut is what is to be cut, and once.
type cut struct {
	pattern []byte
	before  bool // the server sees it
	done    chan struct{}
}

// Wire puts a wire in front of the server, for one test.
func (s *Server) Wire(t testing.TB) *Wire {
	t.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	w := &Wire{t: t, server: s, listener: listener, open: map[net.Conn]bool{}}
	w.carriers.Go(w.accept)
	t.Cleanup(w.close)
	return w
}

// URL is the way through the wire to a [Server.Database].
func (w *Wire) URL(database string) string { return through(w.Addr(), database) }

// Addr is where the wire begins.
func (w *Wire) Addr() string { return w.listener.Addr().String() }

// CutAnswer lets the server carry out the next statement with the pattern in it,
// in small or capital letters, loses the answer and then resets the connection.
// The statement must leave no transaction open. When it is done, the channel is
// closed.
func (w *Wire) CutAnswer(pattern []byte) <-chan struct{} { return w.cutAt(pattern, false) }

// CutQuestion resets the connection before the server sees the next statement
// with the pattern in it.
func (w *Wire) CutQuestion(pattern []byte) <-chan struct{} { return w.cutAt(pattern, true) }

func (w *Wire) cutAt(pattern []byte, before bool) <-chan struct{} {
	c := &cut{bytes.ToLower(pattern), before, make(chan struct{})} // drivers differ in how they write COMMIT
	w.next.Store(c)
	return c.done
}

func (w *Wire) accept() {
	for {
		client, err := w.listener.AcceptTCP()
		if err != nil {
			return // closed
		}
		upstream, err := net.Dial("tcp", w.server.Addr()) //nolint:noctx // loopback answers at once
		if err != nil {
			reset(client) // the server is down
			continue
		}
		c := &carrier{wire: w, client: client, server: upstream}
		if !w.keep(client, upstream) {
			c.close()
			return
		}
		w.carriers.Go(c.questions)
		w.carriers.Go(c.answers)
	}
}

// keep remembers connections for close.
func (w *Wire) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		if w.open != nil {
			w.open[c] = true
		}
	}
	return w.open != nil
}

func (w *Wire) close() {
	_ = w.listener.Close()
	w.mu.Lock()
	open := w.open
	w.open = nil
	w.mu.Unlock()
	for c := range open {
		_ = c.Close()
	}
	w.carriers.Wait()
}

// carrier is one connection.
type carrier struct {
	wire           *Wire
	client, server net.Conn
	cut            atomic.Pointer[cut] // the answer to which is being lost
}

// questions carries the client's bytes.
func (c *carrier) questions() {
	defer c.close()
	buffer := make([]byte, 64<<10)
	var before []byte // a pattern may come in two pieces
	for {
		n, err := c.client.Read(buffer)
		if n > 0 {
			seen := append(before, bytes.ToLower(buffer[:n])...)
			if cut := c.wire.next.Load(); cut != nil {
				fresh := max(0, len(before)-len(cut.pattern)+1) // what ended before has gone by
				if bytes.Contains(seen[fresh:], cut.pattern) && c.wire.next.CompareAndSwap(cut, nil) {
					if cut.before {
						c.finish(cut)
						return
					}
					c.cut.Store(cut)
				}
			}
			before = bytes.Clone(seen[max(0, len(seen)-256):])
			if _, err := c.server.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// answers carries the server's bytes, or loses them.
func (c *carrier) answers() {
	defer c.close()
	buffer := make([]byte, 64<<10)
	var lost []byte
	for {
		n, err := c.server.Read(buffer)
		if cut := c.cut.Load(); cut != nil {
			lost = append(lost, buffer[:n]...)
			if err != nil || c.wire.server.product.answered(lost) {
				c.finish(cut)
				return
			}
		} else if n > 0 {
			if _, err := c.client.Write(buffer[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// finish tells before the client can know.
func (c *carrier) finish(cut *cut) {
	close(cut.done)
	reset(c.client)
	c.close()
}

func (c *carrier) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

// reset ends a connection with a TCP RST: nothing was said before it.
func reset(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

package smtp

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/textproto"
	"strings"
	"time"
)

// session is one connection.
type session struct {
	server *Server
	conn   net.Conn
	text   *textproto.Conn
	letter Letter
}

// errOver ends a session without a word.
var errOver = errors.New("the session is over")

// maxSession bounds a session that nobody ends.
const maxSession = 5 * time.Minute

func (s *Server) serve(conn net.Conn) {
	defer conn.Close() //nolint:errcheck // nothing is left to lose
	_ = conn.SetDeadline(time.Now().Add(maxSession))
	raw := conn
	if s.opts.TLS == Implicit {
		conn = tls.Server(conn, s.tls)
	}
	defer context.AfterFunc(s.closed, func() { _ = raw.Close() })()
	c := &session{server: s, conn: conn, text: textproto.NewConn(conn)}
	c.letter.Encrypted = s.opts.TLS == Implicit
	if c.answer(Connect, "", "220 stand-in ESMTP") != nil {
		return
	}
	for {
		line, err := c.text.ReadLine()
		if err != nil || c.command(line) != nil {
			return
		}
	}
}

// command does what a line asks for. An error ends the session.
func (c *session) command(line string) error {
	verb, rest, _ := strings.Cut(line, " ")
	switch strings.ToUpper(verb) {
	case "EHLO", "HELO":
		return c.hello(line)
	case "STARTTLS":
		return c.startTLS(line)
	case "AUTH":
		return c.login(rest)
	case "MAIL":
		c.letter.From, c.letter.To = address(rest), nil
		if c.server.opts.Username != "" && c.letter.User == "" {
			return c.text.PrintfLine("530 5.7.0 Authentication required")
		}
		return c.answer(Sender, line, "250 2.1.0 Ok")
	case "RCPT":
		return c.recipient(line, address(rest))
	case "DATA":
		return c.data(line)
	case "RSET":
		c.letter.From, c.letter.To = "", nil
		return c.answer(Farewell, line, "250 2.0.0 Ok")
	case "NOOP":
		return c.text.PrintfLine("250 2.0.0 Ok")
	case "QUIT":
		_ = c.answer(Farewell, line, "221 2.0.0 Bye")
		return errOver
	}
	return c.text.PrintfLine("502 5.5.2 Not known")
}

// answer answers a stage properly, unless a fault strikes there.
func (c *session) answer(at Stage, said, proper string) error {
	if struck, err := c.struck(at, said, ""); struck {
		return err
	}
	return c.text.PrintfLine("%s", proper)
}

// struck lets a fault strike, if one is ordered for the stage, and reports
// whether that was the answer. An error ends the session.
func (c *session) struck(at Stage, said, address string) (struck bool, err error) {
	if f, ordered := c.server.fault(at, address); ordered {
		return c.strike(f, said)
	}
	return false, nil
}

// strike does what a fault is for. It reports whether that was the answer.
func (c *session) strike(f Fault, said string) (answered bool, err error) {
	switch f.Action {
	case Hang:
		// What the client still says is heard, until it goes.
		_, _ = io.Copy(io.Discard, c.text.R)
		return true, errOver
	case Reset:
		c.reset()
		return true, errOver
	case Delay:
		late := time.NewTimer(f.For)
		defer late.Stop()
		select {
		case <-late.C:
		case <-c.server.closed.Done():
		}
		return false, nil
	}
	words := "No"
	if f.Echo {
		words = "I do not like: " + said
	}
	return true, c.text.PrintfLine("%d %s", f.Code, strings.Map(printable, words))
}

func printable(r rune) rune {
	if r < ' ' {
		return ' '
	}
	return r
}

// reset breaks the connection so that the other side notices at once.
func (c *session) reset() {
	conn := c.conn
	if secure, ok := conn.(*tls.Conn); ok {
		conn = secure.NetConn()
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

func (c *session) hello(line string) error {
	offers := []string{"stand-in", "8BITMIME", "ENHANCEDSTATUSCODES"}
	if c.server.opts.TLS == Explicit && !c.letter.Encrypted {
		offers = append(offers, "STARTTLS")
	}
	if c.server.opts.Username != "" {
		offers = append(offers, "AUTH PLAIN LOGIN")
	}
	if struck, err := c.struck(Hello, line, ""); struck {
		return err
	}
	for i, offer := range offers {
		dash := "-"
		if i == len(offers)-1 {
			dash = " "
		}
		if err := c.text.PrintfLine("250%s%s", dash, offer); err != nil {
			return err
		}
	}
	return nil
}

func (c *session) startTLS(line string) error {
	if c.server.opts.TLS != Explicit || c.letter.Encrypted {
		return c.text.PrintfLine("502 5.5.1 No TLS here")
	}
	if struck, err := c.struck(StartTLS, line, ""); struck {
		return err
	}
	if err := c.text.PrintfLine("220 2.0.0 Go on"); err != nil {
		return err
	}
	secure := tls.Server(c.conn, c.server.tls)
	if err := secure.HandshakeContext(c.server.closed); err != nil {
		return err
	}
	// What was said in clear is forgotten (RFC 3207, section 4.2).
	*c = session{server: c.server, conn: secure, text: textproto.NewConn(secure), letter: Letter{Encrypted: true}}
	return nil
}

// login takes PLAIN and LOGIN.
func (c *session) login(rest string) error {
	mechanism, first, _ := strings.Cut(rest, " ")
	var user, password string
	switch strings.ToUpper(mechanism) {
	case "PLAIN":
		said, err := c.said(first, "334 ")
		if err != nil {
			return err
		}
		if parts := strings.Split(said, "\x00"); len(parts) == 3 {
			user, password = parts[1], parts[2]
		}
	case "LOGIN":
		var err error
		if user, err = c.said(first, "334 VXNlcm5hbWU6"); err != nil {
			return err
		}
		if password, err = c.said("", "334 UGFzc3dvcmQ6"); err != nil {
			return err
		}
	default:
		return c.text.PrintfLine("504 5.5.4 Not known")
	}
	if struck, err := c.struck(Login, user+" "+password, ""); struck {
		return err
	}
	if user != c.server.opts.Username || password != c.server.opts.Password {
		return c.text.PrintfLine("535 5.7.8 Authentication failed")
	}
	c.letter.User = user
	return c.text.PrintfLine("235 2.7.0 Welcome")
}

// address is what stands between the angle brackets of MAIL and RCPT.
func address(rest string) string {
	_, from, _ := strings.Cut(rest, "<")
	between, _, _ := strings.Cut(from, ">")
	return between
}

// said is what the client says in base64, asked for if it has not said it yet.
func (c *session) said(given, question string) (string, error) {
	if given == "" {
		if err := c.text.PrintfLine("%s", question); err != nil {
			return "", err
		}
		line, err := c.text.ReadLine()
		if err != nil {
			return "", err
		}
		given = line
	}
	plain, err := base64.StdEncoding.DecodeString(given)
	if err != nil {
		return "", nil //nolint:nilerr // wrong credentials, and the client is told so
	}
	return string(plain), nil
}

func (c *session) recipient(line, to string) error {
	if c.letter.From == "" {
		return c.text.PrintfLine("503 5.5.1 MAIL first")
	}
	if struck, err := c.struck(Recipient, line, to); struck {
		return err
	}
	if c.server.grey(c.letter.From, to, time.Now()) {
		return c.text.PrintfLine("451 4.7.1 Greylisted, come again")
	}
	c.letter.To = append(c.letter.To, to)
	return c.text.PrintfLine("250 2.1.5 Ok")
}

func (c *session) data(line string) error {
	if len(c.letter.To) == 0 {
		return c.text.PrintfLine("503 5.5.1 RCPT first")
	}
	if struck, err := c.struck(Data, line, ""); struck {
		return err
	}
	if err := c.text.PrintfLine("354 End with a dot"); err != nil {
		return err
	}
	if f, ordered := c.server.fault(Middle, ""); ordered {
		_, _ = c.text.R.ReadByte() // the letter has begun
		if answered, err := c.strike(f, ""); answered {
			return errors.Join(err, errOver)
		}
	}
	var body bytes.Buffer
	if _, err := body.ReadFrom(c.text.DotReader()); err != nil {
		return err
	}
	letter := c.letter
	letter.Data = body.Bytes()
	c.letter.From, c.letter.To = "", nil
	f, ordered := c.server.fault(Dot, "")
	if !ordered || f.Action != Refuse {
		c.server.take(letter)
	}
	if ordered {
		if answered, err := c.strike(f, ""); answered {
			return err
		}
	}
	return c.text.PrintfLine("250 2.0.0 Taken")
}

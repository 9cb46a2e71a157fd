package smtp_test

import (
	"crypto/tls"
	"fmt"
	"net"
	stdsmtp "net/smtp"
	"net/textproto"
	"strings"
	"sync"
	"testing"
	"time"

	"wxnotify/service/simulator/smtp"
)

const letter = "Subject: hello\r\n\r\nfirst line\r\n.a dotted one\r\n..\r\nlast\r\n"

func listen(t *testing.T, o smtp.Options) *smtp.Server {
	t.Helper()
	s, err := smtp.Listen(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// send is the standard library's client: an independent reading of the protocol.
func send(s *smtp.Server, o smtp.Options, to ...string) error {
	address := fmt.Sprintf("127.0.0.1:%d", s.Port())
	config := &tls.Config{RootCAs: s.CA(), ServerName: "127.0.0.1", MinVersion: tls.VersionTLS12}
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // the end of it
	_ = conn.SetDeadline(time.Now().Add(time.Second))
	if o.TLS == smtp.Implicit {
		conn = tls.Client(conn, config)
	}
	c, err := stdsmtp.NewClient(conn, "127.0.0.1")
	if err != nil {
		return err
	}
	if o.TLS == smtp.Explicit {
		if err := c.StartTLS(config); err != nil {
			return err
		}
	}
	if o.Username != "" {
		if err := c.Auth(stdsmtp.PlainAuth("", o.Username, o.Password, "127.0.0.1")); err != nil {
			return err
		}
	}
	if err := c.Mail("a@example.com"); err != nil {
		return err
	}
	for _, r := range to {
		if err := c.Rcpt(r); err != nil {
			return err
		}
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write([]byte(letter)); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	return c.Quit()
}

func TestServerTakesLetters(t *testing.T) {
	t.Parallel()
	for _, o := range []smtp.Options{
		{},
		{TLS: smtp.Explicit},
		{TLS: smtp.Implicit},
		{Username: "u", Password: "p"},
		{TLS: smtp.Explicit, Username: "u", Password: "p"},
		{TLS: smtp.Implicit, Username: "u", Password: "p"},
	} {
		s := listen(t, o)
		if err := send(s, o, "b@example.com", "c@example.com"); err != nil {
			t.Errorf("%+v: %v", o, err)
			continue
		}
		l := s.Letters()[0]
		if l.From != "a@example.com" || fmt.Sprint(l.To) != "[b@example.com c@example.com]" || l.User != o.Username || l.Encrypted != (o.TLS != "") {
			t.Errorf("%+v: took %+v", o, l)
		}
		if got := strings.ReplaceAll(string(l.Data), "\n", "\r\n"); got != letter {
			t.Errorf("%+v: letter %q, want %q", o, got, letter)
		}
	}
}

func TestServerInsists(t *testing.T) {
	t.Parallel()
	s := listen(t, smtp.Options{TLS: smtp.Explicit, Username: "u", Password: "p"})
	for name, o := range map[string]smtp.Options{
		"530": {TLS: smtp.Explicit}, "535": {TLS: smtp.Explicit, Username: "u", Password: "q"},
	} {
		if err := send(s, o, "b@example.com"); err == nil || !strings.HasPrefix(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if n := len(s.Letters()); n > 0 {
		t.Errorf("%d letters taken", n)
	}
}

// TestFaults: each strikes at its stage, as the standard library's client sees it.
func TestFaults(t *testing.T) {
	t.Parallel()
	o := smtp.Options{TLS: smtp.Explicit, Username: "u", Password: "p"}
	var all sync.WaitGroup // at once: those that hang take their time
	for _, stage := range smtp.Stages() {
		for _, action := range []smtp.Action{smtp.Refuse, smtp.Hang, smtp.Reset, smtp.Delay} {
			s := listen(t, o)
			all.Go(func() {
				f := smtp.Fault{Stage: stage, Action: action, Code: 471, For: time.Millisecond, Times: 1}
				if stage == smtp.Hello && action == smtp.Refuse {
					f.Times = 2 // EHLO, and HELO after it
				}
				s.Misbehave(f)
				err := send(s, o, "b@example.com")
				if (err == nil) != (action == smtp.Delay) {
					t.Errorf("%s %s: error %v", stage, action, err)
				}
				if code, ok := err.(*textproto.Error); action == smtp.Refuse && (!ok || code.Code != 471) { //nolint:errorlint // as it comes
					t.Errorf("%s refused with %v", stage, err)
				}
				taken := action == smtp.Delay || stage == smtp.Farewell || stage == smtp.Dot && action != smtp.Refuse
				if n := len(s.Letters()); (n == 1) != taken || s.Struck() != f.Times {
					t.Errorf("%s %s: %d letters taken, struck %d times", stage, action, n, s.Struck())
				}
				if err := send(s, o, "b@example.com"); err != nil {
					t.Errorf("%s %s, a second time: %v", stage, action, err)
				}
			})
		}
	}
	all.Wait()
}

func TestGreylist(t *testing.T) {
	t.Parallel()
	o := smtp.Options{Greylist: time.Nanosecond}
	s := listen(t, o)
	if err := send(s, o, "b@example.com"); err == nil || !strings.HasPrefix(err.Error(), "451") {
		t.Errorf("at first: %v", err)
	}
	if err := send(s, o, "b@example.com"); err != nil {
		t.Errorf("then: %v", err)
	}
}

// TestCloseEndsHangingSessions: a test that ends does not wait for them.
func TestCloseEndsHangingSessions(t *testing.T) {
	t.Parallel()
	s := listen(t, smtp.Options{})
	s.Misbehave(smtp.Fault{Stage: smtp.Connect, Action: smtp.Hang})
	conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", s.Port()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // the end of it
	began := time.Now()
	if err := s.Close(); err != nil || time.Since(began) > 5*time.Second {
		t.Errorf("closing: %v after %s", err, time.Since(began))
	}
}

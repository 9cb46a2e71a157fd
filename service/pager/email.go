package pager

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"strconv"
	"strings"
	"time"

	"github.com/wneessen/go-mail"
)

// Email is mail through one or more relays.
type Email struct {
	From   string
	To     []string
	Relays []Relay // tried in this order
	Writer Writer
	// Refused is told when a relay took the letter for some recipients and not
	// for others; nil: nobody is.
	Refused func(recipients int)
}

// Relay is one SMTP server.
type Relay struct {
	Host string
	Port int
	// TLS is how the connection is protected; never less than asked for.
	TLS TLS
	// Username and Password log in; without a username nobody does.
	Username, Password string
	// Config is for tests with certificates of their own; nil: the host's roots.
	Config *tls.Config
}

// TLS is how a relay's connection is protected.
type TLS string

// The ways to protect a connection.
const (
	TLSImplicit TLS = "implicit" // from the first byte, usually port 465
	TLSStart    TLS = "starttls" // STARTTLS, or nothing is sent
	TLSNone     TLS = "none"     // for a relay on this host
)

// farewell is how long a relay may take for goodbye: the letter is taken by then.
const farewell = time.Second

// Send hands the message to the first relay that takes it. A relay has taken it
// when it has answered the end of DATA; what becomes of the connection after
// that does not matter. Each relay gets its share of the time, so that one that
// hangs does not keep the next one from being asked.
func (e Email) Send(ctx context.Context, m Message) error {
	letter, err := e.letter(m, e.To...)
	if err != nil {
		return err
	}
	if len(e.Relays) == 0 {
		return errors.New("email: no relay is configured")
	}
	end, bounded := ctx.Deadline()
	if !bounded {
		end = time.Now().Add(sendWithin)
	}
	var all []error
	for n, r := range e.Relays {
		share := time.Until(end) / time.Duration(len(e.Relays)-n)
		asking, cancel := context.WithTimeout(ctx, share)
		err := e.through(asking, r, letter, m)
		cancel()
		if err == nil {
			return nil
		}
		all = append(all, fmt.Errorf("email: relay %s: %w", net.JoinHostPort(r.Host, strconv.Itoa(r.Port)), err))
	}
	return errors.Join(all...)
}

// through sends by one relay. A recipient whom it refuses must not cost the
// others their page: then everybody gets a letter of his own.
func (e Email) through(ctx context.Context, r Relay, letter *mail.Msg, m Message) error {
	err := r.send(ctx, letter)
	var failed *mail.SendError
	if err == nil || len(e.To) == 1 || !errors.As(err, &failed) || failed.Reason != mail.ErrSMTPRcptTo {
		return plainly(err)
	}
	taken := 0
	for _, to := range e.To {
		own, bad := e.letter(m, to)
		if bad != nil {
			return bad
		}
		if bad = r.send(ctx, own); bad == nil {
			taken++
		}
	}
	if taken == 0 {
		return plainly(err)
	}
	if e.Refused != nil && taken < len(e.To) {
		e.Refused(len(e.To) - taken)
	}
	return nil
}

// letter is the message as a mail to some recipients.
func (e Email) letter(m Message, to ...string) (*mail.Msg, error) {
	t := e.Writer.text(m)
	page, err := t.html(e.Writer.Language)
	if err != nil {
		return nil, fmt.Errorf("email: %w", err)
	}
	letter := mail.NewMsg()
	if err := letter.From(e.From); err != nil {
		return nil, errors.New("email: the sender (from) is no address")
	}
	if err := letter.To(to...); err != nil {
		return nil, errors.New("email: a recipient (to) is no address")
	}
	letter.Subject(t.Title)
	letter.SetDateWithValue(m.Written)
	_, domain, _ := strings.Cut(letter.GetAddrHeader(mail.HeaderFrom)[0].Address, "@")
	letter.SetMessageIDWithValue(m.fingerprint() + "@" + domain)
	thread := "<" + m.Pages[0].thread() + "@" + domain + ">"
	letter.SetGenHeader(mail.HeaderInReplyTo, thread)
	letter.SetGenHeader(mail.HeaderReferences, thread)
	if m.alarming() {
		letter.SetImportance(mail.ImportanceHigh)
	}
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers
	letter.SetBodyString(mail.TypeTextPlain, t.plain())
	letter.AddAlternativeString(mail.TypeTextHTML, page)
	return letter, nil
}

// send is one letter over one connection, which ends with ctx at the latest.
func (r Relay) send(ctx context.Context, letter *mail.Msg) error {
	end, bounded := ctx.Deadline()
	if !bounded {
		end = time.Now().Add(sendWithin)
	}
	link := &deadlined{end: end}
	config := r.Config.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName = r.Host
	}
	options := []mail.Option{
		mail.WithPort(r.Port), mail.WithTimeout(max(time.Until(end), time.Millisecond)), mail.WithTLSConfig(config),
		mail.WithDialContextFunc(func(ctx context.Context, network, address string) (conn net.Conn, err error) {
			if link.Conn, err = (&net.Dialer{}).DialContext(ctx, network, address); err != nil {
				return nil, err
			}
			if err := link.SetDeadline(end); err != nil || r.TLS != TLSImplicit {
				return link, err
			}
			secure := tls.Client(link, config)
			return secure, secure.HandshakeContext(ctx)
		}),
	}
	switch r.TLS {
	case TLSNone:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	case TLSImplicit: // the connection is a TLS one already, and is seen to be
		options = append(options, mail.WithTLSPolicy(mail.TLSOpportunistic))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if r.Username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(r.Username), mail.WithPassword(r.Password))
	}
	client, err := mail.NewClient(r.Host, options...)
	if err != nil {
		return errors.New("host or port cannot be used")
	}
	defer func() {
		if link.Conn != nil {
			_ = link.SetDeadline(time.Now().Add(farewell))
			_ = client.Close() // the letter was taken or it was not
			_ = link.Close()
		}
	}()
	if err := client.DialWithContext(ctx); err != nil {
		return err
	}
	if err := client.Send(letter); err != nil && !letter.IsDelivered() {
		return err
	}
	return nil
}

// deadlined is a connection whose deadline can be brought forward and not put
// off: the mail client sets its own, and what it sets does not know of ours.
type deadlined struct {
	net.Conn
	end time.Time
}

func (d *deadlined) SetDeadline(t time.Time) error {
	if t.IsZero() || t.After(d.end) {
		t = d.end
	}
	return d.Conn.SetDeadline(t)
}

// plainly says what went wrong without the server's words, which may hold ours:
// a password, an address.
func plainly(err error) error {
	var failed *mail.SendError
	var answer *textproto.Error
	code := 0
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failed) && failed.ErrorCode() != 0:
		code = failed.ErrorCode()
	case errors.As(err, &answer):
		code = answer.Code
	case errors.Is(err, mail.ErrNoSupportedAuthDiscovered):
		return errors.New("it offers no way to log in that is safe here: without TLS a password is not sent")
	case errors.As(err, &failed):
		return errors.New("the connection broke off, or no answer came in time")
	default:
		return errors.New(cause(err, "it does not do what is asked of it; look at the port and at tls (starttls, implicit, none)"))
	}
	switch code {
	case 534, 535:
		return fmt.Errorf("answered %d: login refused; look at username and password (many providers want an authorisation code, 授权码)", code)
	case 530:
		return fmt.Errorf("answered %d: it wants a login, or TLS", code)
	case 550, 551, 553, 554:
		return fmt.Errorf("answered %d: sender, recipient or content refused; look at from and to", code)
	case 421, 450, 451, 452:
		return fmt.Errorf("answered %d: not now (busy, or greylisting); it will be tried again", code)
	}
	return fmt.Errorf("answered %d", code)
}

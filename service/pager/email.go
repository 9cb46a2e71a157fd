package pager

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"

	"github.com/wneessen/go-mail"
)

// Email is mail through one or more relays.
type Email struct {
	From   string
	To     []string
	Relays []Relay // tried in this order
	Writer Writer
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

// Send hands the message to the first relay that takes it. A relay has taken it
// when it has answered the end of DATA; what becomes of the connection after
// that does not matter.
func (e Email) Send(ctx context.Context, m Message) error {
	letter, err := e.letter(m)
	if err != nil {
		return err
	}
	if len(e.Relays) == 0 {
		return errors.New("email: no relay is configured")
	}
	var all []error
	for _, r := range e.Relays {
		err := r.send(ctx, letter)
		if err == nil {
			return nil
		}
		all = append(all, fmt.Errorf("email: %s: %w", net.JoinHostPort(r.Host, strconv.Itoa(r.Port)), err))
	}
	return errors.Join(all...)
}

func (e Email) letter(m Message) (*mail.Msg, error) {
	t := e.Writer.text(m)
	page, err := t.html(e.Writer.Language)
	if err != nil {
		return nil, fmt.Errorf("email: %w", err)
	}
	letter := mail.NewMsg()
	if err := letter.From(e.From); err != nil {
		return nil, errors.New("email: the sender (from) is no address")
	}
	if err := letter.To(e.To...); err != nil {
		return nil, errors.New("email: a recipient (to) is no address")
	}
	letter.Subject(t.Title)
	letter.SetDateWithValue(m.Written)
	letter.SetMessageID()
	if m.Critical() {
		letter.SetImportance(mail.ImportanceHigh)
	}
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office answers
	letter.SetBodyString(mail.TypeTextPlain, t.plain())
	letter.AddAlternativeString(mail.TypeTextHTML, page)
	return letter, nil
}

func (r Relay) send(ctx context.Context, letter *mail.Msg) error {
	options := []mail.Option{mail.WithPort(r.Port), mail.WithTimeout(sendWithin)}
	switch r.TLS {
	case TLSImplicit:
		options = append(options, mail.WithSSL())
	case TLSNone:
		options = append(options, mail.WithTLSPolicy(mail.NoTLS))
	default:
		options = append(options, mail.WithTLSPolicy(mail.TLSMandatory))
	}
	if r.Config != nil {
		options = append(options, mail.WithTLSConfig(r.Config))
	}
	if r.Username != "" {
		options = append(options, mail.WithSMTPAuth(mail.SMTPAuthAutoDiscover), mail.WithUsername(r.Username), mail.WithPassword(r.Password))
	}
	client, err := mail.NewClient(r.Host, options...)
	if err != nil {
		return errors.New("the settings make no client")
	}
	if err := client.DialWithContext(ctx); err != nil {
		return plainly("connecting or logging in", err)
	}
	defer client.Close() //nolint:errcheck // the letter was taken or it was not
	if err := client.Send(letter); err != nil {
		return plainly("sending", err)
	}
	return nil
}

// plainly says what went wrong without the server's words, which may hold ours:
// a password, an address.
func plainly(doing string, err error) error {
	var failed *mail.SendError
	if errors.As(err, &failed) && failed.ErrorCode() != 0 {
		return fmt.Errorf("%s: answered %d", doing, failed.ErrorCode())
	}
	var unreachable *net.OpError
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: no answer in time", doing)
	case errors.As(err, &certificate):
		return fmt.Errorf("%s: the certificate is not trusted", doing)
	case errors.As(err, &unreachable):
		return fmt.Errorf("%s: %s failed", doing, unreachable.Op)
	}
	return fmt.Errorf("%s failed", doing)
}

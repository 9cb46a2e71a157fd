package store

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5/pgconn"
)

// Trouble is why a database on a server cannot be used, in words for whoever is
// called at night: no password, no data.
type Trouble struct {
	doing, what, fix string
	err              error
}

// Error says what was wrong, and during what.
func (t *Trouble) Error() string { return fmt.Sprintf("store: %s: %s", t.doing, t.what) }

// Unwrap is the driver's error.
func (t *Trouble) Unwrap() error { return t.err }

// Fix is what to do about an error of [Open], [Migrate] or [Inspect] on a server,
// or "" where its text says so already or nobody can know.
func Fix(err error) string {
	var t *Trouble
	switch {
	case errors.As(err, &t):
		return t.fix
	case errors.Is(err, ErrNewerSchema):
		return "run the release that has migrated it, or a newer one"
	}
	return ""
}

// troubled puts an error into words. An embedded engine's are clear already.
func (e dialect) troubled(doing string, err error) error {
	if e.embedded {
		return fmt.Errorf("store: %s: %w", doing, err)
	}
	t := &Trouble{doing: doing, err: err}
	code, message := e.fault(err)
	if code == "" {
		t.what, t.fix = unreached(err)
		return t
	}
	t.what, t.fix = e.explain(err), fixes[code]
	if !e.rejects(err) { // which would name the value
		t.what += ": " + message
	}
	return t
}

// fixes are what to do about the errors of PostgreSQL and MySQL that an operator
// meets when a program starts.
var fixes = map[string]string{
	"08P01": "connect to the server itself: a pooler between must keep a session's settings",
	"25006": wantsPrimary,
	"28000": "let the user log in from here: pg_hba.conf, and LOGIN for the role",
	"28P01": wantsPassword,
	"3D000": "create it, or correct its name at the end of store.url",
	"42501": wantsRights,
	"42704": "take the parameter out of store.url",
	"53300": "raise the server's max_connections; a replica holds up to six",
	"57P03": "wait until it has started",

	"1040": "raise the server's max_connections; a replica holds up to six",
	"1044": "create the database, correct its name at the end of store.url, or grant the user's rights on it",
	"1045": wantsPassword,
	"1049": "create it, or correct its name at the end of store.url",
	"1130": "let the user log in from here: it is made as 'USER'@'HOST'",
	"1142": wantsRights,
	"1290": wantsPrimary, "1836": wantsPrimary,
}

const (
	wantsPassword = "correct the user in store.url, or store.password"
	wantsPrimary  = "name the primary in store.url"
	wantsRights   = `grant the rights that README.md lists under "Choosing a database"`
)

// unreached puts into words what came between us and the server. The drivers'
// texts repeat themselves, and one quotes the whole address.
func unreached(err error) (what, fix string) {
	var (
		dial      *net.OpError
		name      *net.DNSError
		untrusted *tls.CertificateVerificationError
		address   *pgconn.ParseConfigError
	)
	at := "the server"
	if errors.As(err, &dial) && dial.Addr != nil {
		at = dial.Addr.String()
	}
	switch {
	case errors.As(err, &address):
		what = "the address cannot be read"
		if why := errors.Unwrap(address); why != nil {
			what += ": " + why.Error()
		}
		return what, "correct store.url"
	case errors.As(err, &name):
		return fmt.Sprintf("the host %s is not known", name.Name), "correct the host in store.url, or look at this machine's name server"
	case errors.As(err, &untrusted):
		return "the server's certificate is not trusted: " + untrusted.Err.Error(),
			"use the name in the certificate as the host in store.url; a certificate authority of your own: SSL_CERT_FILE=FILE in the environment"
	case errors.Is(err, mysql.ErrNoTLS), strings.Contains(err.Error(), "server refused TLS connection"): // pgx has no error to compare with
		return "the server has no TLS", "switch TLS on there; in a network that nobody else is in, take the demand for it out of store.url"
	case errors.Is(err, syscall.ECONNREFUSED):
		return "nobody listens at " + at, "start the server, or correct host and port in store.url"
	case errors.Is(err, os.ErrDeadlineExceeded), errors.Is(err, context.DeadlineExceeded), dial != nil && dial.Timeout():
		return at + " does not answer", "look at the network and the firewalls on the way to the server, and at its load"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, mysql.ErrInvalidConn):
		return "the server has hung up", "its log says why"
	}
	return err.Error(), ""
}

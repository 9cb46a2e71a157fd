//go:build stack

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"wxnotify/service/store/storetest/server"
)

// TestStackDatabaseTLS: the password and the callbacks go to the server that the
// operator means, and to nobody else.
func TestStackDatabaseTLS(t *testing.T) {
	t.Parallel()
	program := build(t)
	authority, certificate, key := certified(t, "localhost")
	stranger, _, _ := certified(t, "localhost")
	// What tells who was let in.
	options := map[server.Engine][]server.Option{
		server.PostgreSQL: {server.WithSetting("log_connections", "on")},
		server.MariaDB:    {server.WithSetting("general-log", "1"), server.WithSetting("log-output", "TABLE")},
	}
	for _, e := range server.Engines() {
		t.Run(string(e), func(t *testing.T) {
			t.Parallel()
			s, err := server.New(e, append(options[e], server.WithCertificate(certificate, key))...)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			})
			let := func() int { // in
				if e == server.PostgreSQL {
					return strings.Count(s.Log(), "connection authorized: user=wxnotify")
				}
				return len(strings.Fields(s.Exec(t, "SELECT thread_id FROM mysql.general_log WHERE command_type = 'Connect' AND argument LIKE 'wxnotify%'")))
			}
			made := s.Database(t)
			at := func(host string, query map[server.Engine]string) string {
				return address(t, made, func(u *url.URL) {
					u.Host = net.JoinHostPort(host, u.Port())
					u.RawQuery = query[e]
				})
			}
			verified := map[server.Engine]string{server.PostgreSQL: "sslmode=verify-full", server.MariaDB: "tls=true"}
			everybody := []string{"migrate", "check", "serve", "resolve"}
			for _, step := range []struct {
				name, url, authority string
				commands             []string
				code                 int
				says                 []string
			}{
				{
					"nobody trusts it", at("localhost", verified), "", everybody, exitFailed,
					[]string{"the server's certificate is not trusted: x509: ", "unknown authority", "SSL_CERT_FILE=FILE"},
				},
				{
					"another is trusted", at("localhost", verified), stranger, everybody, exitFailed,
					[]string{"the server's certificate is not trusted: x509: ", "SSL_CERT_FILE=FILE"},
				},
				{
					"another name", at("127.0.0.1", verified), authority, everybody, exitFailed,
					[]string{"the server's certificate is not trusted: x509: ", "127.0.0.1", "use the name in the certificate as the host in store.url"},
				},
				{"trusted", at("localhost", verified), authority, []string{"migrate", "check"}, exitOK, nil},
				{
					"trusted by the address", at("localhost", map[server.Engine]string{
						server.PostgreSQL: "sslmode=verify-full&sslrootcert=" + url.QueryEscape(authority), server.MariaDB: "tls=skip-verify",
					}), "", []string{"check"}, exitOK, nil,
				},
			} {
				before := let()
				path := onServer(t, step.url, server.Password)
				for _, command := range step.commands {
					ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // serve would go on
					c := exec.CommandContext(ctx, program, command, "--config", path)
					c.Env = append(os.Environ(), "SSL_CERT_FILE="+step.authority, "SSL_CERT_DIR=")
					if step.authority == "" {
						c.Env = os.Environ()
					}
					var said bytes.Buffer
					c.Stdout, c.Stderr = &said, &said
					_ = c.Run()
					cancel()
					if code := c.ProcessState.ExitCode(); code != step.code {
						t.Errorf("%s: %s: exit %d, want %d\n%s", step.name, command, code, step.code, &said)
					}
					for _, says := range step.says {
						if !strings.Contains(said.String(), says) {
							t.Errorf("%s: %s says nothing of %q:\n%s", step.name, command, says, &said)
						}
					}
				}
				if in := let() > before; in != (step.code == exitOK) {
					t.Errorf("%s: let in: %t", step.name, in)
				}
			}
			if e == server.PostgreSQL && strings.Count(s.Log(), "SSL enabled") != let() {
				t.Errorf("not all are secured:\n%s", s.Log())
			}
		})
	}
}

// certified makes an authority, whose certificate is in a file, and what it has
// certified for a host.
func certified(t *testing.T, host string) (authority string, certificate, key []byte) {
	t.Helper()
	ours, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	theirs, err2 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil || err2 != nil {
		t.Fatal(err, err2)
	}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of " + t.Name()},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: root.NotBefore, NotAfter: root.NotAfter, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	rootDER, err := x509.CreateCertificate(rand.Reader, root, root, ours.Public(), ours)
	leafDER, err2 := x509.CreateCertificate(rand.Reader, leaf, root, theirs.Public(), ours)
	keyDER, err3 := x509.MarshalPKCS8PrivateKey(theirs)
	if err != nil || err2 != nil || err3 != nil {
		t.Fatal(err, err2, err3)
	}
	authority = filepath.Join(t.TempDir(), "authority.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: rootDER}), 0o600); err != nil {
		t.Fatal(err)
	}
	return authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: leafDER}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
}

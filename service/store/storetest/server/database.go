package server

import (
	"bytes"
	"context"
	"fmt"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// dropLimit is for a server that a test has left slow: the folder goes anyway.
const dropLimit = 10 * time.Second

// Database makes an empty database for one test, and is its URL. The account in it
// owns the database and nothing else.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	made, err := s.Create(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), dropLimit)
		defer cancel()
		_, _ = s.sql(ctx, fmt.Sprintf(s.product.drop, Name(made))) // the server may be down, as the test wanted
	})
	return made
}

// Create makes an empty database that stays as long as the server, and is its
// URL.
func (s *Server) Create(ctx context.Context) (string, error) {
	// Without an underscore, which is a wildcard where MariaDB grants.
	name := fmt.Sprintf("test%d", s.databases.Add(1))
	if _, err := s.sql(ctx, fmt.Sprintf(s.product.create, name)); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s://%s:%s@%s/%s%s", s.engine.Scheme(), User, Password, s.Addr(), name, s.product.query), nil
}

// Name is the database's name in its URL.
func Name(database string) string {
	u, err := url.Parse(database)
	if err != nil {
		return ""
	}
	return strings.TrimPrefix(u.Path, "/")
}

// through is the URL of a database by way of another address.
func through(address, database string) string {
	u, err := url.Parse(database)
	if err != nil {
		return ""
	}
	u.Host = address
	return u.String()
}

// Exec runs SQL as the server's administrator, who gets in by another door than
// the tests' clients. It is what a query answers: a line for each row.
func (s *Server) Exec(t testing.TB, sql string) string {
	t.Helper()
	answer, err := s.sql(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

func (s *Server) sql(ctx context.Context, sql string) (string, error) {
	line := s.product.client(s)
	c := exec.CommandContext(ctx, line[0], line[1:]...)
	c.Stdin = strings.NewReader(sql)
	var said, answer bytes.Buffer
	c.Stdout, c.Stderr = &answer, &said
	if err := c.Run(); err != nil {
		return "", fmt.Errorf("server: %s: %w: %s", s.engine, err, said.Bytes())
	}
	return strings.TrimSpace(answer.String()), nil
}

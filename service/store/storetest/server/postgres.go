package server

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"syscall"
)

// postgres trusts its own folder's socket, which is for us, and asks for a
// password on TCP.
var postgres = product{
	tool: "postgres",
	user: "postgres",
	install: func(s *Server) []string {
		return []string{
			s.program("initdb"), "--pgdata=" + s.data(), "--no-sync", "--username=postgres",
			"--auth-local=trust", "--auth-host=scram-sha-256", "--locale=C", "--encoding=UTF8",
		}
	},
	serve: func(s *Server) []string {
		args := []string{
			s.program("postgres"), "-D", s.data(), "-p", strconv.Itoa(s.port),
			"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=" + s.guard.dir,
			"-c", "max_connections=300", // a package's tests run side by side
		}
		if s.noSync {
			args = append(args, "-c", "fsync=off")
		}
		for _, setting := range s.settings {
			args = append(args, "-c", setting)
		}
		return args
	},
	client: func(s *Server) []string {
		return []string{
			s.program("psql"), "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
			"--host=" + s.guard.dir, "--port=" + strconv.Itoa(s.port), "--username=postgres", "--dbname=postgres",
		}
	},
	account: fmt.Sprintf("CREATE ROLE %s LOGIN PASSWORD '%s'", User, Password),
	tls: func(certificate, key string) []string {
		return []string{"ssl=on", "ssl_cert_file=" + certificate, "ssl_key_file=" + key}
	},
	create: "CREATE DATABASE %[1]s OWNER " + User,
	drop:   "DROP DATABASE IF EXISTS %s WITH (FORCE)",
	socket: func(s *Server) string {
		return filepath.Join(s.guard.dir, ".s.PGSQL."+strconv.Itoa(s.port))
	},
	ready:    postgresReady,
	answered: postgresAnswered,
	query:    "?sslmode=disable",
	gentle:   syscall.SIGINT,  // "fast": SIGTERM would wait for the clients
	violent:  syscall.SIGQUIT, // "immediate", and no shared memory is left in the kernel
}

// postgresReady asks as pg_isready does: a server that is starting refuses the
// account (57P03), one that is ready talks about authentication.
// Source: https://www.postgresql.org/docs/15/protocol-message-formats.html
func postgresReady(conn net.Conn) error {
	startup := []byte("\x00\x00\x00\x00\x00\x03\x00\x00user\x00postgres\x00\x00")
	binary.BigEndian.PutUint32(startup, uint32(len(startup)))
	if _, err := conn.Write(startup); err != nil {
		return err
	}
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		return err
	}
	if first[0] != 'R' {
		return fmt.Errorf("it answers %q", first)
	}
	_, err := conn.Write([]byte("X\x00\x00\x00\x04")) // or it would say that we hung up
	return err
}

// postgresAnswered sees ReadyForQuery, outside any transaction. What comes before
// it may belong to statements sent together with a COMMIT.
func postgresAnswered(sent []byte) bool {
	return bytes.HasSuffix(sent, []byte("Z\x00\x00\x00\x05I"))
}

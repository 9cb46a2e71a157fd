package server

import (
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strconv"
	"syscall"
)

// mariadb gives root to its own folder's socket, which is for us, and asks for a
// password on TCP. What it sets is what its defaults are; it says so because
// tests rest on it. The collation is the default too: it ignores case, and the
// store must not rely on a kinder one.
var mariadb = product{
	tool: "mariadb",
	user: "mysql",
	install: func(s *Server) []string {
		return []string{
			s.program("mariadb-install-db"), "--no-defaults", "--datadir=" + s.data(),
			"--auth-root-authentication-method=normal", "--skip-test-db",
		}
	},
	serve: func(s *Server) []string {
		args := []string{
			s.program("mariadbd"), "--no-defaults", "--datadir=" + s.data(), "--port=" + strconv.Itoa(s.port),
			"--bind-address=127.0.0.1", "--socket=" + mariadbSocket(s), "--pid-file=" + filepath.Join(s.guard.dir, "pid"),
			"--skip-name-resolve", "--character-set-server=utf8mb4",
			"--sql-mode=STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_AUTO_CREATE_USER,NO_ENGINE_SUBSTITUTION",
			"--innodb-flush-log-at-trx-commit=1",
			"--max-connections=300", // a package's tests run side by side
		}
		if s.noSync {
			args = append(args, "--innodb-flush-method=nosync")
		}
		for _, setting := range s.settings {
			args = append(args, "--"+setting)
		}
		return args
	},
	client: func(s *Server) []string {
		return []string{
			s.program("mariadb"), "--no-defaults", "--socket=" + mariadbSocket(s), "--user=root",
			"--batch", "--skip-column-names",
		}
	},
	account: fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", User, Password),
	tls: func(certificate, key string) []string {
		return []string{"ssl-cert=" + certificate, "ssl-key=" + key}
	},
	create:   "CREATE DATABASE %[1]s; GRANT ALL ON %[1]s.* TO '" + User + "'@'%%'",
	drop:     "DROP DATABASE IF EXISTS %s",
	socket:   mariadbSocket,
	ready:    mariadbReady,
	answered: func(sent []byte) bool { return len(sent) > 0 }, // one question, one answer
	gentle:   syscall.SIGTERM,
	violent:  syscall.SIGKILL, // all the others are gentle
}

func mariadbSocket(s *Server) string { return filepath.Join(s.guard.dir, "socket") }

// mariadbReady waits for the server's greeting, which begins with the protocol's
// version; a server that cannot yet sends an error (255) instead.
// Source: https://mariadb.com/kb/en/connection/#initial-handshake-packet
func mariadbReady(conn net.Conn) error {
	var greeting [5]byte
	if _, err := io.ReadFull(conn, greeting[:]); err != nil {
		return err
	}
	if greeting[4] != 10 {
		return fmt.Errorf("it greets with %d", greeting[4])
	}
	return nil
}

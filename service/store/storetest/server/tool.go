package server

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// tool asks .ci/tool, which installs or builds what is missing, once per process.
func tool(name string) (string, error) {
	ask, _ := asked.LoadOrStore(name, sync.OnceValues(func() (string, error) {
		script, err := script()
		if err != nil {
			return "", err
		}
		var said bytes.Buffer
		c := exec.Command(script, name) //nolint:noctx // building may take minutes; it ends by itself
		c.Stderr = &said
		where, err := c.Output()
		if err != nil {
			return "", fmt.Errorf("server: .ci/tool %s: %w\n%s", name, err, said.Bytes())
		}
		return strings.TrimSpace(string(where)), nil
	}))
	return ask.(func() (string, error))()
}

var asked sync.Map // of functions, by the tool's name

// script is .ci/tool of the tree that we are tested in.
func script() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		script := filepath.Join(dir, ".ci", "tool")
		if _, err := os.Stat(script); !errors.Is(err, fs.ErrNotExist) {
			return script, err
		}
		if dir == filepath.Dir(dir) {
			return "", errors.New("server: no .ci/tool above the working directory")
		}
		dir = filepath.Dir(dir)
	}
}

// program is one of the engine's own. Debian has clients on the path and servers
// beside it.
func (s *Server) program(name string) string {
	beside := filepath.Join(s.programs, name)
	if _, err := os.Stat(beside); err == nil {
		return beside
	}
	return name
}

// freePort is one that nobody listens on. It lies below those of outgoing
// connections, so that a server that is down finds its own again.
func freePort() (int, error) {
	for range 1000 {
		port := 10_000 + rand.IntN(20_000) //nolint:gosec // no secret
		listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		if _, given := ports.LoadOrStore(port, true); !given {
			return port, listener.Close()
		}
		_ = listener.Close()
	}
	return 0, errors.New("server: no free port")
}

var ports sync.Map // that this process has given away

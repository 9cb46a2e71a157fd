//go:build stack

package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"wxnotify/service/simulator/wechat"
)

// reporter is a wxnotify process that reports to a stack, and its merchants'
// accounts at the simulated WeChat Pay.
type reporter struct {
	process
	environment string // deployment.environment.name: which test it belongs to
	protocol    string // OTLP's: grpc, or http/protobuf
	config      Config
	file        string // the configuration's
	accounts    map[string]*wechat.Merchant
	said        *buffer // what it wrote to stderr
}

// serve starts a service for merchants with these names, in an environment of
// its own: alerts of one test are told from another's by it. change, if not nil,
// sees the configuration first.
func (s *stack) serve(t *testing.T, environment string, merchants []string, change func(*Config)) *reporter {
	t.Helper()
	r := prepare(t, environment, merchants, change)
	r.start(t, s)
	return r
}

// prepare does all but start it.
func prepare(t *testing.T, environment string, merchants []string, change func(*Config)) *reporter {
	t.Helper()
	// The protocol is that of docker-compose.yml.
	r := &reporter{environment: environment, protocol: "grpc", accounts: map[string]*wechat.Merchant{}}
	for i, name := range merchants {
		account := newAccount(name)
		if r.accounts[name] = account; i == 0 {
			r.config = configFor(t, account)
			continue
		}
		files, err := account.WriteKeys(filepath.Join(filepath.Dir(r.config.Store.Path), name))
		if err != nil {
			t.Fatal(err)
		}
		r.config.Merchants[name] = settingsFor(account, files)
	}
	if change != nil {
		change(&r.config)
	}
	r.file = writeConfig(t, r.config)
	return r
}

// newAccount is the shared account under another name with secrets of its own.
func newAccount(name string) *wechat.Merchant {
	account := *shop()
	account.Name, account.APIv3Key, account.APIv2Key = name, secret(), secret()
	return &account
}

// secret is a fresh API key of 32 characters.
func secret() string {
	b := make([]byte, 16)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// otlpDoors are where the collector takes each protocol.
var otlpDoors = map[string]string{"grpc": "otel-collector:4317", "http/protobuf": "otel-collector:4318"}

// start launches the process, for the first time or after it was killed.
func (r *reporter) start(t *testing.T, s *stack) {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := process{Cmd: exec.Command(executable, "serve", "--config", r.file)}
	p.Env = append(os.Environ(), asProgram+"=1",
		"OTEL_EXPORTER_OTLP_PROTOCOL="+r.protocol, "OTEL_EXPORTER_OTLP_ENDPOINT=http://"+s.doors[otlpDoors[r.protocol]],
		"OTEL_RESOURCE_ATTRIBUTES=service.namespace=payments,deployment.environment.name="+r.environment)
	stderr, err := p.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Process.Kill(); _ = p.Wait() })
	r.said = &buffer{}
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		_, _ = r.said.Write(append(lines.Bytes(), '\n'))
		var line struct{ Msg, Listen, Private string }
		if json.Unmarshal(lines.Bytes(), &line) != nil || line.Listen == "" {
			continue
		}
		p.public, p.private = "http://"+line.Listen, "http://"+line.Private
		go func(said *buffer) { // keep the pipe empty
			for lines.Scan() {
				_, _ = said.Write(append(lines.Bytes(), '\n'))
			}
		}(r.said)
		r.runsAs(p)
		return
	}
	t.Fatalf("wxnotify did not start:\n%s", r.said.String())
}

// runsAs sends the merchants' callbacks to a process.
func (r *reporter) runsAs(p process) {
	r.process = p
	for name, account := range r.accounts {
		account.NotifyURL = notifyURL(p.public, name)
	}
}

// world is the service as one of its merchants sees it.
func (r *reporter) world(merchant string) *world {
	return &world{wechat: r.accounts[merchant], public: r.public, private: r.private}
}

//go:build linux

package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/otlp"
	"wxnotify/service/simulator/wechat"
	"wxnotify/service/store/storetest/server"
)

// subject is one of the programs that are compared.
type subject string

// The subjects. "On" is traces, metrics and logs to a live collector by
// OTLP/gRPC, everything sampled, and the records as JSON to a file. "Off" is the
// operator's own switches: OTEL_SDK_DISABLED, log.level error, stderr to
// /dev/null; /metrics is served all the same.
const (
	byHand subject = "reference" // no telemetry but a log line to a file
	on     subject = "wxnotify, telemetry on"
	off    subject = "wxnotify, telemetry off"
)

// place is where callbacks are remembered: nil is an SQLite file.
type place struct {
	name   string
	server *server.Server
}

// laboratory is what the measurements of one run share.
type laboratory struct {
	*testing.B
	program string // wxnotify, as it is released
	profile string // folder for profiles, or none
	account *wechat.Merchant
	address string // where every subject listens, one after the other
	private string
	ahead   map[[2]int]*wechat.Ahead
}

func newLaboratory(b *testing.B, profile string) *laboratory {
	b.Helper()
	account := *shop()
	account.PublicKeyShare = 1 // the reference knows one key
	doors := freeDoors(b, 2)
	l := &laboratory{
		B: b, account: &account, profile: profile, ahead: map[[2]int]*wechat.Ahead{},
		program: filepath.Join(b.TempDir(), "wxnotify"), address: doors[0], private: doors[1],
	}
	account.NotifyURL = notifyURL("http://"+l.address, account.Name)
	debug.SetGCPercent(400) // of the sender, which shares the CPUs with what it measures
	build := exec.Command("go", "build", "-trimpath", "-ldflags=-s -w", "-o", l.program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if said, err := build.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, said)
	}
	return l
}

// freeDoors are addresses that nobody listens on, for other processes. The kernel
// takes ports for outgoing connections from above 32768.
func freeDoors(b *testing.B, n int) (doors []string) {
	b.Helper()
	for port := 10_000 + os.Getpid()%19_000; port < 30_000 && len(doors) < n; port++ {
		l, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: port})
		if err != nil {
			continue
		}
		doors = append(doors, l.Addr().String())
		_ = l.Close()
	}
	if len(doors) < n {
		b.Fatal("no free port")
	}
	return doors
}

// reading is what one run showed.
type reading struct {
	wechat.LoadReport
	cpu     time.Duration // of the process, per sending
	peak    float64       // MiB
	got     otlp.Counts
	dropped float64 // what the program itself says it dropped

	failures map[callback.Reason]float64
}

// shedding are the reasons for an answer 503.
var shedding = []callback.Reason{
	callback.ReasonOverloaded, callback.ReasonDeadline, callback.ReasonStoreUnavailable, callback.ReasonInternal,
}

// measure starts a subject on a fresh database, sends, and stops it.
func (l *laboratory) measure(s subject, at place, load wechat.LoadOptions) reading {
	l.Helper()
	l.signed(l.options(load)) // before the program starts: its clock and ours are then the load's
	return l.during(s, at, func(*program) wechat.LoadReport {
		report := l.send(load)
		for outcome, n := range report.Outcomes {
			if outcome.Status != http.StatusNoContent {
				l.Fatalf("%s on %s: %d sendings ended as %s; the measurement is void", s, at.name, n, outcome)
			}
		}
		return report
	})
}

// during runs work against a subject.
func (l *laboratory) during(s subject, at place, work func(*program) wechat.LoadReport) (r reading) {
	l.Helper()
	url := ""
	if at.server != nil {
		var err error
		if url, err = at.server.Create(l.Context()); err != nil {
			l.Fatal(err)
		}
		defer at.server.Exec(l, "DROP DATABASE "+server.Name(url))
	}
	dir, err := os.MkdirTemp(l.TempDir(), "")
	if err != nil {
		l.Fatal(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	var sink *otlp.Sink
	if s == on {
		if sink, err = otlp.Listen(l.Context()); err != nil {
			l.Fatal(err)
		}
		defer sink.Close()
	}
	p := l.start(s, at, dir, url, sink)
	runtime.GC() // the sender's garbage is not this subject's
	p.begun = p.cpu(l.B)
	r.LoadReport = work(p)
	r.peak = p.memory(l.B, "VmHWM")
	if s != byHand {
		text := scrape(l.B, l.private)
		r.dropped = metric(l, text, "wechatpay_telemetry_dropped_total")
		r.failures = map[callback.Reason]float64{}
		for _, reason := range shedding {
			r.failures[reason] = metric(l, text, "wechatpay_callback_processed_total", `error_type="`+string(reason)+`"`)
		}
	}
	p.stop(l.B)
	r.cpu = p.used() / time.Duration(max(r.Sendings, 1))
	if sink != nil {
		r.got = sink.Counts()
	}
	return r
}

// start starts a subject with its files in dir.
func (l *laboratory) start(s subject, at place, dir, url string, sink *otlp.Sink) *program {
	l.Helper()
	if s == byHand {
		files, err := l.account.WriteKeys(dir)
		if err != nil {
			l.Fatal(err)
		}
		options, err := json.Marshal(referenceOptions{
			Listen: l.address, Dir: dir, URL: url,
			APIv3Key: l.account.APIv3Key, PublicKeyID: l.account.PublicKeyID, PublicKey: files.PublicKey,
		})
		if err != nil {
			l.Fatal(err)
		}
		return startProgram(l.B, l.address, filepath.Join(dir, "stderr"), itself(l.B), nil, []string{asReference + "=" + string(options)})
	}
	cfg := configFor(l, l.account)
	own := filepath.Dir(cfg.Store.Path)
	l.Cleanup(func() { _ = os.RemoveAll(own) })
	cfg.Listen, cfg.Private.Listen = l.address, l.private
	cfg.Store.Path, cfg.Spool.Path = filepath.Join(dir, "wxnotify.db"), filepath.Join(dir, "wxnotify.spool")
	config := writeConfig(l, cfg)
	var env []string
	if url != "" {
		env = append(env, "WXNOTIFY_STORE__URL="+withoutPassword(url), "WXNOTIFY_STORE__PASSWORD__ENV=PASSWORD_OF_THE_STORE", "PASSWORD_OF_THE_STORE="+server.Password)
		migrate := exec.Command(l.program, "migrate", "--config", config)
		migrate.Env = append(os.Environ(), env...)
		if said, err := migrate.CombinedOutput(); err != nil {
			l.Fatalf("%v\n%s", err, said)
		}
	}
	stderr := os.DevNull
	if s == off {
		env = append(env, "OTEL_SDK_DISABLED=true", "WXNOTIFY_LOG__LEVEL=error")
	} else {
		stderr = filepath.Join(dir, "records.jsonl")
		env = append(env, "OTEL_EXPORTER_OTLP_ENDPOINT="+sink.Endpoint(), "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	}
	program := l.program
	if l.profile != "" { // the released program has no way to write one
		program = itself(l.B)
		env = append(env, asProgram+"=1", toProfile+"="+l.profileName(s, at))
	}
	return startProgram(l.B, l.address, stderr, program, []string{"serve", "--config", config}, env)
}

// profileName is the file for a subject on an engine.
func (l *laboratory) profileName(s subject, at place) string {
	name := strings.ToLower(at.name) + map[subject]string{on: "-on", off: "-off"}[s]
	return filepath.Join(l.profile, name+".pprof")
}

// send sends messages that were signed before. What is still fresh is sent
// again: every subject has a database of its own.
func (l *laboratory) send(o wechat.LoadOptions) wechat.LoadReport {
	l.Helper()
	o = l.options(o)
	o.Ahead = l.signed(o)
	report, err := wechat.Load(l.Context(), o)
	if err != nil {
		l.Fatal(err)
	}
	return report
}

func (l *laboratory) options(o wechat.LoadOptions) wechat.LoadOptions {
	o.Merchant = l.account
	return o
}

// signed are messages for a load, signed not too long ago.
func (l *laboratory) signed(o wechat.LoadOptions) *wechat.Ahead {
	l.Helper()
	key := [2]int{o.Count, o.Copies}
	if a := l.ahead[key]; a != nil && time.Since(a.Since) < signedFor {
		return a
	}
	a, err := wechat.SignAhead(l.Context(), o)
	if err != nil {
		l.Fatal(err)
	}
	l.ahead[key] = a
	return a
}

// signedFor leaves a minute for sending: a signature is good for five.
const signedFor = 4 * time.Minute

// itself is this test binary.
func itself(b *testing.B) string {
	b.Helper()
	path, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	return path
}

// verification is the CPU time of one bare RSA-2048 verification.
func verification(b *testing.B) time.Duration {
	b.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		b.Fatal(err)
	}
	digest := sha256.Sum256([]byte("message"))
	signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, digest[:])
	if err != nil {
		b.Fatal(err)
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	const times = 5000
	began := clock(b, unix.CLOCK_THREAD_CPUTIME_ID)
	for range times {
		if err := rsa.VerifyPKCS1v15(&key.PublicKey, crypto.SHA256, digest[:], signature); err != nil {
			b.Fatal(err)
		}
	}
	return (clock(b, unix.CLOCK_THREAD_CPUTIME_ID) - began) / times
}

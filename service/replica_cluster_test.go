//go:build stack

package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"wxnotify/service/simulator/wechat"
	"wxnotify/service/store/storetest/server"
)

// cluster is a merchant's replicas of wxnotify on one database, and WeChat Pay
// outside of them.
type cluster struct {
	*ledger
	server   *server.Server
	database string // its URL, without faults on the way
	books    *sql.DB
	account  *wechat.Merchant
	replicas []*replica
	client   *http.Client
}

// replica is one wxnotify process with a spool of its own, before and after a
// restart.
type replica struct {
	program, file   string
	env             []string
	public, private string

	process  *exec.Cmd
	ended    chan error // how the process did
	said     *buffer    // what it wrote to stderr
	ready    atomic.Bool
	inFlight atomic.Int64
}

// build makes the program that merchants run: no test binary is killed here.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "wxnotify")
	if said, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, said)
	}
	return program
}

// through is the way from one replica to the database: the database's own URL,
// or that of a proxy in front of it.
type through func(database string) string

func direct(database string) string { return database }

// newCluster starts one replica for each way to a new database. change, if not
// nil, sees their configuration first.
func newCluster(t *testing.T, program string, s *server.Server, change func(*Config), ways ...through) *cluster {
	t.Helper()
	account := *shop()
	c := &cluster{
		ledger: newLedger(), server: s, database: s.Database(t), account: &account,
		client: &http.Client{Timeout: wechat.AnswerLimit, Transport: &http.Transport{MaxIdleConnsPerHost: 64}},
	}
	t.Cleanup(c.client.CloseIdleConnections)
	c.books = open(t, s.Engine(), c.database)
	for _, way := range ways {
		cfg := configFor(t, &account)
		cfg.Spool.Size = 16 << 20
		cfg.Listen, cfg.Private.Listen = freeAddress(t), freeAddress(t)
		if change != nil {
			change(&cfg)
		}
		r := &replica{program: program, file: writeConfig(t, cfg), public: cfg.Listen, private: cfg.Private.Listen, said: &buffer{}}
		r.env = append(os.Environ(),
			"WXNOTIFY_STORE__URL="+withoutPassword(way(c.database)), "WXNOTIFY_STORE__PASSWORD__ENV=DATABASE_PASSWORD",
			"DATABASE_PASSWORD="+server.Password, "WXNOTIFY_SHUTDOWN__DELAY="+noticed.String())
		c.replicas = append(c.replicas, r)
	}
	c.migrate(t)
	for _, r := range c.replicas {
		t.Cleanup(func() { r.kill(); r.tell(t) })
		r.start(t)
	}
	return c
}

// open is a way to the database past wxnotify.
func open(t *testing.T, e server.Engine, database string) *sql.DB {
	t.Helper()
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	driver, source := "pgx", database
	if e == server.MariaDB {
		driver, source = "mysql", fmt.Sprintf("%s@tcp(%s)%s", u.User, u.Host, u.Path)
	}
	db, err := sql.Open(driver, source)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// migrate runs the step on all replicas at the same instant, as a deployment
// does that knows no order.
func (c *cluster) migrate(t *testing.T) {
	t.Helper()
	ended := make(chan error)
	for _, r := range c.replicas {
		go func() {
			p := exec.CommandContext(t.Context(), r.program, "migrate", "--config", r.file)
			p.Env = r.env
			said, err := p.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("wxnotify migrate: %w\n%s", err, said)
			}
			ended <- err
		}()
	}
	for range c.replicas {
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
	}
}

// start starts the process, for the first time or again, and returns when the
// balancer would send it something.
func (r *replica) start(t *testing.T) {
	t.Helper()
	p := exec.Command(r.program, "serve", "--config", r.file)
	p.Env, p.Stderr = r.env, r.said
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	r.process, r.ended = p, make(chan error, 1)
	go func(ended chan error) { ended <- p.Wait() }(r.ended)
	eventually(t, "the replica is ready", func() bool {
		if !r.alive() {
			t.Fatalf("wxnotify did not start:\n%s", r.said)
		}
		return r.isReady()
	})
	r.ready.Store(true)
}

// alive reports whether the process that was started still runs.
func (r *replica) alive() bool {
	select {
	case err := <-r.ended:
		r.ended <- err
		return false
	default:
		return true
	}
}

// kill ends the process as the machine's end does.
func (r *replica) kill() {
	if r.process == nil {
		return
	}
	r.ready.Store(false)
	_ = r.process.Process.Signal(syscall.SIGCONT) // it may have been stopped
	_ = r.process.Process.Kill()
	r.ended <- <-r.ended
}

// signal is for those that do not end it at once.
func (r *replica) signal(t *testing.T, what syscall.Signal) {
	t.Helper()
	if err := r.process.Process.Signal(what); err != nil {
		t.Fatal(err)
	}
}

// tell shows the end of what the replica said, for a failed test.
func (r *replica) tell(t *testing.T) {
	t.Helper()
	if said := r.said.String(); t.Failed() {
		t.Logf("the end of what %s said:\n%s", r.public, said[max(0, len(said)-2000):])
	}
}

// isReady asks as a load balancer does.
func (r *replica) isReady() bool {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	status, _, err := ask(ctx, "http://"+r.private+"/readyz")
	return err == nil && status == http.StatusOK
}

// metrics is what the replica reports.
func (r *replica) metrics(t *testing.T) string {
	t.Helper()
	status, text, err := ask(t.Context(), "http://"+r.private+"/metrics")
	if err != nil || status != http.StatusOK {
		t.Fatalf("/metrics: %d, %v", status, err)
	}
	return text
}

func ask(ctx context.Context, url string) (status int, text string, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	return answer.StatusCode, string(body), err
}

// send sends a message to a replica as WeChat Pay does, and notes the answer: 0
// is none.
func (c *cluster) send(m *wechat.Message, to *replica) (status int) {
	return c.deliver(m, m.Sign(wechat.None, time.Now()), to)
}

func (c *cluster) deliver(m *wechat.Message, s wechat.Sending, to *replica) (status int) {
	c.sending(m)
	to.inFlight.Add(1)
	defer to.inFlight.Add(-1)
	began := time.Now()
	status, err := c.post(s, to)
	c.answered(m, status, err, time.Since(began))
	return status
}

func (c *cluster) post(s wechat.Sending, to *replica) (status int, err error) {
	url := notifyURL("http://"+to.public, c.account.Name)
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, url, bytes.NewReader(s.Body))
	if err != nil {
		return 0, err
	}
	r.Header = s.Header
	r.GetBody = nil // what was sent and got no answer is WeChat Pay's to repeat
	answer, err := c.client.Do(r)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode, errors.Join(err, answer.Body.Close())
}

package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wxnotify/service/pager"
	"wxnotify/service/simulator/merchant"
	"wxnotify/service/simulator/wechat"
	"wxnotify/service/telemetry"
)

type demoCommand struct {
	For   time.Duration `default:"0s" help:"How long to send; 0: until Ctrl-C."`
	Rate  float64       `default:"25" help:"Messages per second."`
	Speed float64       `default:"60" help:"WeChat Pay's clock: 60 makes a minute of its retry schedule last a second."`
	Keep  string        `placeholder:"DIR" type:"path" help:"Keep database, keys and records in this folder."`
	// Not --config: nothing else of it is used.
	PageWith string `placeholder:"FILE" type:"path" help:"Really send the page at the end, through the pager's channels of this configuration."`
}

// errDisagree says that service and simulator do not tell the same story.
var errDisagree = errors.New("the service's books and the simulator's ledger disagree")

// Run plays WeChat Pay, merchant and service on this machine, and then checks
// the service's books against the simulator's ledger.
func (d demoCommand) Run(ctx context.Context, t terminal) (err error) {
	if d.Rate <= 0 || d.Speed <= 0 || d.For < 0 {
		return usageError{problem{"--rate, --speed, --for", "not positive", "leave them out for 25 a second and a clock 60 times as fast, until Ctrl-C"}}
	}
	messenger, err := d.messenger(t)
	if err != nil {
		return err
	}
	dir, remove, err := d.folder()
	if err != nil {
		return err
	}
	defer remove()
	s, err := openStage(dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.introduce(t.out, d)

	platform := wechat.New(wechat.Options{Speed: d.Speed, Stories: 1 << 20})
	defer platform.Close()
	started := time.Now()
	mix := wechat.Everyday(d.Rate, s.accounts...)
	mix.For, mix.Stop = d.For, ctx.Done()
	mix.Before = s.announce
	show := overwriting(t.out)
	mix.Progress = func(r wechat.Report) { show(progress(r, time.Since(started), d.For)) }
	// What has been begun is brought to its end, also after Ctrl-C.
	report, err := platform.Run(context.WithoutCancel(ctx), mix)
	show("")
	if err != nil {
		return err
	}
	books, err := s.audit(context.WithoutCancel(ctx), platform.Ledger(), report)
	if err != nil {
		return err
	}
	books.print(t.out)
	if err := s.tellStory(context.WithoutCancel(ctx), t.out); err != nil {
		return err
	}
	if err := s.tellPage(context.WithoutCancel(ctx), t.out, messenger); err != nil {
		return err
	}
	if d.Keep != "" {
		fmt.Fprintf(t.out, "\nKept in %s: wxnotify.db, records.jsonl, the accounts' keys.\n", dir)
	}
	if !books.agree() {
		return errDisagree
	}
	return nil
}

// folder is where the demo's files go, and how they go away.
func (d demoCommand) folder() (dir string, remove func(), err error) {
	if d.Keep != "" {
		if err := mustBeEmpty("--keep", d.Keep); err != nil {
			return "", nil, err
		}
		return d.Keep, func() {}, os.MkdirAll(d.Keep, 0o700)
	}
	dir, err = os.MkdirTemp("", "wxnotify-demo-")
	return dir, func() { _ = os.RemoveAll(dir) }, err
}

// stage is the demo's world: a running service, two merchant accounts at the
// simulated WeChat Pay, and their back ends.
type stage struct {
	*service
	accounts []*wechat.Merchant
	unlucky  *wechat.Merchant // sends one callback, which fails
	backends map[string]*merchant.Backend
	records  *os.File
	traces   *traceKeeper
	pages    *pageKeeper
	private  string // address of the private door
}

func openStage(dir string) (_ *stage, err error) {
	s := &stage{backends: map[string]*merchant.Backend{}, traces: newTraceKeeper(), pages: newPageKeeper()}
	cfg := defaults()
	cfg.Listen, cfg.Private.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Store.Path = filepath.Join(dir, "wxnotify.db")
	cfg.Spool = SpoolConfig{Path: filepath.Join(dir, "wxnotify.spool"), Size: 4 << 20}
	cfg.Merchants = map[string]Merchant{}
	token := rand.Text()
	tokenFile := filepath.Join(dir, "token")
	if err := os.WriteFile(tokenFile, []byte(token), 0o600); err != nil {
		return nil, err
	}
	cfg.Private.Token = Secret{File: tokenFile}
	for _, name := range []string{"teahouse", "bookshop", "florist"} {
		account, err := wechat.NewMerchant(name)
		if err != nil {
			return nil, err
		}
		files, err := account.WriteKeys(filepath.Join(dir, name))
		if err != nil {
			return nil, err
		}
		s.accounts = append(s.accounts, account)
		cfg.Merchants[name] = settingsFor(account, files)
	}
	s.accounts, s.unlucky = s.accounts[:2], s.accounts[2]
	if s.records, err = os.Create(filepath.Join(dir, "records.jsonl")); err != nil {
		return nil, err
	}
	s.service, err = start(context.Background(), cfg, telemetry.Options{Stderr: s.records, Spans: s.traces},
		pager.Route{Name: "demo", Channel: s.pages})
	if err != nil {
		return nil, errors.Join(err, s.records.Close())
	}
	s.private = "http://" + s.service.private.Addr().String()
	for _, account := range append(slices.Clone(s.accounts), s.unlucky) {
		account.NotifyURL = notifyURL("http://"+s.public.Addr().String(), account.Name)
		s.backends[account.Name] = &merchant.Backend{Base: s.private, Merchant: account.Name, Token: token}
	}
	return s, nil
}

// settingsFor is what a merchant configures for a simulated account.
func settingsFor(account *wechat.Merchant, files wechat.Files) Merchant {
	return Merchant{
		MchID: account.MchID, AppIDs: []string{account.AppID},
		Keys:      []VerifyKey{{ID: account.PublicKeyID, File: files.PublicKey}, {File: files.Certificate}},
		APIv3Keys: []Secret{{File: files.APIv3Key}},
		V2:        V2Config{Keys: []Secret{{File: files.APIv2Key}}},
	}
}

// notifyURL is where a merchant's callbacks go, behind the given door or proxy.
func notifyURL(door, merchant string) string {
	return strings.TrimRight(door, "/") + "/wechatpay/" + merchant
}

func (s *stage) close() error { return errors.Join(s.stop(), s.records.Close()) }

// announce registers an order ahead, as the merchant's own system does.
func (s *stage) announce(ctx context.Context, account *wechat.Merchant, o wechat.Order) error {
	return s.backends[account.Name].Register(ctx, merchant.Order{OutTradeNo: o.OutTradeNo, Amount: o.Total, Currency: "CNY"})
}

func (s *stage) introduce(w io.Writer, d demoCommand) {
	until := "until Ctrl-C"
	if d.For > 0 {
		until = "for " + d.For.String()
	}
	fmt.Fprintf(w, `wxnotify demo: a WeChat Pay stand-in sends callbacks for two merchants, %s.

  notify_url   %s
  metrics      %s/metrics
  traffic      %.0f messages a second: payments, refunds, copies at the same instant,
               probes, forgeries, stale and broken ones; retries on the official
               schedule, %.0f times as fast

`, until, s.accounts[0].NotifyURL, s.private, d.Rate, d.Speed)
}

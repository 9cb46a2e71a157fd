package main

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"wxnotify/service/callback"
	"wxnotify/service/wechatpay"
)

type checkCommand struct {
	settings
	Example bool   `help:"Print the annotated example configuration instead."`
	Clock   string `placeholder:"URL" help:"Compare this host's clock with the Date header of this address, such as https://api.mch.weixin.qq.com."`
}

// exampleConfig explains every setting.
//
//go:embed wxnotify.example.yaml
var exampleConfig string

// finding is one line of the doctor's report.
type finding struct {
	level string // ok, warn, fail
	text  string
	fix   string
}

// doctor collects findings.
type doctor struct{ findings []finding }

func (d *doctor) ok(format string, args ...any) {
	d.findings = append(d.findings, finding{"ok", fmt.Sprintf(format, args...), ""})
}

func (d *doctor) warn(text, fix string) { d.findings = append(d.findings, finding{"warn", text, fix}) }

func (d *doctor) fail(text, fix string) { d.findings = append(d.findings, finding{"fail", text, fix}) }

// errUnwell says that check found something that keeps the service from working.
var errUnwell = errors.New("check found problems; mend what is marked fail")

// Run examines everything that can be examined without taking callbacks in.
func (k checkCommand) Run(ctx context.Context, t terminal) error {
	if k.Example {
		_, err := io.WriteString(t.out, exampleConfig)
		return err
	}
	cfg, err := loadConfig(k.Config, os.Environ())
	if err != nil {
		return configError{err}
	}
	var d doctor
	d.ok("configuration %s is readable", cfg.source())
	d.door(ctx, "listen", cfg.Listen)
	d.door(ctx, "private.listen", cfg.Private.Listen)
	d.keys(cfg)
	for _, name := range cfg.merchantNames() {
		d.notifyURL(name, cfg.Merchants[name].NotifyURL)
	}
	d.database(ctx, cfg.Store)
	d.disk("spool.path", cfg.Spool.Path, uint64(cfg.Spool.Size))
	d.privateDoor(cfg.Private)
	d.collector(ctx, os.Getenv)
	d.pager(cfg.Pager)
	if k.Clock != "" {
		d.clock(ctx, k.Clock)
	}
	return d.report(t)
}

func (c Config) source() string {
	if c.path == "" {
		return "(environment)"
	}
	return c.path
}

func (d *doctor) report(t terminal) error {
	failed := false
	for _, f := range d.findings {
		fmt.Fprintf(t.out, "%-4s  %s\n", f.level, f.text)
		if f.fix != "" {
			fmt.Fprintf(t.out, "      → %s\n", f.fix)
		}
		failed = failed || f.level == "fail"
	}
	if failed {
		return errUnwell
	}
	return nil
}

// pager looks whether people can be told. It tells nobody: page-test does.
func (d *doctor) pager(cfg PagerConfig) {
	routes, err := cfg.routes(nil)
	switch {
	case err != nil:
		d.fail("pager: "+strings.ReplaceAll(err.Error(), "\n", "\n      "), "mend the fields named above")
	case len(routes) == 0:
		d.warn("pager: no channel is configured, so nobody is told", "add pager.dingtalk, pager.email or pager.webhook, or let Alertmanager tell (alerts/README.md)")
	default:
		var names []string
		for _, r := range routes {
			names = append(names, r.Name)
		}
		d.ok("pager: people are told by %s; try it with: wxnotify page-test", strings.Join(names, ", "))
	}
}

// expirySoon is when a certificate's end becomes worth a warning.
const expirySoon = 30 * 24 * time.Hour

func (d *doctor) keys(cfg Config) {
	opener, err := cfg.opener()
	if err != nil {
		d.fail("keys: "+strings.ReplaceAll(err.Error(), "\n", "\n      "), "mend the fields named above")
		return
	}
	for _, k := range opener.Keys() {
		name := fmt.Sprintf("merchants.%s: %s %s", k.Merchant, k.Kind, k.ID)
		switch left := time.Until(k.Expires); {
		case k.Expires.IsZero():
			d.ok("%s", name)
		case left < 0:
			d.fail(name+" has expired", "download the new 平台证书, or switch to the 微信支付公钥")
		case left < expirySoon:
			d.warn(fmt.Sprintf("%s expires on %s", name, k.Expires.Format(time.DateOnly)), "add the new 平台证书 beside it")
		default:
			d.ok("%s, valid until %s", name, k.Expires.Format(time.DateOnly))
		}
	}
	for _, name := range cfg.merchantNames() {
		d.sealing(opener, name)
	}
}

// sealing seals and unseals a text, as a self-test of the merchant's API key.
func (d *doctor) sealing(opener *wechatpay.Opener, merchant string) {
	want := []byte("self-test")
	sealed := opener.Seal(callback.Envelope{Merchant: merchant, Body: want})
	got, err := opener.Unseal(merchant, sealed)
	if err != nil || !bytes.Equal(got, want) {
		d.fail("merchants."+merchant+": a body sealed with the API key does not open again", "report this; it is a bug")
		return
	}
	d.ok("merchants.%s: bodies can be sealed and opened", merchant)
}

// notifyURL applies WeChat Pay's rules for the address.
// Source: https://pay.weixin.qq.com/doc/v3/merchant/4012075420
func (d *doctor) notifyURL(name, address string) {
	field := "merchants." + name + ".notify_url"
	if address == "" {
		d.warn(field+" is not set", "set it to what WeChat Pay is given, and it will be checked")
		return
	}
	u, err := url.Parse(address)
	switch {
	case err != nil || u.Host == "":
		d.fail(field+" is no absolute URL", "write https://YOUR.HOST/wechatpay/"+name)
	case u.Scheme != "https":
		d.fail(field+" is not https", "WeChat Pay calls https addresses only")
	case u.RawQuery != "" || u.Fragment != "":
		d.fail(field+" has a query or fragment", "WeChat Pay does not allow parameters")
	case u.Port() != "":
		d.fail(field+" names a port", "use 443: other ports are not supported")
	case len(address) > 255:
		d.fail(field+" is longer than 255 characters", "shorten it")
	case u.Path != notifyURL("", name):
		d.warn(fmt.Sprintf("%s has the path %q", field, u.Path), "make sure your proxy maps it to /wechatpay/"+name)
	case isPrivateHost(u.Hostname()):
		d.fail(field+" is a private address", "WeChat Pay must be able to reach it")
	default:
		d.ok("%s follows WeChat Pay's rules", field)
	}
}

func isPrivateHost(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && (ip.IsLoopback() || ip.IsPrivate() || ip.IsLinkLocalUnicast()))
}

// disk examines the folder that a file of ours is to lie in.
func (d *doctor) disk(field, path string, want uint64) {
	dir := filepath.Dir(path)
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		d.fail(fmt.Sprintf("%s: the folder %s does not exist", field, dir), "mkdir -p "+dir)
		return
	}
	probe, err := os.CreateTemp(dir, ".wxnotify-check-*")
	if err != nil {
		d.fail(fmt.Sprintf("%s: nothing can be written to %s", field, dir), "make it writable for this user")
		return
	}
	_ = probe.Close()
	_ = os.Remove(probe.Name())
	free, volatile, err := fileSystem(dir)
	switch {
	case err != nil:
		d.warn(field+": the file system cannot be examined here", "check by hand that it is local and has room")
	case volatile != "":
		d.fail(fmt.Sprintf("%s is on %s", field, volatile), "use a local disk: an acknowledged callback must survive a power cut")
	case free < want:
		d.warn(fmt.Sprintf("%s: only %s free", field, humanize.IBytes(free)), "make room: "+humanize.IBytes(want)+" or more")
	default:
		d.ok("%s: writable, %s free", field, humanize.IBytes(free))
	}
}

// door tries whether an address can be opened.
func (d *doctor) door(ctx context.Context, field, address string) {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		d.warn(fmt.Sprintf("%s: %s cannot be opened", field, address), "fine if wxnotify itself has it; otherwise stop what listens there, or set another address")
		return
	}
	_ = l.Close()
	d.ok("%s: %s is free", field, address)
}

func (d *doctor) privateDoor(p PrivateConfig) {
	host, _, _ := net.SplitHostPort(p.Listen)
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		d.warn("private.listen is open beyond this machine", "keep it on an internal network: it shows metrics")
	}
	token, err := p.Token.read("private.token")
	switch {
	case err != nil:
		d.fail(err.Error(), "orders cannot be registered ahead without it")
	case len(token) == 0:
		d.ok("private.token is not set: orders cannot be registered ahead")
	case len(token) < 16:
		d.warn("private.token is shorter than 16 characters", "make a longer one: openssl rand -hex 32")
	default:
		d.ok("private.token is set")
	}
}

// collector dials the OTLP endpoint, if one is configured.
func (d *doctor) collector(ctx context.Context, getenv func(string) string) {
	endpoint := getenv("OTEL_EXPORTER_OTLP_ENDPOINT")
	if endpoint == "" {
		d.ok("OTEL_EXPORTER_OTLP_ENDPOINT is not set: records go to stderr, metrics to /metrics")
		return
	}
	u, err := url.Parse(endpoint)
	if err != nil || u.Host == "" {
		d.fail("OTEL_EXPORTER_OTLP_ENDPOINT is no URL", "write it like http://collector:4317")
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", u.Host)
	if err != nil {
		d.warn("the collector at "+u.Host+" cannot be reached", "callbacks work without it; start it to see them")
		return
	}
	_ = conn.Close()
	d.ok("the collector at %s answers", u.Host)
}

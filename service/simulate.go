package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"wxnotify/service/simulator/wechat"
	"wxnotify/service/web"
)

type simulateCommand struct {
	Keys   simulateKeys   `cmd:"" help:"Make a merchant account with fresh keys, and the configuration for it."`
	Sign   simulateSign   `cmd:"" help:"Write one signed callback to files, to be sent with curl."`
	Serve  simulateServe  `cmd:"" help:"Send what it is told to over HTTP (POST /payments, /refunds, /faults), or a realistic mix."`
	Load   simulateLoad   `cmd:"" help:"Send as fast as answers come, or at a fixed rate, and measure."`
	Outage simulateOutage `cmd:"" help:"Play an outage of the service and WeChat Pay's retries after it, in virtual time."`
	Inbox  simulateInbox  `cmd:"" help:"Take Alertmanager's webhook and print each page."`

	DingTalk simulateDingTalk `cmd:"" name:"dingtalk" help:"Be a DingTalk robot (钉钉自定义机器人): take pages, show them as a telephone would, misbehave on command."`
}

// target says whom to send to: a service that is running, or one of our own.
type target struct {
	URL  string `name:"target" placeholder:"URL" help:"The service's public door, such as http://127.0.0.1:8080. Without it a service is started for the occasion."`
	Keys string `placeholder:"DIR" type:"path" help:"The account that the target knows, made by 'simulate keys'."`
}

// open returns the account to send for. end stops what was started for it.
func (g target) open() (account *wechat.Merchant, end func() error, err error) {
	if (g.URL == "") != (g.Keys == "") {
		return nil, nil, usageError{problem{"--target, --keys", "only one of them is given", "give both, or neither for a service of our own"}}
	}
	if g.URL != "" {
		if account, err = readAccount(g.Keys); err != nil {
			return nil, nil, err
		}
		account.NotifyURL = notifyURL(g.URL, account.Name)
		return account, func() error { return nil }, nil
	}
	dir, err := os.MkdirTemp("", "wxnotify-simulate-")
	if err != nil {
		return nil, nil, err
	}
	s, err := openStage(dir)
	if err != nil {
		return nil, nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s.accounts[0], func() error { return errors.Join(s.close(), os.RemoveAll(dir)) }, nil
}

func readAccount(dir string) (*wechat.Merchant, error) {
	account, err := wechat.ReadMerchant(dir)
	if err != nil {
		return nil, usageError{problem{"--keys", plainFileError(err), "make the folder with: wxnotify simulate keys --dir " + dir}}
	}
	return account, nil
}

type simulateSign struct {
	Keys  string `required:"" placeholder:"DIR" type:"path" help:"The account, made by 'simulate keys'."`
	Out   string `default:"." type:"path" help:"Folder for callback.json and callback.headers."`
	Kind  string `default:"payment" help:"What the callback tells of: ${kinds}."`
	Fault string `help:"What is wrong with it: ${faults}."`
}

// Run signs one callback. Its signature is good for five minutes.
func (s simulateSign) Run(t terminal) error {
	account, err := readAccount(s.Keys)
	if err != nil {
		return err
	}
	account.NotifyURL = notifyURL("http://127.0.0.1:8080", account.Name)
	kind, fault := wechat.Kind(s.Kind), wechat.Fault(s.Fault)
	if !slices.Contains(wechat.Kinds(), kind) || !fault.Known() || !fault.Fits(kind) {
		return usageError{problem{"--kind, --fault", "not known, or not possible together", "see wxnotify simulate sign --help"}}
	}
	message := account.Message(kind, wechat.NewOrder(1288))
	sending := message.Sign(fault, time.Now())
	var headers strings.Builder
	for _, name := range []string{"Content-Type", "Wechatpay-Serial", "Wechatpay-Timestamp", "Wechatpay-Nonce", "Wechatpay-Signature-Type", "Wechatpay-Signature"} {
		if value := sending.Header.Get(name); value != "" {
			fmt.Fprintf(&headers, "%s: %s\n", name, value)
		}
	}
	body, head := filepath.Join(s.Out, "callback.json"), filepath.Join(s.Out, "callback.headers")
	if err := errors.Join(os.WriteFile(body, sending.Body, 0o600), os.WriteFile(head, []byte(headers.String()), 0o600)); err != nil {
		return err
	}
	if fault == wechat.WrongAmount {
		fmt.Fprintf(t.out, "The order must be known: register %s with %d first.\n", message.Order.OutTradeNo, message.Order.Total)
	}
	_, err = fmt.Fprintf(t.out, "商户订单号 %s. Within five minutes:\n\n  curl -i -H @%s --data-binary @%s %s\n",
		message.Order.OutTradeNo, head, body, sending.URL)
	return err
}

type simulateServe struct {
	target
	Listen string  `default:"127.0.0.1:8081" help:"Address of the control endpoint; GET / explains it."`
	Rate   float64 `help:"Also send a realistic mix: messages per second."`
	Speed  float64 `default:"1" help:"WeChat Pay's clock."`
}

// Run is WeChat Pay until it is told to stop, and then prints its ledger.
func (s simulateServe) Run(ctx context.Context, t terminal) (err error) {
	account, closeTarget, err := s.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTarget()) }()
	platform := wechat.New(wechat.Options{Speed: s.Speed})
	defer platform.Close()
	control, err := web.Listen(ctx, s.Listen, platform.Control(ctx, account))
	if err != nil {
		return err
	}
	fmt.Fprintf(t.out, "Simulated WeChat Pay at http://%s, sending to %s. Ctrl-C ends it.\n", control.Addr(), account.NotifyURL)
	if s.Rate > 0 {
		mix := wechat.Everyday(s.Rate, account)
		show, started := overwriting(t.out), time.Now()
		mix.Progress = func(r wechat.Report) { show(progress(r, time.Since(started), 0)) }
		_, err = platform.Run(ctx, mix)
	} else {
		select {
		case <-ctx.Done():
		case err = <-control.Failed():
		}
	}
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	_, printed := platform.Ledger().Report().WriteTo(t.out)
	return errors.Join(err, printed, control.Close(context.WithoutCancel(ctx)))
}

type simulateLoad struct {
	target
	Senders   int           `default:"64" help:"Concurrent senders."`
	Count     int           `default:"5000" help:"How many messages."`
	For       time.Duration `help:"Send for this long instead of counting."`
	Rate      float64       `help:"Messages per second, whether answers come or not (open loop)."`
	Copies    int           `help:"Further copies of each message at the same instant."`
	Presigned bool          `help:"Sign everything before the clock starts."`
}

// Run drives load and prints what it measured.
func (l simulateLoad) Run(ctx context.Context, t terminal) (err error) {
	account, closeTarget, err := l.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTarget()) }()
	options := wechat.LoadOptions{
		Merchant: account, Senders: l.Senders, Count: l.Count, For: l.For,
		Rate: l.Rate, Copies: l.Copies, Presigned: l.Presigned,
	}
	if l.For > 0 {
		options.Count = 0
	}
	fmt.Fprintf(t.out, "Sending to %s with %d senders …\n", account.NotifyURL, l.Senders)
	report, err := wechat.Load(ctx, options)
	if err != nil {
		return err
	}
	_, err = report.WriteTo(t.out)
	return err
}

type simulateOutage struct {
	target
	For         time.Duration `default:"1h" help:"How long the outage lasts, in WeChat Pay's time."`
	Rate        float64       `default:"50" help:"Payments per second. Waiting takes no time, but every callback after the outage is really signed and sent: 1h at 50/s are some 200,000, a few minutes on two cores."`
	LostAnswers float64       `default:"0.01" help:"Share of the sendings during the outage that arrive while their answer does not."`
	Kind        string        `enum:"down,failing" default:"down" help:"down: connections are refused, nothing is really sent. failing: the target is there and fails (needs --target)."`
}

// Run plays an outage in virtual time and prints what it cost.
func (o simulateOutage) Run(ctx context.Context, t terminal) (err error) {
	if o.Kind == "failing" && o.URL == "" {
		return usageError{problem{"--kind failing", "needs a target that fails", "give --target and --keys, and break its database yourself"}}
	}
	account, closeTarget, err := o.open()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, closeTarget()) }()
	fmt.Fprintf(t.out, "Playing %s without the service at %.0f payments a second, and WeChat Pay's retries after it …\n", o.For, o.Rate)
	show := overwriting(t.out)
	report, err := wechat.Outage(ctx, wechat.OutageOptions{
		Merchant: account, For: o.For, Rate: o.Rate, LostAnswers: o.LostAnswers, Kind: wechat.OutageKind(o.Kind),
		Progress: func(p wechat.OutageProgress) {
			show(fmt.Sprintf("virtual time %s  notifications %d  unacknowledged %d  really sent %d",
				p.Virtual.Round(time.Second), p.Notifications, p.Unacknowledged, p.Sent))
		},
	})
	show("")
	if err != nil && !errors.Is(err, context.Canceled) { // after Ctrl-C, what has been seen so far
		return err
	}
	if _, err := report.WriteTo(t.out); err != nil {
		return err
	}
	if report.GivenUp > 0 {
		return fmt.Errorf("%d notifications were given up by WeChat Pay: query those orders", report.GivenUp)
	}
	return nil
}

// kinds lists what a callback can tell of, for --help.
func kinds() string {
	var names []string
	for _, k := range wechat.Kinds() {
		names = append(names, string(k))
	}
	return strings.Join(names, ", ")
}

// faults lists what can be wrong with a callback, for --help.
func faults() string {
	var names []string
	for _, f := range wechat.Faults() {
		names = append(names, string(f))
	}
	return strings.Join(names, ", ")
}

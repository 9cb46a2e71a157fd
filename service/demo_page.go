package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"wxnotify/service/pager"
	"wxnotify/service/simulator/wechat"
)

// pageKeeper is the demo's own channel: what goes out stays here.
type pageKeeper struct {
	mu    sync.Mutex
	pages []pager.Page
	came  chan struct{} // closed, and made anew, with every message
}

func newPageKeeper() *pageKeeper { return &pageKeeper{came: make(chan struct{})} }

// Send keeps the message's pages.
func (k *pageKeeper) Send(_ context.Context, m pager.Message) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pages = append(k.pages, m.Pages...)
	close(k.came)
	k.came = make(chan struct{})
	return nil
}

// about waits for the first page about a merchant.
func (k *pageKeeper) about(ctx context.Context, merchant string) (pager.Page, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for {
		k.mu.Lock()
		pages, came := k.pages, k.came
		k.mu.Unlock()
		for _, p := range pages {
			if p.Merchant == merchant {
				return p, nil
			}
		}
		select {
		case <-came:
		case <-ctx.Done():
			return pager.Page{}, errors.New("no page went out")
		}
	}
}

// messenger writes the demo's page, and brings it where people are; without
// channels nowhere.
type messenger struct {
	writer   pager.Writer
	channels []pager.Route
}

// messenger reads --page-with before the demo begins, so that a mistake in it is
// told at once. Whatever the configuration says, the message says that it is from
// a demo.
func (d demoCommand) messenger(t terminal) (m messenger, err error) {
	cfg := defaults()
	if d.PageWith != "" {
		if cfg, err = loadConfig(d.PageWith, os.Environ()); err != nil {
			return m, configError{err}
		}
	}
	cfg.Pager.Environment = "demo"
	m.writer = cfg.Pager.writer()
	if d.PageWith != "" {
		if m.channels, err = cfg.Pager.channels(t); err != nil {
			return m, configError{err}
		}
	}
	return m, nil
}

// tellPage lets one payment's callback fail as it does in real life, and shows
// the page that people get.
func (s *stage) tellPage(ctx context.Context, w io.Writer, to messenger) error {
	order := wechat.NewOrder(8800)
	if err := s.announce(ctx, s.unlucky, order); err != nil {
		return err
	}
	fmt.Fprintf(w, "\nOne that fails: 商户订单号 %s, CNY 88.00\n\n  a new proxy in front of the service strips a Wechatpay-* header\n", order.OutTradeNo)
	began := time.Now()
	answer, err := send(ctx, s.unlucky.Message(wechat.Payment, order).Sign(wechat.HeaderStripped, began))
	if err != nil {
		return err
	}
	page, err := s.pages.about(ctx, s.unlucky.Name)
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "    → %s\n", answer)
	message := pager.Message{Pages: []pager.Page{page}, Written: time.Now()}
	fmt.Fprintf(w, "\nThe page that went out, %s after the callback came:\n\n", message.Written.Sub(began).Round(time.Millisecond))
	for line := range strings.Lines(to.writer.Text(message)) {
		fmt.Fprint(w, strings.TrimRight("  "+line, " \n")+"\n")
	}
	if to.channels == nil {
		fmt.Fprintln(w, "\nTo get it by DingTalk (钉钉), e-mail or webhook: wxnotify demo --page-with wxnotify.yaml")
		return nil
	}
	fmt.Fprintln(w)
	return arrived(w, pager.Deliver(ctx, to.channels, message))
}

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

// lookEvery is how often key files are looked at. Asking is simpler than being
// told: it works on every file system, with secrets that are swapped by symbolic
// links, and after an overflow of the kernel's event queue.
const lookEvery = 2 * time.Second

// watchKeys reloads keys when their files change, and at SIGHUP, until ctx ends.
// From then on s.config belongs to it, but for what never changes.
func (s *service) watchKeys(ctx context.Context, every time.Duration) {
	// Never given back: a SIGHUP while the service ends must not kill it.
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		look := time.NewTicker(every)
		defer look.Stop()
		seen := s.config.fingerprint()
		settled := seen
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				s.reload(ctx, "SIGHUP")
				settled = s.config.fingerprint()
			case <-look.C:
				// Two looks alike: certificate and key are often written one after
				// the other.
				now := s.config.fingerprint()
				if now == seen && now != settled {
					s.reload(ctx, "a file changed")
					settled = s.config.fingerprint()
				}
				seen = now
			}
		}
	}()
}

// reload reads configuration and keys again and swaps the keys in, all or none:
// what cannot be read leaves the old set at work, and says so.
func (s *service) reload(ctx context.Context, why string) {
	log := s.telemetry.Logger()
	cfg, err := loadConfig(s.config.path, os.Environ())
	if err == nil && !slices.Equal(cfg.merchantNames(), s.config.merchantNames()) {
		log.WarnContext(ctx, "merchants were added or removed: that needs a restart; keys stay as they were",
			"running", strings.Join(s.config.merchantNames(), ","), "configured", strings.Join(cfg.merchantNames(), ","))
		return
	}
	partly := err == nil && s.config.withoutKeys() != cfg.withoutKeys()
	if err == nil {
		err = s.replaceKeys(cfg)
	}
	if err != nil {
		log.ErrorContext(ctx, "keys were not reloaded; the old ones stay at work", "why", why, "error", err)
		return
	}
	log.InfoContext(ctx, "keys reloaded", "why", why, "keys", len(s.opener.Keys()))
	if partly {
		log.WarnContext(ctx, "settings other than keys, mchid and appids have changed as well: restart wxnotify to apply them")
	}
}

func (s *service) replaceKeys(cfg Config) error {
	merchants, err := cfg.merchants()
	if err != nil {
		return err
	}
	if err := s.opener.Replace(merchants); err != nil {
		return err
	}
	for name, m := range cfg.Merchants { // from now on, their files are the ones to look at
		m.Orders = s.config.Merchants[name].Orders
		cfg.Merchants[name] = m
	}
	s.config.Merchants = cfg.Merchants
	return nil
}

// withoutKeys is what a reload does not apply, for comparison.
func (c Config) withoutKeys() string {
	c.Merchants = maps.Clone(c.Merchants)
	for name, m := range c.Merchants {
		c.Merchants[name] = Merchant{Orders: m.Orders}
	}
	return fmt.Sprintf("%+v", c)
}

// keyFiles lists the configuration file and every file it points at.
func (c Config) keyFiles() []string {
	files := []string{c.path}
	for _, m := range c.Merchants {
		for _, k := range m.Keys {
			files = append(files, k.File)
		}
		for _, s := range slices.Concat(m.APIv3Keys, m.V2.Keys) {
			files = append(files, s.File)
		}
	}
	slices.Sort(files)
	return slices.DeleteFunc(slices.Compact(files), func(f string) bool { return f == "" })
}

// fingerprint changes when one of the files does.
func (c Config) fingerprint() string {
	var b strings.Builder
	for _, f := range c.keyFiles() {
		if info, err := os.Stat(f); err == nil {
			fmt.Fprintln(&b, f, info.Size(), info.ModTime().UnixNano())
		}
	}
	return b.String()
}

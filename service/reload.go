package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"
)

// settle is how long to wait after a change before files are read: certificates
// and keys are often written one after the other.
const settle = 300 * time.Millisecond

// watchKeys reloads keys when their files change, and at SIGHUP, until ctx ends.
// Directories are watched, not files: secret stores replace files by renaming.
func (s *service) watchKeys(ctx context.Context) {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	go func() {
		defer signal.Stop(hangup)
		changed := s.changedFiles(ctx)
		var settled <-chan time.Time
		known := s.config.fingerprint()
		for {
			select {
			case <-ctx.Done():
				return
			case <-hangup:
				known = s.config.fingerprint()
				s.reload(ctx, "SIGHUP")
			case <-changed:
				if settled == nil {
					settled = time.After(settle)
				}
			case <-settled:
				settled = nil
				// The folder may hold the database, which changes all the time.
				if now := s.config.fingerprint(); now != known {
					known = now
					s.reload(ctx, "a file changed")
				}
			}
		}
	}()
}

// changedFiles yields an event for each change near the configuration or a key.
// Where watching does not work, it says so and yields nothing: SIGHUP remains.
func (s *service) changedFiles(ctx context.Context) <-chan fsnotify.Event {
	log := s.telemetry.Logger()
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		log.WarnContext(ctx, "key files are not watched; send SIGHUP after a change", "error", err)
		return nil
	}
	context.AfterFunc(ctx, func() { _ = watcher.Close() })
	for _, dir := range s.config.keyDirectories() {
		if err := watcher.Add(dir); err != nil {
			log.WarnContext(ctx, "a key directory is not watched; send SIGHUP after a change", "directory", dir, "error", err)
		}
	}
	return watcher.Events
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
	if err == nil {
		err = s.replaceKeys(cfg)
	}
	if err != nil {
		log.ErrorContext(ctx, "keys were not reloaded; the old ones stay at work", "why", why, "error", err)
		return
	}
	log.InfoContext(ctx, "keys reloaded", "why", why, "keys", len(s.opener.Keys()))
}

func (s *service) replaceKeys(cfg Config) error {
	merchants, err := cfg.merchants()
	if err != nil {
		return err
	}
	return s.opener.Replace(merchants)
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

// keyDirectories lists where those files lie.
func (c Config) keyDirectories() []string {
	var dirs []string
	for _, f := range c.keyFiles() {
		dirs = append(dirs, filepath.Dir(f))
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
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

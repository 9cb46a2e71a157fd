package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"wxnotify/service/store"
)

// StoreConfig is where callbacks are remembered: in an SQLite file, or in a
// database on a server if there is an address.
type StoreConfig struct {
	Path          string `koanf:"path"`
	URL           string `koanf:"url"`
	Password      Secret `koanf:"password"`
	RetentionDays int    `koanf:"retention_days"`
}

func (c StoreConfig) validate(found *problems) {
	if c.RetentionDays < minRetentionDays {
		found.add("store.retention_days", fmt.Sprintf("%d is too short", c.RetentionDays),
			fmt.Sprintf("keep at least %d days: the law asks for six months of logs", minRetentionDays))
	}
	c.Password.validate(found, "store.password", false)
	if c.URL == "" {
		if c.Path == "" {
			found.add("store.path", "empty", "name the SQLite file on a local disk, or a server with store.url")
		}
		if c.Password != (Secret{}) {
			found.add("store.password", "of no use without store.url", "remove it, or add store.url")
		}
		return
	}
	u, err := url.Parse(c.URL)
	switch { // the error would quote the address, perhaps with a password
	case err != nil || u.Host == "" || strings.Trim(u.Path, "/") == "" || !slices.Contains([]string{"postgres", "postgresql", "mysql", "mariadb"}, u.Scheme):
		found.add("store.url", "no address of a database", "write postgres://USER@HOST:5432/DATABASE or mysql://USER@HOST:3306/DATABASE")
	case hasPassword(u):
		found.add("store.url", "holds a password", "take it out, and add store.password: {file: …} or {env: …}")
	}
}

func hasPassword(u *url.URL) bool {
	_, has := u.User.Password()
	return has || u.Query().Has("password") || u.Query().Has("sslpassword")
}

// options are the store's.
func (c StoreConfig) options() (o store.Options, err error) {
	if c.URL == "" {
		return store.Options{Path: c.Path}, nil
	}
	password, err := c.Password.read("store.password")
	if err != nil {
		return o, configError{err}
	}
	u, err := url.Parse(c.URL)
	if err != nil {
		return o, configError{problem{"store.url", "no address of a database", "compare with: wxnotify check --example"}}
	}
	if len(password) > 0 {
		u.User = url.UserPassword(u.User.Username(), string(password))
	}
	return store.Options{URL: u.String()}, nil
}

// trouble puts what is wrong with the database, where it is, and what to do below
// each other.
func (c StoreConfig) trouble(err error) error {
	if fix := store.Fix(err); fix != "" {
		return fmt.Errorf("%w\n  %s\n  → %s", err, c.place(), fix)
	}
	return fmt.Errorf("%w\n  %s", err, c.place())
}

// place names the database in records and errors: settings hold no password.
func (c StoreConfig) place() string {
	if c.URL != "" {
		return "store.url is " + c.URL
	}
	return "store.path is " + c.Path
}

type migrateCommand struct{ settings }

// Help is what `wxnotify migrate --help` says.
func (migrateCommand) Help() string {
	return "Run it before the first `wxnotify serve` on a server, and before each new release's: replicas of the release before " +
		"go on meanwhile, because migrations only add. It may run any number of times; whoever runs it at the same time waits. " +
		"Its user needs rights that serve's does not: to create tables.\n\n" +
		"An SQLite file is brought up to date by `wxnotify serve` itself."
}

// Run brings the database's schema up to date.
func (m migrateCommand) Run(ctx context.Context, t terminal) error {
	cfg, err := loadConfig(m.Config, os.Environ())
	if err != nil && !errors.Is(err, errNoMerchant) { // a step of a deployment needs no keys
		return configError{err}
	}
	o, err := cfg.Store.options()
	if err != nil {
		return err
	}
	from, to, err := store.Migrate(ctx, o)
	if err != nil {
		return cfg.Store.trouble(err)
	}
	if from == to {
		fmt.Fprintf(t.out, "The schema is up to date: version %d.\n", to)
		return nil
	}
	fmt.Fprintf(t.out, "The schema was version %d and is version %d now.\n", from, to)
	return nil
}

// database looks into the store, if there is one yet.
func (d *doctor) database(ctx context.Context, c StoreConfig) {
	field, mend := "store.url", "compare with README.md, Choosing a database"
	if c.URL == "" {
		field, mend = "store.path", "name wxnotify's own database, readable for this user; or restore it from a backup"
		d.disk(field, c.Path, 1<<30)
		if _, err := os.Stat(c.Path); errors.Is(err, os.ErrNotExist) {
			d.ok("store.path: no database yet; serve will make one")
			return
		}
	}
	o, err := c.options()
	if err != nil {
		d.fail(err.Error(), "the file must be there and readable for this user")
		return
	}
	found, err := store.Inspect(ctx, o)
	switch {
	case errors.Is(err, store.ErrOlderSchema) && c.URL != "":
		d.fail(field+": "+err.Error(), "wxnotify migrate")
	case err != nil:
		d.fail(field+": "+err.Error(), cmp.Or(store.Fix(err), mend))
	case found.Outstanding > 0:
		d.warn(fmt.Sprintf("%s: %d notifications are outstanding (未入账)", field, found.Outstanding), "list them with: wxnotify resolve")
	default:
		d.ok("%s: schema %d, %s, nothing outstanding", field, found.Schema, found.Engine)
	}
}

// sqliteOwn are what SQLite keeps beside a database.
func sqliteOwn(database, file string) bool {
	own, isOwn := strings.CutPrefix(filepath.Clean(file), filepath.Clean(database))
	return isOwn && slices.Contains([]string{"", "-wal", "-shm", "-journal"}, own)
}

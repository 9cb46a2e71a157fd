package main

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/dustin/go-humanize"

	"wxnotify/service/callback"
)

// Config is what the operator sets: defaults, then a YAML file, then WXNOTIFY_*
// in the environment. OpenTelemetry has its own OTEL_* variables.
type Config struct {
	Listen         string              `koanf:"listen"`
	TrustedProxies []netip.Prefix      `koanf:"trusted_proxies"`
	Private        PrivateConfig       `koanf:"private"`
	Store          StoreConfig         `koanf:"store"`
	Spool          SpoolConfig         `koanf:"spool"`
	Log            LogConfig           `koanf:"log"`
	Shutdown       ShutdownConfig      `koanf:"shutdown"`
	Pager          PagerConfig         `koanf:"pager"`
	Merchants      map[string]Merchant `koanf:"merchants"`

	// path is the file the settings came from, "" for none.
	path string
}

// PrivateConfig is the operators' door.
type PrivateConfig struct {
	Listen string `koanf:"listen"`
	Token  Secret `koanf:"token"`
}

// SpoolConfig is where callbacks wait while the database is down.
type SpoolConfig struct {
	Path string `koanf:"path"`
	Size Size   `koanf:"size"`
}

// LogConfig sets how much the records say.
type LogConfig struct {
	Level string `koanf:"level"`
}

// ShutdownConfig sets how the service ends.
type ShutdownConfig struct {
	// Delay is how long the service stays open after it has said it is unready,
	// so that a load balancer can notice.
	Delay time.Duration `koanf:"delay"`
}

// Merchant is one merchant (商户) and its keys.
type Merchant struct {
	MchID  string   `koanf:"mchid"`
	AppIDs []string `koanf:"appids"`
	// NotifyURL is what the merchant gives WeChat Pay; only `check` reads it.
	NotifyURL string      `koanf:"notify_url"`
	Keys      []VerifyKey `koanf:"keys"`
	APIv3Keys []Secret    `koanf:"apiv3_keys"`
	V2        V2Config    `koanf:"v2"`
	Orders    string      `koanf:"orders"`
}

// VerifyKey is a platform certificate (平台证书) or a public key (微信支付公钥).
type VerifyKey struct {
	ID   string `koanf:"id"`
	File string `koanf:"file"`
}

// V2Config accepts APIv2 callbacks, if it has keys.
type V2Config struct {
	Keys []Secret `koanf:"keys"`
	Sign string   `koanf:"sign"`
}

// Secret points at a secret; the settings never hold one.
type Secret struct {
	File string `koanf:"file"`
	Env  string `koanf:"env"`
}

// Size is a number of bytes that reads "64MiB".
type Size int64

// UnmarshalText reads a size.
func (s *Size) UnmarshalText(text []byte) error {
	n, err := humanize.ParseBytes(string(text))
	if err != nil || n > 1<<40 {
		return fmt.Errorf("%q is no size", text)
	}
	*s = Size(n)
	return nil
}

// defaults is the configuration of a service that nobody has configured.
func defaults() Config {
	return Config{
		Listen:  ":8080",
		Private: PrivateConfig{Listen: "127.0.0.1:9090"},
		Store:   StoreConfig{Path: "wxnotify.db", RetentionDays: 200},
		Spool:   SpoolConfig{Path: "wxnotify.spool", Size: 64 << 20},
		Log:     LogConfig{Level: "info"},
		Pager:   PagerConfig{Mode: pagerBoth, Language: "en"},
	}
}

// minRetentionDays is six months: the Cybersecurity Law of China (网络安全法)
// wants network logs kept that long.
const minRetentionDays = 183

// problem is one thing wrong with the configuration, and what to do about it.
type problem struct{ field, what, fix string }

func (p problem) Error() string { return fmt.Sprintf("%s: %s; %s", p.field, p.what, p.fix) }

// problems collects everything that is wrong, so that it is told at once.
type problems []error

func (p *problems) add(field, what, fix string) { *p = append(*p, problem{field, what, fix}) }

func (p problems) join() error { return errors.Join(p...) }

// errNoMerchant says that there is nobody to take callbacks for.
var errNoMerchant = problem{"merchants", "no merchant is configured", "add one; wxnotify check --example shows how"}

// validate checks everything that can be checked without reading keys.
func (c Config) validate() problems {
	var found problems
	validateAddress(&found, "listen", c.Listen, ":8080")
	validateAddress(&found, "private.listen", c.Private.Listen, "127.0.0.1:9090")
	c.Store.validate(&found)
	if c.Spool.Path == "" || c.Store.URL == "" && sqliteOwn(c.Store.Path, c.Spool.Path) {
		found.add("spool.path", "empty or one of the database's own files", "name a file of its own, best on another disk")
	}
	if c.Spool.Size < 1<<20 {
		found.add("spool.size", "too small to bridge an outage", "write at least 1MiB; 64MiB is the default")
	}
	if !slices.Contains([]string{"debug", "info", "warn", "error"}, c.Log.Level) {
		found.add("log.level", fmt.Sprintf("%q is no level", c.Log.Level), "write debug, info, warn or error")
	}
	if c.Shutdown.Delay < 0 || c.Shutdown.Delay > time.Minute {
		found.add("shutdown.delay", "out of range", "write 0s to 1m")
	}
	c.Private.Token.validate(&found, "private.token", false)
	c.Pager.validate(&found)
	if len(c.Merchants) == 0 {
		found = append(found, errNoMerchant)
	}
	for _, name := range c.merchantNames() {
		c.Merchants[name].validate(&found, "merchants."+name, name)
	}
	return found
}

func validateAddress(found *problems, field, address, example string) {
	_, port, err := net.SplitHostPort(address)
	if n, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil || n == 0 && port != "0" {
		found.add(field, fmt.Sprintf("%q is no address", address), fmt.Sprintf("write host:port, such as %q", example))
	}
}

func (m Merchant) validate(found *problems, field, name string) {
	if !callback.IsMerchantName(name) {
		found.add(field, "not a usable name", "use 1 to 32 characters of a-z 0-9 -; it is the last part of the notify_url")
	}
	if m.MchID == "" || strings.Trim(m.MchID, "0123456789") != "" {
		found.add(field+".mchid", "missing or not digits", "put the 商户号 from the merchant platform")
	}
	if len(m.Keys) == 0 && len(m.V2.Keys) == 0 {
		found.add(field+".keys", "no key to verify signatures with",
			"add the 微信支付公钥 (id: PUB_KEY_ID_…, file: pub_key.pem), the 平台证书 (file: …), or v2.keys")
	}
	if len(m.Keys) > 0 && len(m.APIv3Keys) == 0 {
		found.add(field+".apiv3_keys", "no key to decrypt with", "add the APIv3密钥 as {file: …} or {env: …}")
	}
	for i, k := range m.Keys {
		if k.File == "" {
			found.add(fmt.Sprintf("%s.keys.%d.file", field, i), "missing", "name the PEM file")
		}
	}
	for i, s := range m.APIv3Keys {
		s.validate(found, fmt.Sprintf("%s.apiv3_keys.%d", field, i), true)
	}
	for i, s := range m.V2.Keys {
		s.validate(found, fmt.Sprintf("%s.v2.keys.%d", field, i), true)
	}
	if !slices.Contains([]string{"", "any", "md5", "hmac-sha256"}, m.V2.Sign) {
		found.add(field+".v2.sign", fmt.Sprintf("%q is no signature type", m.V2.Sign), "write any, md5 or hmac-sha256")
	}
	if !slices.Contains([]string{"", "optional", "required"}, m.Orders) {
		found.add(field+".orders", fmt.Sprintf("%q is not known", m.Orders), "write optional or required")
	}
}

func (s Secret) validate(found *problems, field string, required bool) {
	switch {
	case s.File != "" && s.Env != "":
		found.add(field, "both file and env are set", "keep one of them")
	case required && s.File == "" && s.Env == "":
		found.add(field, "empty", "write {file: PATH} or {env: NAME}")
	}
}

// read fetches the secret. Its errors name the place and never the content.
func (s Secret) read(field string) ([]byte, error) {
	switch {
	case s.Env != "":
		value, ok := os.LookupEnv(s.Env)
		if !ok || value == "" {
			return nil, problem{field, "the environment variable " + s.Env + " is not set", "set it, or name a file"}
		}
		return []byte(strings.TrimSpace(value)), nil
	case s.File != "":
		content, err := os.ReadFile(s.File)
		if err != nil {
			return nil, problem{field, plainFileError(err), "check the path and who may read it"}
		}
		return []byte(strings.TrimSpace(string(content))), nil
	}
	return nil, nil
}

// plainFileError keeps the path and the reason of a file error.
func plainFileError(err error) string {
	var p *os.PathError
	if errors.As(err, &p) {
		return "cannot read " + p.Path + ": " + p.Err.Error()
	}
	return "cannot be read"
}

// merchantNames lists the configured merchants in order.
func (c Config) merchantNames() []string { return slices.Sorted(maps.Keys(c.Merchants)) }

// slogLevel is the configured level; validate has refused any other word.
func (l LogConfig) slogLevel() slog.Level {
	var level slog.Level
	if level.UnmarshalText([]byte(l.Level)) != nil {
		return slog.LevelInfo
	}
	return level
}

package main

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"text/template"

	"wxnotify/service/callback"
	"wxnotify/service/simulator/wechat"
)

type simulateKeys struct {
	Dir  string `default:"account" type:"path" help:"Folder for the keys and wxnotify.yaml."`
	Name string `default:"shop" help:"The merchant's name: the last part of the notify_url."`
	Keep bool   `help:"Leave an account that is there already as it is, and succeed."`

	Mail         string `placeholder:"HOST:PORT" help:"Have the service mail its pages, through this server without TLS."`
	DingTalk     string `name:"dingtalk" placeholder:"URL" help:"Have it tell a 'simulate dingtalk --keys', too, which it finds here."`
	Alertmanager string `placeholder:"DIR" type:"path" help:"Let Alertmanager post to it: the token lies in this folder as well, for every user to read."`
	Database     string `placeholder:"URL" help:"Have it keep its books on this server instead of in a file."`
	DatabaseDir  string `name:"database-secrets" placeholder:"DIR" type:"path" help:"Let the server read its user's password: it lies in this folder as well, for every user to read."`
	Link         struct {
		Dashboard string `placeholder:"URL" help:"Grafana, for the links in a page."`
		Runbooks  string `placeholder:"URL" help:"The runbooks."`
		Trace     string `placeholder:"URL" help:"A trace; {trace_id} stands for its id."`
	} `embed:"" prefix:"link-"`
}

// Files of an account beside the keys.
const (
	accountConfig     = "wxnotify.yaml" // written last: with it the account is whole
	alertmanagerToken = "alertmanager_token"
	dingTalkURL       = "dingtalk_url"
	dingTalkSecret    = "dingtalk_secret"
	databasePassword  = "database_password"
)

// accountYAML is the configuration for an account.
var accountYAML = template.Must(template.New(accountConfig).Parse(
	`# A simulated account: its private keys lie beside this file. Not for real money.
{{if .Database -}}
store: {url: {{printf "%q" .Database}}, password: {file: {{printf "%q" (.In "` + databasePassword + `")}}}}
{{- else -}}
store: {path: {{printf "%q" (.In "wxnotify.db")}}}
{{- end}}
spool: {path: {{printf "%q" (.In "wxnotify.spool")}}, size: 8MiB}
merchants:
  {{.Name}}:
    mchid: {{printf "%q" .Account.MchID}}
    appids: [{{.Account.AppID}}]
    keys:
      - {id: {{.Account.PublicKeyID}}, file: {{printf "%q" .Files.PublicKey}}}
      - {file: {{printf "%q" .Files.Certificate}}}
    apiv3_keys: [{file: {{printf "%q" .Files.APIv3Key}}}]
    v2: {keys: [{file: {{printf "%q" .Files.APIv2Key}}}]}
{{- if or .Host .DingTalk .Alertmanager}}
pager:
  links:
    dashboard: {{printf "%q" .Link.Dashboard}}
    runbooks: {{printf "%q" .Link.Runbooks}}
    trace: {{printf "%q" .Link.Trace}}
{{- if .DingTalk}}
  dingtalk:
    - {url: {file: {{printf "%q" (.In "` + dingTalkURL + `")}}}, secret: {file: {{printf "%q" (.In "` + dingTalkSecret + `")}}}}
{{- end}}
{{- if .Host}}
  email:
    - {from: wxnotify@example.com, to: [oncall@example.com], relays: [{host: {{printf "%q" .Host}}, port: {{.Port}}, tls: none}]}
{{- end}}
{{- if .Alertmanager}}
  alertmanager: {token: {file: {{printf "%q" (.In "` + alertmanagerToken + `")}}}}
{{- end}}
{{- end}}
`))

// Run makes an account and a configuration that a service can be started with.
func (k simulateKeys) Run(t terminal) error {
	host, port, robot, err := k.parse()
	if err != nil {
		return err
	}
	if _, err := os.Stat(k.In(accountConfig)); err == nil && k.Keep {
		_, err = fmt.Fprintf(t.out, "The account in %s is kept.\n", k.Dir)
		return errors.Join(err, k.sameDatabase(), k.handOver())
	}
	if err := mustBeEmpty("--dir", k.Dir); err != nil {
		return err
	}
	account, err := wechat.NewMerchant(k.Name)
	if err != nil {
		return err
	}
	files, err := account.WriteKeys(k.Dir)
	if err != nil {
		return err
	}
	if err := errors.Join(k.writeSecrets(robot), k.handOver()); err != nil {
		return err
	}
	var config bytes.Buffer
	if err := accountYAML.Execute(&config, struct {
		simulateKeys
		Account    *wechat.Merchant
		Files      wechat.Files
		Host, Port string
	}{k, account, files, host, port}); err != nil {
		return err
	}
	if err := os.WriteFile(k.In(accountConfig), config.Bytes(), 0o600); err != nil {
		return err
	}
	_, err = fmt.Fprintf(t.out, `The account %s is in %s. Now, in two terminals:

  wxnotify serve --config %s
  wxnotify simulate serve --target http://127.0.0.1:8080 --keys %s --rate 5
`, k.Name, k.Dir, k.In(accountConfig), k.Dir)
	return err
}

// In is a file of the account.
func (k simulateKeys) In(name string) string { return filepath.Join(k.Dir, name) }

// parse takes apart what is given: the mail server, and the robot's address, to
// which it adds a token.
func (k simulateKeys) parse() (host, port, robot string, err error) {
	if !callback.IsMerchantName(k.Name) {
		return "", "", "", usageError{problem{"--name", fmt.Sprintf("%q cannot be part of a notify_url", k.Name), "use 1 to 32 characters of a-z 0-9 -"}}
	}
	if k.Mail != "" {
		if host, port, err = net.SplitHostPort(k.Mail); err != nil {
			return "", "", "", usageError{problem{"--mail", fmt.Sprintf("%q is no server", k.Mail), "write HOST:PORT"}}
		}
	}
	if k.DingTalk != "" {
		address, err := url.Parse(k.DingTalk)
		if err != nil || address.Host == "" {
			return "", "", "", usageError{problem{"--dingtalk", fmt.Sprintf("%q is no web address", k.DingTalk), "write http://HOST:PORT"}}
		}
		address = address.JoinPath("robot", "send")
		address.RawQuery = url.Values{"access_token": {strings.ToLower(rand.Text())}}.Encode()
		robot = address.String()
	}
	return host, port, robot, nil
}

// writeSecrets writes what the pager and those who talk with it must know.
func (k simulateKeys) writeSecrets(robot string) error {
	secrets := map[string]string{}
	if robot != "" {
		secrets[dingTalkURL], secrets[dingTalkSecret] = robot, "SEC"+strings.ToLower(rand.Text())
	}
	if k.Alertmanager != "" {
		secrets[alertmanagerToken] = rand.Text()
	}
	if k.Database != "" || k.DatabaseDir != "" {
		secrets[databasePassword] = rand.Text()
	}
	for name, secret := range secrets {
		if err := os.WriteFile(k.In(name), []byte(secret), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// sameDatabase keeps a service from being started beside the books it has.
func (k simulateKeys) sameDatabase() error {
	made, err := loadConfig(k.In(accountConfig), nil)
	if err != nil {
		return err
	}
	if made.Store.URL != k.Database {
		return usageError{problem{"--database", fmt.Sprintf("the account in %s was made for %s", k.Dir, cmp.Or(made.Store.URL, "a file")), "make a new account in another folder, or forget this one"}}
	}
	return nil
}

// handOver gives Alertmanager and the database server their copies of what they
// share with the service. They are other users, and must not see the account.
func (k simulateKeys) handOver() error {
	return errors.Join(
		k.share("--alertmanager", alertmanagerToken, k.Alertmanager),
		k.share("--database-secrets", databasePassword, k.DatabaseDir),
	)
}

func (k simulateKeys) share(flag, name, dir string) error {
	if dir == "" {
		return nil
	}
	secret, err := os.ReadFile(k.In(name))
	if errors.Is(err, os.ErrNotExist) {
		return usageError{problem{flag, "the account in " + k.Dir + " was made without " + name, "make a new account in another folder"}}
	}
	if err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // another user reads it
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), secret, 0o644) //nolint:gosec // another user reads it
}

// mustBeEmpty keeps us from writing over somebody's keys.
func mustBeEmpty(flag, dir string) error {
	switch found, err := os.ReadDir(dir); {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return usageError{problem{flag, plainFileError(err), "name a folder that can be read"}}
	case len(found) > 0:
		return usageError{problem{flag, dir + " already holds " + found[0].Name(), "name an empty folder, or one that does not exist yet"}}
	}
	return nil
}

package main

import (
	"maps"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestComposeDatabase follows the demo's account: what it names is a container of
// the profile, which the service reaches, after a migration.
func TestComposeDatabase(t *testing.T) {
	t.Parallel()
	for _, engine := range []string{"postgres", "mysql"} {
		project := composed(t, []string{"DATABASE=" + engine}, "demo", engine)
		cfg := demoAccount(t, project.Services["keys"].Command)
		u, err := url.Parse(cfg.Store.URL)
		if err != nil || u.Scheme != engine || u.Host != engine {
			t.Errorf("DATABASE=%s names %q, which is no container of that profile", engine, cfg.Store.URL)
		}
		service, migrate, server := project.Services["service"], project.Services["migrate"], project.Services[engine]
		if _, waits := service.DependsOn["migrate"]; !waits {
			t.Errorf("%s: the service does not wait for the migration", engine)
		}
		if wait, waits := migrate.DependsOn[engine]; !waits || wait.Condition != "service_healthy" {
			t.Errorf("%s: the migration does not wait for the server", engine)
		}
		for name, networks := range map[string][]string{
			"service": slices.Collect(maps.Keys(service.Networks)), "migrate": slices.Collect(maps.Keys(migrate.Networks)),
		} {
			if !slices.Contains(networks, "database") {
				t.Errorf("%s: %s cannot reach it", engine, name)
			}
		}
		if reached := slices.Collect(maps.Keys(server.Networks)); !slices.Equal(reached, []string{"database"}) || !project.Networks["database"].Internal || len(server.Ports) > 0 {
			t.Errorf("%s is reached from %q and %d ports of the host", engine, reached, len(server.Ports))
		}
		if m := mounted(server, "/run/secrets"); m.Source != mounted(project.Services["keys"], "/run/database").Source || !m.ReadOnly {
			t.Errorf("%s reads its password from %q", engine, m.Source)
		}
		if m := mounted(composed(t, []string{"DATABASE_SECRETS=/etc/db"}, engine).Services[engine], "/run/secrets"); m.Source != "/etc/db" || !m.ReadOnly {
			t.Errorf("%s reads your password from %q", engine, m.Source)
		}
	}
}

// TestComposeDatabaseForgotten: a profile without the address in wxnotify.yaml would
// be two sets of books. Whoever needs a server refuses to go without.
func TestComposeDatabaseForgotten(t *testing.T) {
	t.Parallel()
	project := everything(t)
	account := demoAccount(t, project.Services["keys"].Command)
	if account.Store.URL != "" {
		t.Fatalf("without DATABASE, the demo keeps its books in %s", account.Store.URL)
	}
	for name, refuses := range map[string]bool{"service": false, "migrate": true, "replica": true} {
		var environ []string
		for variable, value := range project.Services[name].Environment {
			environ = append(environ, variable+"="+*value)
		}
		_, err := loadConfig(account.path, environ)
		if refuses != (err != nil && strings.Contains(err.Error(), "store.path: empty")) {
			t.Errorf("%s with an account that names no server: %v", name, err)
		}
	}
	own := func(name string) string { return mounted(project.Services[name], "/data").Source }
	if own("replica") == own("service") {
		t.Error("two replicas share a spool")
	}
	for _, mine := range project.Services["replica"].Ports {
		for _, theirs := range project.Services["service"].Ports {
			if mine.Published == theirs.Published {
				t.Errorf("two replicas share port %s", mine.Published)
			}
		}
	}
}

// demoAccount makes the account as the container would, elsewhere.
func demoAccount(t *testing.T, command []string) Config {
	t.Helper()
	folder := t.TempDir()
	moved := make([]string, len(command))
	for i, arg := range command {
		flag, dir, _ := strings.Cut(arg, "=")
		if filepath.IsAbs(dir) {
			arg = flag + "=" + filepath.Join(folder, dir)
		}
		moved[i] = arg
	}
	if code, out, errs := invoke(t.Context(), moved...); code != exitOK {
		t.Fatalf("wxnotify %q: exit %d\n%s%s", moved, code, out, errs)
	}
	cfg, err := loadConfig(filepath.Join(folder, "etc", "wxnotify", accountConfig), nil)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

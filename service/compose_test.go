package main

import (
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/compose-spec/compose-go/v2/types"
)

// composed reads docker-compose.yml as Compose does: schema, interpolation with
// environ and nothing else, dependencies.
func composed(t *testing.T, environ []string, profiles ...string) *types.Project {
	t.Helper()
	options, err := cli.NewProjectOptions([]string{"../docker-compose.yml"}, cli.WithEnv(environ), cli.WithProfiles(profiles))
	if err != nil {
		t.Fatal(err)
	}
	project, err := options.LoadProject(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return project
}

// everything is the largest project: all profiles, nothing set from outside.
func everything(t *testing.T) *types.Project {
	return composed(t, nil, "demo", "postgres", "mysql", "replica")
}

func TestComposeProfiles(t *testing.T) {
	t.Parallel()
	stack := []string{"alertmanager", "grafana", "inbox", "jaeger", "loki", "mailpit", "otel-collector", "prometheus", "service"}
	if got := composed(t, nil).ServiceNames(); !slices.Equal(got, stack) {
		t.Errorf("without a profile: %q", got)
	}
	for profile, more := range map[string][]string{
		"demo":     {"dingtalk", "keys", "simulator"},
		"postgres": {"migrate", "postgres"},
		"mysql":    {"migrate", "mysql"},
		"replica":  {"replica"},
	} {
		want := slices.Sorted(slices.Values(append(more, stack...)))
		if got := composed(t, nil, profile).ServiceNames(); !slices.Equal(got, want) {
			t.Errorf("profile %s: %q", profile, got)
		}
	}
}

// TestComposeConfigFolder switches from the demo's account to one's own folder.
func TestComposeConfigFolder(t *testing.T) {
	t.Parallel()
	for folder, want := range map[string]types.ServiceVolumeConfig{
		"":              {Type: types.VolumeTypeVolume, Source: "account"},
		"/etc/wxnotify": {Type: types.VolumeTypeBind, Source: "/etc/wxnotify"},
	} {
		project := composed(t, []string{"CONFIG_FOLDER=" + folder})
		for _, v := range project.Services["service"].Volumes {
			if v.Target == "/etc/wxnotify" && (v.Type != want.Type || v.Source != want.Source || !v.ReadOnly) {
				t.Errorf("CONFIG_FOLDER=%s mounts %s %s, read-only %t", folder, v.Type, v.Source, v.ReadOnly)
			}
		}
	}
}

// TestComposeAlertmanager: it posts to the pager, with a token, unless told
// otherwise; the demo makes token and pager.
func TestComposeAlertmanager(t *testing.T) {
	t.Parallel()
	for want, environ := range map[string][]string{
		"alertmanager-pager.yml": nil,
		"alertmanager.yml":       {"ALERTMANAGER_CONFIG=alertmanager.yml"},
	} {
		command := composed(t, environ).Services["alertmanager"].Command
		if !slices.Contains(command, "--config.file=/etc/wxnotify/alerts/"+want) || read(t, "../alerts/"+want) == "" {
			t.Errorf("%q reads %q, want %s", environ, command, want)
		}
	}
	if text := read(t, "../alerts/alertmanager-pager.yml"); !strings.Contains(text, "credentials_file: /run/secrets/"+alertmanagerToken+"\n") {
		t.Error("Alertmanager reads its token elsewhere than `simulate keys` writes it")
	}
	for secrets, want := range map[string]string{"": "alertmanager-secrets", "/etc/alertmanager": "/etc/alertmanager"} {
		project := composed(t, []string{"ALERTMANAGER_SECRETS=" + secrets}, "demo")
		if m := mounted(project.Services["alertmanager"], "/run/secrets"); m.Source != want || !m.ReadOnly {
			t.Errorf("ALERTMANAGER_SECRETS=%s mounts %s, read-only %t", secrets, m.Source, m.ReadOnly)
		}
	}
	keys := everything(t).Services["keys"]
	if m := mounted(keys, "/run/secrets"); m.Source != "alertmanager-secrets" || !slices.Contains(keys.Command, "--alertmanager=/run/secrets") {
		t.Errorf("the demo's token goes to %q by %q", m.Source, keys.Command)
	}
}

// mounted is what a container has at a path.
func mounted(s types.ServiceConfig, at string) (found types.ServiceVolumeConfig) {
	for _, v := range s.Volumes {
		if v.Target == at {
			found = v
		}
	}
	return found
}

// once are the containers that do their work and end.
var once = map[string]bool{"keys": true, "migrate": true}

// TestComposeHardened holds every container to the same: a pinned image, no
// root, nothing writable, bounded in memory, processor and log.
func TestComposeHardened(t *testing.T) {
	t.Parallel()
	pinned := regexp.MustCompile(`^[a-z0-9./-]+:v?\d+\.\d+(\.\d+)?$`)
	user := regexp.MustCompile(`^[1-9]\d*:\d+$`)
	for name, s := range everything(t).Services {
		must := func(ok bool, what string) {
			t.Helper()
			if !ok {
				t.Errorf("%s: %s", name, what)
			}
		}
		built := s.Image == "wxnotify:local" && (s.Build != nil || s.PullPolicy == types.PullPolicyNever)
		must(built || pinned.MatchString(s.Image), "its image is not pinned to a release: "+s.Image)
		must(s.Build == nil || s.PullPolicy == types.PullPolicyBuild, "it is built, but a registry is asked first")
		must(user.MatchString(s.User), "it runs as "+strconv.Quote(s.User))
		must(s.ReadOnly && !s.Privileged && len(s.CapAdd) == 0, "it may write to its image, or more")
		must(slices.Equal(s.CapDrop, []string{"ALL"}), "it keeps capabilities")
		must(slices.Contains(s.SecurityOpt, "no-new-privileges:true"), "it can gain privileges")
		must(s.MemLimit > 0 && s.PidsLimit > 0, "memory or processes are not limited")
		must(s.CPUS > 0 && s.CPUS <= 1, "cpus is not limited, or more than the smallest machine has, where Docker refuses it")
		must(s.Logging != nil && s.Logging.Options["max-size"] != "" && s.Logging.Options["max-file"] != "", "its log is not rotated")
		must(s.Restart == "unless-stopped" || once[name], "it does not come back")
		probed := s.HealthCheck != nil && len(s.HealthCheck.Test) > 1 && s.HealthCheck.Test[0] == "CMD"
		must(probed || once[name], "it has no health check, or one that needs a shell")
		for _, p := range s.Ports {
			ip, err := netip.ParseAddr(p.HostIP)
			must(err == nil && ip.IsLoopback(), "port "+p.Published+" is open to everybody")
		}
	}
}

// TestComposeImages holds what our own images are built on to the same.
func TestComposeImages(t *testing.T) {
	t.Parallel()
	from := regexp.MustCompile(`(?m)^FROM (\S+)`)
	pinned := regexp.MustCompile(`:v?\d+\.\d+(\.\d+)?(-[a-z]+)?$|^gcr\.io/distroless/static-debian12:nonroot$`)
	for name, s := range everything(t).Services {
		if s.Image == "wxnotify:local" {
			s.Build = everything(t).Services["service"].Build
		}
		if s.Build == nil {
			continue
		}
		text := s.Build.DockerfileInline
		if text == "" {
			text = read(t, filepath.Join(s.Build.Context, s.Build.Dockerfile))
		}
		found := from.FindAllStringSubmatch(text, -1)
		if len(found) == 0 {
			t.Errorf("%s: built from nothing", name)
		}
		for _, f := range found {
			if !pinned.MatchString(f[1]) {
				t.Errorf("%s: FROM %s is not pinned", name, f[1])
			}
		}
		for _, v := range s.Volumes { // a new volume takes its owner from the image's folder
			made := regexp.MustCompile(`(?m)^(COPY|RUN) .* ` + regexp.QuoteMeta(v.Target) + `$`)
			if v.Type == types.VolumeTypeVolume && !made.MatchString(text) {
				t.Errorf("%s: its image has no %s, so root would own the volume", name, v.Target)
			}
		}
	}
}

// TestComposeMounts finds every mounted file in the repository, unless it is the
// operator's own.
func TestComposeMounts(t *testing.T) {
	t.Parallel()
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for name, s := range everything(t).Services {
		for _, v := range s.Volumes {
			if v.Type == types.VolumeTypeVolume {
				used[v.Source] = true
				continue
			}
			inside, err := filepath.Rel(root, v.Source)
			if err != nil || !filepath.IsLocal(inside) {
				t.Errorf("%s mounts %s, which is not ours", name, v.Source)
			}
			if !v.ReadOnly || v.Bind == nil || bool(v.Bind.CreateHostPath) {
				t.Errorf("%s mounts %s writable, or makes an empty folder where it is missing", name, inside)
			}
			if len(texts(t, v.Source)) == 0 {
				t.Errorf("%s mounts %s, where there is nothing", name, inside)
			}
		}
	}
	if declared := slices.Sorted(maps.Keys(everything(t).Volumes)); !slices.Equal(declared, slices.Sorted(maps.Keys(used))) {
		t.Errorf("volumes: declared %q, used %q", declared, slices.Sorted(maps.Keys(used)))
	}
}

// TestComposeSecrets keeps secrets in files: what stands in the environment is
// in `docker inspect` and in every child process.
func TestComposeSecrets(t *testing.T) {
	t.Parallel()
	secret := regexp.MustCompile(`(?i)passw|secret|token|credential|api_?key|dsn`)
	for name, s := range everything(t).Services {
		for variable, value := range s.Environment {
			file := strings.HasSuffix(variable, "_FILE") && filepath.IsAbs(*value)
			if !file && (secret.MatchString(variable) || secret.MatchString(*value)) {
				t.Errorf("%s: %s=%s", name, variable, *value)
			}
		}
	}
	grafana := everything(t).Services["grafana"].Environment
	for variable, want := range map[string]string{
		"GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION": "true", // admin/admin never exists
		"GF_AUTH_BASIC_ENABLED":                      "false",
		"GF_AUTH_DISABLE_LOGIN_FORM":                 "true",
		"GF_PLUGINS_PREINSTALL_DISABLED":             "true", // or the data sources vanish from the read-only image
	} {
		if got := grafana[variable]; got == nil || *got != want {
			t.Errorf("grafana: %s is not %s", variable, want)
		}
	}
}

// TestComposeVersions: the images are of the versions that are built from
// source, and run, in the tests.
func TestComposeVersions(t *testing.T) {
	t.Parallel()
	project := everything(t)
	for name, of := range map[string]struct{ module, required, image string }{
		// The release 3.15.0 is the module v0.315.0, and Jaeger 2.13.0 is v1.76.0.
		"prometheus":     {"prometheus", "github.com/prometheus/prometheus v0.315.0", "prom/prometheus:v3.15.0"},
		"alertmanager":   {"alertmanager", "github.com/prometheus/alertmanager v0.31.1", "prom/alertmanager:v0.31.1"},
		"loki":           {"loki", "github.com/grafana/loki/v3 v3.7.8", "grafana/loki:3.7.8"},
		"jaeger":         {"jaeger", "github.com/jaegertracing/jaeger v1.76.0", "wxnotify-jaeger:2.13.0"},
		"mailpit":        {"mailpit", "github.com/axllent/mailpit v1.27.11", "axllent/mailpit:v1.27.11"},
		"otel-collector": {"../../otel-collector/build", "go.opentelemetry.io/collector/otelcol v0.161.0", "wxnotify-otel-collector:0.161.0"},
	} {
		file := filepath.Join("..", ".ci", "stack", of.module, "go.mod")
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if image := project.Services[name].Image; !strings.Contains(string(text), of.required+"\n") && !strings.Contains(string(text), of.required+" ") || image != of.image {
			t.Errorf("%s: the image is %s and %s is not what the test expects; move both to the same release (want %s and %s)", name, image, file, of.image, of.required)
		}
	}
}

// listening is where each container takes connections from the others.
var listening = map[string][]int{
	"service": {8080, 9090}, "otel-collector": {4317, 4318, 8888, 13133}, "prometheus": {9090}, "alertmanager": {9093},
	"loki": {3100}, "jaeger": {4317, 16686}, "grafana": {3000}, "mailpit": {1025, 8025}, "inbox": {8090}, "dingtalk": {8082}, "simulator": {8081},
	"replica": {8080, 9090}, "postgres": {5432}, "mysql": {3306},
}

// TestComposeAddresses follows every name:port in what a container is given to a
// container that listens there, on a network that both are in.
func TestComposeAddresses(t *testing.T) {
	t.Parallel()
	address := regexp.MustCompile(`(?:^|[\s"'/=\[,-])([a-z][a-z-]+):(\d{4,5})\b`)
	project, seen := everything(t), 0
	for name, s := range project.Services {
		for _, p := range s.Ports {
			if !slices.Contains(listening[name], int(p.Target)) {
				t.Errorf("%s publishes port %d, where nothing listens", name, p.Target)
			}
		}
		if name == "keys" { // it writes what the service reads
			s.Networks = project.Services["service"].Networks
		}
		for where, text := range reads(t, s) {
			for _, m := range address.FindAllStringSubmatch(text, -1) {
				port, err := strconv.Atoi(m[2])
				if m[1] == "localhost" || err != nil { // for a browser on the host
					continue
				}
				seen++
				if !slices.Contains(listening[m[1]], port) {
					t.Errorf("%s: %s says %s:%d, where nothing listens", name, where, m[1], port)
					continue
				}
				if to := project.Services[m[1]]; m[1] != name && !slices.ContainsFunc(slices.Collect(maps.Keys(to.Networks)), func(n string) bool { _, both := s.Networks[n]; return both }) {
					t.Errorf("%s cannot reach %s: no network in common", name, m[1])
				}
			}
		}
	}
	if seen < 20 {
		t.Errorf("%d addresses; this test looks at nothing", seen)
	}
}

// reads is what a container is given to read: mounted files, command, environment.
func reads(t *testing.T, s types.ServiceConfig) map[string]string {
	t.Helper()
	all := map[string]string{"command": strings.Join(s.Command, "\n"), "environment": strings.Join(s.Environment.ToMapping().Values(), "\n")}
	for _, v := range s.Volumes {
		if v.Type == types.VolumeTypeBind {
			maps.Copy(all, texts(t, v.Source))
		}
	}
	return all
}

// texts reads a file, or the files of a folder that are not empty; of YAML it
// leaves out the comments.
func texts(t *testing.T, path string) map[string]string {
	t.Helper()
	paths := []string{path}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		if paths, err = filepath.Glob(filepath.Join(path, "*.y*ml")); err != nil {
			t.Fatal(err)
		}
	}
	comment := regexp.MustCompile(`(?m)(^|\s)#.*$`)
	all := map[string]string{}
	for _, p := range paths {
		if text := read(t, p); text != "" {
			all[filepath.Base(p)] = comment.ReplaceAllString(text, "")
		}
	}
	return all
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Error(err)
	}
	return string(text)
}

// TestComposeCommands parses what our own image is told to do, and looks at the
// order of starting.
func TestComposeCommands(t *testing.T) {
	t.Parallel()
	project := everything(t)
	for name, s := range project.Services {
		for on, dependency := range s.DependsOn {
			to := project.Services[on]
			switch dependency.Condition {
			case types.ServiceConditionHealthy:
				if to.HealthCheck == nil || to.HealthCheck.Disable {
					t.Errorf("%s waits for the health of %s, which has no check", name, on)
				}
			case types.ServiceConditionCompletedSuccessfully:
				if to.Restart != "no" {
					t.Errorf("%s waits for the end of %s, which starts again", name, on)
				}
			default:
				t.Errorf("%s waits for nothing but the start of %s", name, on)
			}
		}
		if s.Image != "wxnotify:local" {
			continue
		}
		lines := [][]string{s.Command}
		if s.HealthCheck != nil && !s.HealthCheck.Disable {
			lines = append(lines, s.HealthCheck.Test[2:]) // CMD /wxnotify …
		}
		for _, line := range lines {
			parser, err := kong.New(&commands{}, kong.Vars{"kinds": kinds(), "faults": faults()}, kong.Exit(func(int) {}))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := parser.Parse(line); err != nil && len(line) > 0 { // without a command: serve, as the image says
				t.Errorf("%s: wxnotify %s: %v", name, strings.Join(line, " "), err)
			}
		}
	}
}

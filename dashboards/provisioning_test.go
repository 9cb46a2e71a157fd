package dashboards_test

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// read decodes a provisioning file, and nothing that it says may be unknown.
func read(t *testing.T, path string, into any) string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	d := yaml.NewDecoder(strings.NewReader(string(raw)))
	d.KnownFields(true)
	if err := d.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return string(raw)
}

// jump is a link from one store to another.
type jump struct {
	DatasourceUID      string `yaml:"datasourceUid"`
	Name               string `yaml:"name"`
	MatcherType        string `yaml:"matcherType"`
	MatcherRegex       string `yaml:"matcherRegex"`
	URL                string `yaml:"url"`
	URLDisplayLabel    string `yaml:"urlDisplayLabel"`
	SpanStartTimeShift string `yaml:"spanStartTimeShift"`
	SpanEndTimeShift   string `yaml:"spanEndTimeShift"`
	CustomQuery        bool   `yaml:"customQuery"`
	Query              string `yaml:"query"`
	Queries            []struct{ Name, Query string }
}

// source is a data source as Grafana's provisioning knows it.
type source struct {
	Name, UID, Type, Access, URL string
	IsDefault                    bool `yaml:"isDefault"`
	Editable                     bool
	JSONData                     struct {
		HTTPMethod      string                 `yaml:"httpMethod"`
		PrometheusType  string                 `yaml:"prometheusType"`
		PrometheusVer   string                 `yaml:"prometheusVersion"`
		TimeInterval    string                 `yaml:"timeInterval"`
		ManageAlerts    bool                   `yaml:"manageAlerts"`
		AlertmanagerUID string                 `yaml:"alertmanagerUid"`
		Exemplars       []jump                 `yaml:"exemplarTraceIdDestinations"`
		MaxLines        int                    `yaml:"maxLines"`
		Derived         []jump                 `yaml:"derivedFields"`
		NodeGraph       struct{ Enabled bool } `yaml:"nodeGraph"`
		TraceIDTime     struct{ Enabled bool } `yaml:"traceIdTimeParams"`
		ToLogs          jump                   `yaml:"tracesToLogsV2"`
		ToMetrics       jump                   `yaml:"tracesToMetrics"`
		Implementation  string                 `yaml:"implementation"`
		HandleManaged   *bool                  `yaml:"handleGrafanaManagedAlerts"`
	} `yaml:"jsonData"`
}

// TestDataSourceFile: the uids that the dashboard's variables start with exist,
// each store links to the next, and every $ is doubled.
func TestDataSourceFile(t *testing.T) {
	t.Parallel()
	var file struct {
		APIVersion  int `yaml:"apiVersion"`
		Prune       bool
		Datasources []source
	}
	raw := read(t, "provisioning/datasources/wxnotify.yaml", &file)
	if single := regexp.MustCompile(`(^|[^$])\$($|[^$])`).FindString(strings.ReplaceAll(raw, "$$ is one $:", "")); single != "" {
		t.Errorf("%q: Grafana takes a single $ for an environment variable", single)
	}
	at := map[string]source{}
	for _, s := range file.Datasources {
		if at[s.UID] = s; s.Editable || s.Access != "proxy" {
			t.Errorf("%s: editable %v, access %q", s.Name, s.Editable, s.Access)
		}
	}
	for uid, want := range map[string][2]string{
		"wxnotify-prometheus": {"prometheus", "http://prometheus:9090"}, "wxnotify-loki": {"loki", "http://loki:3100"},
		"wxnotify-jaeger": {"jaeger", "http://jaeger:16686"}, "wxnotify-alertmanager": {"alertmanager", "http://alertmanager:9093"},
	} {
		if s := at[uid]; s.Type != want[0] || s.URL != want[1] {
			t.Errorf("%s is %q at %q, want %v", uid, s.Type, s.URL, want)
		}
	}
	for _, v := range shipped(t).Templating.List {
		if uid, _ := v.Current.Value.(string); v.Type == "datasource" && at[uid].UID == "" {
			t.Errorf("variable %s starts with %q, which is not provisioned", v.Name, uid)
		}
	}
	prometheus, loki, jaeger, alertmanager := at["wxnotify-prometheus"], at["wxnotify-loki"], at["wxnotify-jaeger"], at["wxnotify-alertmanager"]
	for name, links := range map[string]bool{
		"exemplar → trace": len(prometheus.JSONData.Exemplars) == 1 && prometheus.JSONData.Exemplars[0].Name == "trace_id" && prometheus.JSONData.Exemplars[0].DatasourceUID == jaeger.UID,
		"record → trace":   len(loki.JSONData.Derived) == 1 && loki.JSONData.Derived[0].MatcherRegex == "trace_id" && loki.JSONData.Derived[0].MatcherType == "label" && loki.JSONData.Derived[0].DatasourceUID == jaeger.UID,
		"span → records":   jaeger.JSONData.ToLogs.DatasourceUID == loki.UID && strings.Contains(jaeger.JSONData.ToLogs.Query, `{service_name="wxnotify"}`),
		"span → metrics":   jaeger.JSONData.ToMetrics.DatasourceUID == prometheus.UID && len(jaeger.JSONData.ToMetrics.Queries) > 0,
		"alerts":           prometheus.JSONData.AlertmanagerUID == alertmanager.UID && alertmanager.JSONData.Implementation == "prometheus",
		"default":          prometheus.IsDefault,
	} {
		if !links {
			t.Errorf("%s does not work", name)
		}
	}
	for _, q := range jaeger.JSONData.ToMetrics.Queries {
		parsed(t, strings.ReplaceAll(q.Query, "$$", "$"))
	}
}

// TestProviderFile: read-only, in the folder wxnotify.
func TestProviderFile(t *testing.T) {
	t.Parallel()
	var file struct {
		APIVersion int `yaml:"apiVersion"`
		Providers  []struct {
			Name            string
			OrgID           int `yaml:"orgId"`
			Type, Folder    string
			FolderUID       string `yaml:"folderUid"`
			DisableDeletion bool   `yaml:"disableDeletion"`
			AllowUIUpdates  bool   `yaml:"allowUiUpdates"`
			Update          int    `yaml:"updateIntervalSeconds"`
			Options         struct {
				Path    string
				Folders bool `yaml:"foldersFromFilesStructure"`
			}
		}
	}
	read(t, "provisioning/dashboards/wxnotify.yaml", &file)
	if len(file.Providers) != 1 {
		t.Fatalf("%d providers", len(file.Providers))
	}
	p := file.Providers[0]
	if p.Type != "file" || p.Folder != "wxnotify" || p.FolderUID != "wxnotify" || !p.DisableDeletion || p.AllowUIUpdates || p.Options.Folders || p.Options.Path == "" {
		t.Errorf("%+v", p)
	}
}

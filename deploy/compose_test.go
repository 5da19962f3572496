package deploy

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/compose-spec/compose-go/v2/loader"
	"github.com/compose-spec/compose-go/v2/types"
	"sigs.k8s.io/yaml"
)

// loadCompose reads the file with Compose's own loader, which checks it against the specification's schema.
func loadCompose(text string) (*types.Project, error) {
	dir, err := filepath.Abs("compose")
	if err != nil {
		return nil, err
	}
	return loader.LoadWithContext(context.Background(), types.ConfigDetails{
		WorkingDir:  dir,
		ConfigFiles: []types.ConfigFile{{Filename: filepath.Join(dir, "compose.yaml"), Content: []byte(text)}},
	}, func(o *loader.Options) { o.SetProjectName("braid", true) })
}

func composeFile(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("compose/compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func composeProject(t *testing.T) *types.Project {
	t.Helper()
	project, err := loadCompose(composeFile(t))
	if err != nil {
		t.Fatal(err)
	}
	return project
}

func TestComposeIsValid(t *testing.T) {
	project := composeProject(t)
	for name, service := range project.Services {
		if build := service.Build; build != nil {
			if _, err := os.Stat(filepath.Join(build.Context, build.Dockerfile)); err != nil {
				t.Errorf("%s is built from %s: %v", name, build.Dockerfile, err)
			}
			if !service.ReadOnly || !slices.Equal(service.CapDrop, []string{"ALL"}) {
				t.Errorf("%s may write to its image or has capabilities", name)
			}
		}
		for _, port := range service.Ports {
			if port.HostIP != "127.0.0.1" {
				t.Errorf("%s publishes %s beyond this machine", name, port.Published)
			}
		}
		for _, v := range service.Volumes {
			if v.Type != "bind" || v.Source == "/var/lib/docker/containers" {
				continue
			}
			if _, err := os.Stat(v.Source); err != nil {
				t.Errorf("%s mounts %v", name, err)
			}
			if !v.ReadOnly {
				t.Errorf("%s may write to %s", name, v.Source)
			}
		}
	}
}

func TestABrokenComposeFileIsRefused(t *testing.T) {
	for _, broken := range []struct{ name, old, with, want string }{
		{"a key that does not exist", "read_only: true", "readonly: true", "readonly"},
		{"a volume that is not declared", "- aggregator:/var", "- aggregators:/var", "aggregators"},
		{"a wrong type", "cap_drop: [ALL]", "cap_drop: ALL", "cap_drop"},
	} {
		t.Run(broken.name, func(t *testing.T) {
			if _, err := loadCompose(replaceOnce(t, composeFile(t), broken.old, broken.with)); err == nil || !strings.Contains(err.Error(), broken.want) {
				t.Errorf("%q is expected in %v", broken.want, err)
			}
		})
	}
}

// ports are where the services of compose.yaml listen within their network.
var composePorts = map[string][]string{
	"aggregator": {"4318", "9464"}, "agent": {"4317", "4318", "9465"},
	"elasticsearch": {"9200"}, "prometheus": {"9090"}, "grafana": {"3000"},
}

func TestComposeConfigurationsNameItsServices(t *testing.T) {
	project := composeProject(t)
	for _, file := range []string{"agent.yaml", "aggregator.yaml", "grafana/datasources.yaml"} {
		text, err := os.ReadFile(filepath.Join("compose", file))
		if err != nil {
			t.Fatal(err)
		}
		var content any
		if err := yaml.UnmarshalStrict(text, &content); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		found := 0
		eachString(content, func(s string) {
			u, err := url.Parse(s)
			if err != nil || u.Scheme != "http" {
				return
			}
			found++
			if _, ok := project.Services[u.Hostname()]; !ok || !slices.Contains(composePorts[u.Hostname()], u.Port()) {
				t.Errorf("%s: %s is no service of compose.yaml", file, s)
			}
		})
		if found == 0 {
			t.Errorf("%s names no service: not looking at what it says", file)
		}
	}
}

func eachString(value any, do func(string)) {
	switch v := value.(type) {
	case string:
		do(v)
	case []any:
		for _, child := range v {
			eachString(child, do)
		}
	case map[string]any:
		for _, child := range v {
			eachString(child, do)
		}
	}
}

// What Grafana is given: the same data sources in compose and in the chart, and a folder of dashboards.
func TestGrafanaIsProvisioned(t *testing.T) {
	text, err := os.ReadFile("compose/grafana/datasources.yaml")
	if err != nil {
		t.Fatal(err)
	}
	inCompose := dataSources(t, string(text))
	inChart := dataSources(t, readSet(t, "several-outputs").configs["braid-datasources"]["braid.yaml"])
	for uid, kind := range map[string]string{"braid-metrics": "prometheus", "braid-traces": "jaeger", "braid-lines": "elasticsearch"} {
		if inCompose[uid] != kind {
			t.Errorf("compose has no data source %s of type %s", uid, kind)
		}
		if inChart[uid] != kind {
			t.Errorf("the chart has no data source %s of type %s", uid, kind)
		}
	}
	var provider struct {
		Providers []struct{ Options struct{ Path string } }
	}
	text, err = os.ReadFile("compose/grafana/dashboards.yaml")
	if err != nil || yaml.Unmarshal(text, &provider) != nil || len(provider.Providers) != 1 {
		t.Fatalf("no provider of dashboards: %v", err)
	}
	if !slices.ContainsFunc(composeProject(t).Services["grafana"].Volumes, func(v types.ServiceVolumeConfig) bool {
		return v.Target == provider.Providers[0].Options.Path && strings.HasSuffix(v.Source, "/dashboards/grafana")
	}) {
		t.Errorf("nothing is mounted at %s", provider.Providers[0].Options.Path)
	}
}

func dataSources(t *testing.T, text string) map[string]string {
	t.Helper()
	var file struct {
		APIVersion  int
		DataSources []struct{ Name, UID, Type, URL string }
	}
	if err := yaml.Unmarshal([]byte(text), &file); err != nil || file.APIVersion != 1 {
		t.Fatalf("no provisioning file: %v\n%s", err, text)
	}
	byUID := map[string]string{}
	for _, d := range file.DataSources {
		byUID[d.UID] = d.Type
	}
	return byUID
}

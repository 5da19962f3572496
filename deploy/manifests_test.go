package deploy

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/v2/lint"
	"helm.sh/helm/v4/pkg/chart/v2/lint/support"
)

func TestManifestsAreWhatTheChartRenders(t *testing.T) {
	eachSet(t, func(t *testing.T, set, kept string) {
		values, err := os.ReadFile(SetFile(".", set))
		if err != nil {
			t.Fatal(err)
		}
		for _, version := range Versions {
			rendered, err := Render(Chart, values, version)
			if err != nil {
				t.Fatal(err)
			}
			if rendered != kept {
				t.Errorf("%s is stale (make generate): for Kubernetes %s the chart renders\n%s", ManifestFile(".", set), version, firstDifference(kept, rendered))
			}
		}
	})
}

func firstDifference(kept, rendered string) string {
	a, b := strings.Split(kept, "\n"), strings.Split(rendered, "\n")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return "-" + a[i] + "\n+" + b[i]
		}
	}
	return "more or fewer lines"
}

func TestEveryManifestHasItsSet(t *testing.T) {
	files, err := filepath.Glob("manifests/*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if _, err := os.Stat(SetFile(".", strings.TrimSuffix(filepath.Base(file), ".yaml"))); err != nil {
			t.Errorf("%s: %v", file, err)
		}
	}
}

func TestTheChartsFilesAreThoseOfTheDashboardsRoom(t *testing.T) {
	copies, err := Copies("../dashboards", Chart+"/files")
	if err != nil {
		t.Fatal(err)
	}
	for copied, from := range copies {
		want, err := os.ReadFile(from)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(copied); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s is not %s (make generate): %v", copied, from, err)
		}
	}
	for _, pattern := range []string{"dashboards/*", "alerts/*"} {
		found, err := filepath.Glob(filepath.Join(Chart, "files", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range found {
			if copies[file] == "" {
				t.Errorf("%s has no original (make generate)", file)
			}
		}
	}
}

func TestManifestsAreValidInEveryVersion(t *testing.T) {
	for _, version := range Versions {
		schema, err := KubernetesSchema(".", version)
		if err != nil {
			t.Fatal(err)
		}
		t.Run(version, func(t *testing.T) {
			eachSet(t, func(t *testing.T, _, manifest string) {
				if err := schema.Check(manifest); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

func TestTheChartLints(t *testing.T) {
	eachSet(t, func(t *testing.T, set, _ string) {
		text, err := os.ReadFile(SetFile(".", set))
		if err != nil {
			t.Fatal(err)
		}
		values, err := common.ReadValues(text)
		if err != nil {
			t.Fatal(err)
		}
		result := lint.RunAll(Chart, values, "braid")
		for _, m := range result.Messages {
			if m.Severity > support.InfoSev {
				t.Error(m)
			}
		}
	})
}

// Dashboards are large, so no set's manifest has them.
func TestDashboardsAreConfigMapsForGrafanasSidecar(t *testing.T) {
	const values = "dashboards: {enabled: true, namespace: monitoring, annotations: {grafana_folder: braid}}"
	text, err := Render(Chart, []byte(values), Versions[0])
	if err != nil {
		t.Fatal(err)
	}
	schema, err := KubernetesSchema(".", Versions[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Check(text); err != nil {
		t.Error(err)
	}
	o, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	originals, err := filepath.Glob("../dashboards/grafana/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, original := range originals {
		want, err := os.ReadFile(original)
		if err != nil {
			t.Fatal(err)
		}
		name := filepath.Base(original)
		got := o.configs["braid-dashboard-"+strings.TrimSuffix(name, ".json")][name]
		if strings.TrimSpace(got) != strings.TrimSpace(string(want)) {
			t.Errorf("the ConfigMap of %s has other text", name)
		}
		if len(got) > 900<<10 {
			t.Errorf("%s has %d bytes; a ConfigMap takes one MiB", name, len(got))
		}
	}
	if labelled := strings.Count(text, "grafana_dashboard: \"1\""); labelled != len(originals) {
		t.Errorf("%d ConfigMaps have the sidecar's label, there are %d dashboards", labelled, len(originals))
	}
}

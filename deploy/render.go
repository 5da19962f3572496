package deploy

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/common"
	"helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
)

// Chart is the chart's directory, relative to this package's.
const Chart = "helm/braid"

// Sets returns the names of the value sets below dir, this package's directory.
func Sets(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "helm/values/*.yaml"))
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		files[i] = strings.TrimSuffix(filepath.Base(file), ".yaml")
	}
	return files, nil
}

// SetFile is the file of a set.
func SetFile(dir, set string) string { return filepath.Join(dir, "helm/values", set+".yaml") }

// ManifestFile is where a set's rendered manifest is kept.
func ManifestFile(dir, set string) string { return filepath.Join(dir, "manifests", set+".yaml") }

// Render renders the chart as release braid in namespace braid with the values of text, for a Kubernetes version. It is
// what "helm template braid helm/braid --namespace braid --values FILE" prints, without empty lines at objects' ends.
func Render(chartDir string, text []byte, kubernetes string) (string, error) {
	chart, err := loader.Load(chartDir)
	if err != nil {
		return "", fmt.Errorf("cannot load the chart: %w", err)
	}
	values, err := common.ReadValues(text)
	if err != nil {
		return "", fmt.Errorf("cannot read the values: %w", err)
	}
	version, err := common.ParseKubeVersion(kubernetes)
	if err != nil {
		return "", err
	}
	if !chartutil.IsCompatibleRange(chart.Metadata.KubeVersion, version.String()) {
		return "", fmt.Errorf("the chart wants Kubernetes %s, this is %s", chart.Metadata.KubeVersion, version)
	}
	capabilities := common.DefaultCapabilities.Copy()
	capabilities.KubeVersion = *version
	release := common.ReleaseOptions{Name: "braid", Namespace: "braid", Revision: 1, IsInstall: true}
	top, err := util.ToRenderValues(chart, values, release, capabilities)
	if err != nil {
		return "", err
	}
	files, err := engine.Engine{Strict: true}.RenderWithContext(context.Background(), chart, top)
	if err != nil {
		return "", err
	}
	for name := range files {
		if strings.HasSuffix(name, "NOTES.txt") {
			delete(files, name)
		}
	}
	_, manifests, err := releaseutil.SortManifests(files, capabilities.APIVersions, releaseutil.InstallOrder)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, m := range manifests {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", m.Name, strings.TrimSpace(m.Content))
	}
	return b.String(), nil
}

// Generate writes the manifests of all sets and copies dashboards and alerts, if root has them, into the chart.
func Generate(dir, root string) error {
	if err := copyFiles(filepath.Join(root, "dashboards"), filepath.Join(dir, Chart, "files")); err != nil {
		return err
	}
	sets, err := Sets(dir)
	if err != nil {
		return err
	}
	for _, set := range sets {
		text, err := os.ReadFile(SetFile(dir, set))
		if err != nil {
			return err
		}
		manifest, err := Render(filepath.Join(dir, Chart), text, Versions[len(Versions)-1])
		if err != nil {
			return fmt.Errorf("set %s: %w", set, err)
		}
		if err := os.WriteFile(ManifestFile(dir, set), []byte(manifest), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Copies pairs every file of the room dashboards that the chart brings along with its copy: grafana/*.json and alerts.yaml.
// Helm packs only what lies below the chart.
func Copies(dashboards, files string) (map[string]string, error) {
	copies := map[string]string{}
	for pattern, into := range map[string]string{"grafana/*.json": "dashboards", "alerts.yaml": "alerts"} {
		found, err := filepath.Glob(filepath.Join(dashboards, pattern))
		if err != nil {
			return nil, err
		}
		for _, from := range found {
			copies[filepath.Join(files, into, filepath.Base(from))] = from
		}
	}
	return copies, nil
}

func copyFiles(dashboards, files string) error {
	copies, err := Copies(dashboards, files)
	if err != nil {
		return err
	}
	for _, into := range []string{"dashboards", "alerts"} {
		if err := os.RemoveAll(filepath.Join(files, into)); err != nil {
			return err
		}
	}
	for to, from := range copies {
		text, err := os.ReadFile(from)
		if err != nil {
			return err
		}
		if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(to, text, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Documents splits a manifest into its objects' text.
func Documents(manifest string) []string {
	return slices.DeleteFunc(strings.Split("\n"+manifest, "\n---\n"), func(s string) bool { return strings.TrimSpace(s) == "" })
}

package deploy

import (
	"strings"
	"testing"
)

func TestTheSchemaRefusesWhatAnAPIServerWould(t *testing.T) {
	for _, broken := range []struct{ name, old, with, want string }{
		{"a field that is misspelt", "imagePullPolicy: IfNotPresent", "imagePulPolicy: IfNotPresent", "imagePulPolicy"},
		{"a field in the wrong place", "enableServiceLinks: false", "replicas: 1", "replicas"},
		{"a string for a number", "replicas: 1\n", "replicas: one\n", "/spec/replicas"},
		{"a number for a string", "name: braid-agent\n", "name: 7\n", "cannot unmarshal number"},
		{"a mapping for a list", "args: [\"agent\",\"prepare\",\"/var/lib/braid-agent\"]", "args: {a: b}", "/args"},
		{"a boolean in quotes", "automountServiceAccountToken: false", "automountServiceAccountToken: \"false\"", "/automountServiceAccountToken"},
		{"no selector", "  selector:\n    matchLabels:\n      app.kubernetes.io/name: braid\n      app.kubernetes.io/instance: braid\n      app.kubernetes.io/component: agent\n  updateStrategy", "  updateStrategy", "missing property 'selector'"},
		{"no quantity", "cpu: 100m", "cpu: 100x", "/cpu"},
		{"a kind of yesterday", "apiVersion: policy/v1", "apiVersion: policy/v1beta1", "no schema knows the kind"},
		{"a key twice", "  name: braid-agent\n", "  name: braid-agent\n  name: braid-agent\n", "already set in map"},
		{"an object without a name", "metadata:\n  name: braid-agent\n", "metadata:\n", "has no name"},
		{"a monitor's field", "path: /metrics\n      scheme", "pathh: /metrics\n      scheme", "pathh"},
		{"a monitor's scheme", "scheme: http\n", "scheme: gopher\n", "/scheme"},
	} {
		t.Run(broken.name, func(t *testing.T) {
			text := replaceOnce(t, manifest(t, "several-outputs"), broken.old, broken.with)
			for _, version := range Versions {
				schema, err := KubernetesSchema(".", version)
				if err != nil {
					t.Fatal(err)
				}
				if err := schema.Check(text); err == nil || !strings.Contains(err.Error(), broken.want) {
					t.Errorf("Kubernetes %s: %q is expected in %v", version, broken.want, err)
				}
			}
		})
	}
}

func TestValuesThatDoNotExistAreRefused(t *testing.T) {
	for _, broken := range []struct{ name, values, want string }{
		{"a key that is misspelt", "agent: {tolerations: [], tolleration: []}", "tolleration"},
		{"a section that is misspelt", "agnet: {}", "agnet"},
		{"two aggregators", "aggregator: {replicas: 2}", "replicas"},
		{"an unknown level", "agent: {logLevel: chatty}", "logLevel"},
		{"a directory that is not absolute", "agent: {dataDir: {path: data}}", "path"},
		{"a listener without a port", "agent: {config: {web: {listen: localhost}}}", "listen"},
		{"no exporter", "aggregator: {config: {exporters: []}}", "exporters"},
		{"a mount without a secret", "aggregator: {secretMounts: [{mountPath: /a}]}", "secretName"},
		{"too little time to stop", "agent: {terminationGracePeriodSeconds: 5}", "terminationGracePeriodSeconds"},
		{"agents that send nowhere", "aggregator: {enabled: false}", "agent.config.aggregator.url is missing"},
		{"no receiver for the agents", "aggregator: {config: {receivers: {http: null}}}", "aggregator.config.receivers.http is missing"},
		{"reloads behind authentication", "configReloader: {enabled: true}\nagent: {config: {web: {listen: {auth: {bearer_token_file: /t}}}}}", "it has no token"},
		{"two data directories", "agent: {config: {data_dir: /data}}", "agent.dataDir.path"},
	} {
		t.Run(broken.name, func(t *testing.T) {
			if _, err := Render(Chart, []byte(broken.values), Versions[0]); err == nil || !strings.Contains(err.Error(), broken.want) {
				t.Errorf("%q is expected in %v", broken.want, err)
			}
		})
	}
}

func TestAKubernetesThatIsTooOldIsRefused(t *testing.T) {
	if _, err := Render(Chart, nil, "v1.28.0"); err == nil || !strings.Contains(err.Error(), "1.28.0") {
		t.Errorf("the chart renders for Kubernetes 1.28: %v", err)
	}
}

package deploy

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"
)

// refusals are what Kubernetes' own Pod Security admission has against a pod at level restricted.
func refusals(t *testing.T, w workload) map[string]string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for _, result := range evaluator.EvaluatePod(restricted, &w.pod.ObjectMeta, &w.pod.Spec) {
		if !result.Allowed {
			found[result.ForbiddenReason] = result.ForbiddenDetail
		}
	}
	return found
}

func TestAggregatorsAndSidecarsAreRestrictedPods(t *testing.T) {
	eachSet(t, func(t *testing.T, set, _ string) {
		names := []string{"StatefulSet braid-aggregator"}
		if set == "sidecar" {
			names = append(names, "Deployment shop")
		}
		for _, name := range names {
			for reason, detail := range refusals(t, readSet(t, set).workload(t, name)) {
				t.Errorf("%s is no restricted pod: %s: %s", name, reason, detail)
			}
		}
	})
}

// An agent needs two things that restricted pods may not have: directories of the node, and for one of them the init
// container that is its owner.
func TestAgentsAreRestrictedButForTheNodesDirectories(t *testing.T) {
	for set, want := range map[string][]string{
		"default": {"restricted volume types", "runAsNonRoot != true", "runAsUser=0"},
		"minimal": {"restricted volume types"},
	} {
		agent := readSet(t, set).workload(t, "DaemonSet braid-agent")
		for reason, detail := range refusals(t, agent) {
			if !slices.Contains(want, reason) {
				t.Errorf("%s: %s: %s", set, reason, detail)
			}
			if strings.Contains(detail, `"agent"`) && strings.HasPrefix(reason, "runAs") {
				t.Errorf("%s: the agent itself: %s: %s", set, reason, detail)
			}
		}
	}
}

func TestEveryContainerHasNoMoreThanItNeeds(t *testing.T) {
	eachSet(t, func(t *testing.T, set, _ string) {
		for _, w := range readSet(t, set).workloads {
			for _, c := range w.containers() {
				s := c.SecurityContext
				if s == nil || s.ReadOnlyRootFilesystem == nil || !*s.ReadOnlyRootFilesystem {
					t.Errorf("%s: container %s may write to its image", w.name, c.Name)
				}
				if s.Capabilities == nil || len(s.Capabilities.Add) > 0 || !slices.Equal(s.Capabilities.Drop, []corev1.Capability{"ALL"}) {
					t.Errorf("%s: container %s has capabilities", w.name, c.Name)
				}
				if c.Resources.Limits.Memory().IsZero() || c.Resources.Requests.Cpu().IsZero() {
					t.Errorf("%s: container %s has no memory limit or no CPU request", w.name, c.Name)
				}
				readsOnly(t, w, c)
			}
		}
	})
}

// readsOnly: of the node's directories only the data directory is writable.
func readsOnly(t *testing.T, w workload, c corev1.Container) {
	t.Helper()
	for _, m := range c.VolumeMounts {
		for _, v := range w.pod.Spec.Volumes {
			if v.Name == m.Name && v.HostPath != nil && !m.ReadOnly && v.HostPath.Path != "/var/lib/braid-agent" {
				t.Errorf("%s: container %s may write to the node's %s", w.name, c.Name, v.HostPath.Path)
			}
		}
	}
}

func TestAgentsReadLogsAsGroupRootWithoutBeingRoot(t *testing.T) {
	for _, set := range []string{"default", "hardened", "minimal", "several-outputs"} {
		w := readSet(t, set).workload(t, "DaemonSet braid-agent")
		s := w.pod.Spec.Containers[0].SecurityContext
		if *s.RunAsUser != 65534 || *s.RunAsGroup != 0 || !*s.RunAsNonRoot {
			t.Errorf("%s: uid %d, gid %d", set, *s.RunAsUser, *s.RunAsGroup)
		}
		if !slices.ContainsFunc(w.pod.Spec.Tolerations, func(t corev1.Toleration) bool { return t.Operator == corev1.TolerationOpExists && t.Key == "" }) {
			t.Errorf("%s: agents do not run on every node", set)
		}
	}
}

// rights is every set's whole right in the cluster, by role.
var rights = map[string]map[string]string{
	"minimal": {},
	"sidecar": {},
	"default": {"braid-agent": `[{"verbs":["get"],"apiGroups":[""],"resources":["nodes/metrics"]}]`},
	"hardened": {
		"braid-agent": `[{"verbs":["get"],"apiGroups":[""],"resources":["nodes/metrics"]}]`,
		"braid-aggregator": `[{"verbs":["create"],"apiGroups":["authentication.k8s.io"],"resources":["tokenreviews"]},` +
			`{"verbs":["create"],"apiGroups":["authorization.k8s.io"],"resources":["subjectaccessreviews"]}]`,
		"braid-metrics-reader": `[{"verbs":["get"],"nonResourceURLs":["/api/v1/query"]}]`,
		"braid-monitoring":     `[{"verbs":["get"],"nonResourceURLs":["/metrics","/metrics/spans"]}]`,
	},
	"several-outputs": {"braid-agent": `[{"verbs":["get"],"apiGroups":[""],"resources":["nodes/metrics"]},` +
		`{"verbs":["get","list","watch"],"apiGroups":[""],"resources":["nodes","pods"]}]`},
}

func TestRightsAreAsFewAsTheConfigurationNeeds(t *testing.T) {
	eachSet(t, func(t *testing.T, set, _ string) {
		o := readSet(t, set)
		if len(o.roles) != len(rights[set]) {
			t.Errorf("%d roles, %d are expected", len(o.roles), len(rights[set]))
		}
		for name, rules := range o.roles {
			if text, err := json.Marshal(rules); err != nil || string(text) != rights[set][name] {
				t.Errorf("role %s has %s, %s is expected (%v)", name, text, rights[set][name], err)
			}
		}
		for _, w := range o.workloads {
			role := strings.TrimPrefix(strings.TrimPrefix(w.name, "DaemonSet "), "StatefulSet ")
			if token := w.pod.Spec.AutomountServiceAccountToken; token == nil || *token != (len(o.roles[role]) > 0) {
				t.Errorf("%s: a token is mounted where there are rights, and only there: %v", w.name, token)
			}
		}
	})
}

func TestTheAggregatorMayAskForReviewsWhereItsConfigurationDoes(t *testing.T) {
	for values, asks := range map[string]bool{
		"{}": false,
		"aggregator: {config: {web: {access: {kubernetes: true}}}}":                                                  true,
		"aggregator: {config: {web: {access: {kubernetes: false}}}}":                                                 false,
		"aggregator: {config: {web: {listen: {auth: {kubernetes: {}}}}}}":                                            true,
		"aggregator: {config: {receivers: {http: {auth: {kubernetes: {audiences: [a]}}}}}}":                          true,
		"aggregator: {config: {receivers: {http: \"127.0.0.1:1\", grpc: {auth: {kubernetes: {}}}}, web: null}}":      true,
		"aggregator: {config: {receivers: {http: {auth: {bearer_token_file: /t}}}, web: {listen: \"127.0.0.1:1\"}}}": false,
	} {
		text, err := Render(Chart, []byte(values), Versions[0])
		if err != nil {
			t.Fatal(err)
		}
		o, err := read(text)
		if err != nil {
			t.Fatal(err)
		}
		if may := len(o.roles["braid-aggregator"]) > 0; may != asks {
			t.Errorf("%s: the aggregator may ask: %t", values, may)
		}
	}
}

// What the hardened set says in the clear, or lets in without a word, is nothing.
func TestHardenedListenersHaveTLSAndAuthentication(t *testing.T) {
	o := readSet(t, "hardened")
	for name, text := range map[string]string{"agent": o.configs["braid-agent"]["agent.yaml"], "aggregator": o.configs["braid-aggregator"]["aggregator.yaml"]} {
		var config struct {
			Receivers, Web map[string]any
			Aggregator     struct{ URL string }
		}
		if err := yaml.Unmarshal([]byte(text), &config); err != nil {
			t.Fatal(err)
		}
		listeners := slices.Collect(maps.Values(config.Receivers))
		for _, l := range append(listeners, config.Web["listen"]) {
			l, ok := l.(map[string]any)
			if !ok || l["insecure"] != false || l["tls"] == nil || l["auth"] == nil {
				t.Errorf("%s has the listener %v", name, l)
			}
		}
		if url := config.Aggregator.URL; name == "agent" && url != "https://braid-aggregator.braid.svc:4318" {
			t.Errorf("agents send to %s", url)
		}
	}
}

// In a NetworkPolicy an empty "from" is everyone. In the values an empty list is nobody.
func TestAnEmptyListOfPeersLetsNobodyIn(t *testing.T) {
	text, err := Render(Chart, []byte("networkPolicy: {agent: {receiversFrom: []}, aggregator: {webFrom: []}, metricsFrom: []}"), Versions[0])
	if err != nil {
		t.Fatal(err)
	}
	o, err := read(text)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range o.policies {
		for _, rule := range p.Spec.Ingress {
			if len(rule.From) == 0 || p.Name == "braid-agent" || rule.Ports[0].Port.IntVal == 9464 {
				t.Errorf("%s lets %v to %v", p.Name, rule.From, rule.Ports)
			}
		}
	}
}

package deploy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// misfits says what in a manifest names something that the manifest does not have: what no schema sees.
func misfits(o *objects) []string {
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	seen := map[string]bool{}
	for _, name := range o.names {
		if seen[name] {
			say("%s is there twice", name)
		}
		seen[name] = true
	}
	for _, w := range o.workloads {
		o.podMisfits(w, say)
	}
	for _, s := range o.services {
		o.serviceMisfits(s, say)
	}
	for _, b := range o.budgets {
		if len(o.selected(b.Spec.Selector)) == 0 {
			say("PodDisruptionBudget %s selects nothing", b.Name)
		}
	}
	for _, b := range o.bindings {
		if _, ok := o.roles[b.RoleRef.Name]; !ok {
			say("ClusterRoleBinding %s names the role %s", b.Name, b.RoleRef.Name)
		}
		for _, subject := range b.Subjects {
			if !o.accounts[subject.Name] || subject.Namespace != "braid" {
				say("ClusterRoleBinding %s names the account %s/%s", b.Name, subject.Namespace, subject.Name)
			}
		}
	}
	o.policyMisfits(say)
	o.monitorMisfits(say)
	return found
}

// selected returns the workloads whose pods a selector takes.
func (o *objects) selected(s *metav1.LabelSelector) []workload {
	selector, err := metav1.LabelSelectorAsSelector(s)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(o.workloads), func(w workload) bool { return !selector.Matches(labels.Set(w.pod.Labels)) })
}

func (o *objects) podMisfits(w workload, say func(string, ...any)) {
	if !slices.ContainsFunc(o.selected(w.selector), func(other workload) bool { return other.name == w.name }) {
		say("%s does not select its own pods", w.name)
	}
	if n := len(o.selected(w.selector)); n > 1 {
		say("%s selects the pods of %d workloads", w.name, n)
	}
	if account := w.pod.Spec.ServiceAccountName; account != "" && !o.accounts[account] {
		say("%s names the account %s", w.name, account)
	}
	if w.service != "" && !slices.ContainsFunc(o.services, func(s corev1.Service) bool { return s.Name == w.service && s.Spec.ClusterIP == "None" }) {
		say("%s names the service %s", w.name, w.service)
	}
	volumes := slices.Clone(w.claims)
	for _, v := range w.pod.Spec.Volumes {
		volumes = append(volumes, v.Name)
		if v.ConfigMap != nil && o.configs[v.ConfigMap.Name] == nil {
			say("%s mounts the ConfigMap %s", w.name, v.ConfigMap.Name)
		}
	}
	used := map[string]bool{}
	for _, c := range w.containers() {
		for _, m := range c.VolumeMounts {
			used[m.Name] = true
			if !slices.Contains(volumes, m.Name) {
				say("%s: container %s mounts the volume %s", w.name, c.Name, m.Name)
			}
		}
		for _, probe := range []*corev1.Probe{c.StartupProbe, c.LivenessProbe, c.ReadinessProbe} {
			if probe != nil && probe.HTTPGet.Port.Type == intstr.String && portOf(w, probe.HTTPGet.Port.StrVal) == 0 {
				say("%s: container %s probes the port %s", w.name, c.Name, probe.HTTPGet.Port.StrVal)
			}
		}
		if file := configFile(c); file != "" {
			if _, ok := o.configText(w, c, file); !ok {
				say("%s: container %s reads %s, which no ConfigMap brings", w.name, c.Name, file)
			}
		}
	}
	for _, name := range volumes {
		if !used[name] {
			say("%s has the volume %s for nothing", w.name, name)
		}
	}
}

func portOf(w workload, name string) int32 {
	for _, c := range w.containers() {
		for _, p := range c.Ports {
			if p.Name == name {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// configFile is what a container's --config.file says.
func configFile(c corev1.Container) string {
	for _, arg := range c.Args {
		if file, ok := strings.CutPrefix(arg, "--config.file="); ok {
			return file
		}
	}
	return ""
}

// configText finds the ConfigMap's text that a container sees under file.
func (o *objects) configText(w workload, c corev1.Container, file string) (string, bool) {
	for _, m := range c.VolumeMounts {
		key, below := strings.CutPrefix(file, m.MountPath+"/")
		if !below {
			continue
		}
		for _, v := range w.pod.Spec.Volumes {
			if v.Name == m.Name && v.ConfigMap != nil {
				text, ok := o.configs[v.ConfigMap.Name][key]
				return text, ok
			}
		}
	}
	return "", false
}

func (o *objects) serviceMisfits(s corev1.Service, say func(string, ...any)) {
	pods := o.selected(&metav1.LabelSelector{MatchLabels: s.Spec.Selector})
	if len(pods) != 1 {
		say("Service %s selects the pods of %d workloads", s.Name, len(pods))
	}
	for _, w := range pods {
		for _, p := range s.Spec.Ports {
			if port := portOf(w, p.TargetPort.StrVal); port == 0 || port != p.Port {
				say("Service %s leads its port %s (%d) to %s (%d) of %s", s.Name, p.Name, p.Port, p.TargetPort.StrVal, port, w.name)
			}
		}
	}
}

func (o *objects) policyMisfits(say func(string, ...any)) {
	for _, p := range o.policies {
		pods := o.selected(&p.Spec.PodSelector)
		if len(pods) != 1 {
			say("NetworkPolicy %s selects the pods of %d workloads", p.Name, len(pods))
			continue
		}
		open := map[int32]bool{}
		for _, rule := range p.Spec.Ingress {
			if len(rule.From) == 0 || len(rule.Ports) == 0 {
				say("NetworkPolicy %s has a rule for everyone or for every port", p.Name)
			}
			for _, port := range rule.Ports {
				open[port.Port.IntVal] = true
			}
		}
		for _, c := range pods[0].pod.Spec.Containers {
			for _, port := range c.Ports {
				if !open[port.ContainerPort] {
					say("NetworkPolicy %s lets nobody to the port %s", p.Name, port.Name)
				}
				delete(open, port.ContainerPort)
			}
		}
		for port := range open {
			say("NetworkPolicy %s opens the port %d, where nothing listens", p.Name, port)
		}
	}
}

func (o *objects) monitorMisfits(say func(string, ...any)) {
	for _, m := range o.monitors {
		selector, err := metav1.LabelSelectorAsSelector(&m.Spec.Selector)
		if err != nil {
			say("ServiceMonitor %s: %v", m.Metadata.Name, err)
			continue
		}
		matched := 0
		for _, s := range o.services {
			if !selector.Matches(labels.Set(s.Labels)) {
				continue
			}
			matched++
			for _, e := range m.Spec.Endpoints {
				if !slices.ContainsFunc(s.Spec.Ports, func(p corev1.ServicePort) bool { return p.Name == e.Port && *p.AppProtocol == e.Scheme }) {
					say("ServiceMonitor %s asks the port %s (%s) of %s", m.Metadata.Name, e.Port, e.Scheme, s.Name)
				}
			}
		}
		if matched != 1 {
			say("ServiceMonitor %s selects %d services", m.Metadata.Name, matched)
		}
	}
}

func TestObjectsFitTogether(t *testing.T) {
	eachSet(t, func(t *testing.T, set, _ string) {
		for _, misfit := range misfits(readSet(t, set)) {
			t.Error(misfit)
		}
	})
}

func TestWhatDoesNotFitIsSeen(t *testing.T) {
	for _, broken := range []struct{ name, old, with, want string }{
		{"selector", "    matchLabels:\n      app.kubernetes.io/name: braid\n      app.kubernetes.io/instance: braid\n      app.kubernetes.io/component: agent\n  updateStrategy", "    matchLabels: {app: other}\n  updateStrategy", "DaemonSet braid-agent does not select its own pods"},
		{"account", "serviceAccountName: braid-aggregator", "serviceAccountName: braid", "names the account braid"},
		{"headless service", "serviceName: braid-aggregator-headless", "serviceName: braid-aggregator", "names the service braid-aggregator"},
		{"config", "--config.file=/etc/braid/agent.yaml", "--config.file=/etc/braid/agents.yaml", "which no ConfigMap brings"},
		{"volume", "- name: logs-0\n              mountPath", "- name: logs-1\n              mountPath", "mounts the volume logs-1"},
		{"probe", "path: /-/healthy\n              port: http-web", "path: /-/healthy\n              port: web", "probes the port web"},
		{"target port", "targetPort: otlp-grpc", "targetPort: grpc", "leads its port otlp-grpc"},
		{"policy port", "- port: 4318\n", "- port: 4316\n", "opens the port 4316"},
		{"policy peer", "    - from:\n        - namespaceSelector: {}\n      ports", "    - from: []\n      ports", "has a rule for everyone"},
		{"role", "kind: ClusterRole\n  name: braid-agent", "kind: ClusterRole\n  name: braid", "names the role braid"},
		{"monitor", "port: http-web\n      path: /metrics", "port: http\n      path: /metrics", "asks the port http"},
		{"budget", "maxUnavailable: 1\n  selector:\n    matchLabels:", "maxUnavailable: 1\n  selector:\n    matchLabels:\n      a: b", "selects nothing"},
	} {
		t.Run(broken.name, func(t *testing.T) {
			o, err := read(replaceOnce(t, manifest(t, "several-outputs"), broken.old, broken.with))
			if err != nil {
				t.Fatal(err)
			}
			if found := strings.Join(misfits(o), "\n"); !strings.Contains(found, broken.want) {
				t.Errorf("nothing says %q: %s", broken.want, found)
			}
		})
	}
}

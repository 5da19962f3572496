package deploy

import (
	"fmt"
	"os"
	"strings"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// A workload is what makes pods.
type workload struct {
	name     string // Kind NAME
	selector *metav1.LabelSelector
	pod      corev1.PodTemplateSpec
	claims   []string
	service  string
}

type serviceMonitor struct {
	Metadata metav1.ObjectMeta
	Spec     struct {
		Selector  metav1.LabelSelector
		Endpoints []struct{ Port, Scheme string }
	}
}

// objects is a manifest by kind.
type objects struct {
	workloads []workload
	services  []corev1.Service
	configs   map[string]map[string]string
	accounts  map[string]bool
	policies  []networkingv1.NetworkPolicy
	budgets   []policyv1.PodDisruptionBudget
	roles     map[string][]rbacv1.PolicyRule
	bindings  []rbacv1.ClusterRoleBinding
	monitors  []serviceMonitor
	names     []string // Kind NAME of every object
}

func read(manifest string) (*objects, error) {
	o := &objects{configs: map[string]map[string]string{}, accounts: map[string]bool{}, roles: map[string][]rbacv1.PolicyRule{}}
	for _, document := range Documents(manifest) {
		if err := o.add([]byte(document)); err != nil {
			return nil, err
		}
	}
	return o, nil
}

func (o *objects) add(text []byte) error {
	var head struct {
		Kind     string
		Metadata metav1.ObjectMeta
	}
	if err := yaml.Unmarshal(text, &head); err != nil || head.Kind == "" {
		return err
	}
	name := head.Kind + " " + head.Metadata.Name
	o.names = append(o.names, name)
	into := func(object any) error { return yaml.Unmarshal(text, object) }
	var err error
	switch head.Kind {
	case "DaemonSet":
		var d appsv1.DaemonSet
		err = into(&d)
		o.workloads = append(o.workloads, workload{name: name, selector: d.Spec.Selector, pod: d.Spec.Template})
	case "Deployment":
		var d appsv1.Deployment
		err = into(&d)
		o.workloads = append(o.workloads, workload{name: name, selector: d.Spec.Selector, pod: d.Spec.Template})
	case "StatefulSet":
		var s appsv1.StatefulSet
		err = into(&s)
		w := workload{name: name, selector: s.Spec.Selector, pod: s.Spec.Template, service: s.Spec.ServiceName}
		for _, claim := range s.Spec.VolumeClaimTemplates {
			w.claims = append(w.claims, claim.Name)
		}
		o.workloads = append(o.workloads, w)
	case "Service":
		err = addTo(&o.services, text)
	case "NetworkPolicy":
		err = addTo(&o.policies, text)
	case "PodDisruptionBudget":
		err = addTo(&o.budgets, text)
	case "ClusterRoleBinding":
		err = addTo(&o.bindings, text)
	case "ServiceMonitor":
		err = addTo(&o.monitors, text)
	case "ConfigMap":
		var c corev1.ConfigMap
		err = into(&c)
		o.configs[c.Name] = c.Data
	case "ServiceAccount":
		o.accounts[head.Metadata.Name] = true
	case "ClusterRole":
		var r rbacv1.ClusterRole
		err = into(&r)
		o.roles[r.Name] = r.Rules
	case "PrometheusRule", "Secret":
	default:
		err = fmt.Errorf("kind %s is new to this test", head.Kind)
	}
	return err
}

func addTo[T any](list *[]T, text []byte) error {
	var object T
	err := yaml.Unmarshal(text, &object)
	*list = append(*list, object)
	return err
}

func (o *objects) workload(t *testing.T, name string) workload {
	t.Helper()
	for _, w := range o.workloads {
		if w.name == name {
			return w
		}
	}
	t.Fatalf("there is no %s", name)
	return workload{}
}

// containers are all of a pod, init containers first.
func (w workload) containers() []corev1.Container {
	return append(append([]corev1.Container{}, w.pod.Spec.InitContainers...), w.pod.Spec.Containers...)
}

func manifest(t *testing.T, set string) string {
	t.Helper()
	text, err := os.ReadFile(ManifestFile(".", set))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func eachSet(t *testing.T, do func(t *testing.T, set, manifest string)) {
	t.Helper()
	sets, err := Sets(".")
	if err != nil || len(sets) != 5 {
		t.Fatalf("five value sets are expected: %v, %v", sets, err)
	}
	for _, set := range sets {
		t.Run(set, func(t *testing.T) { do(t, set, manifest(t, set)) })
	}
}

func readSet(t *testing.T, set string) *objects {
	t.Helper()
	o, err := read(manifest(t, set))
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// replaceOnce fails the test if old is not there: a mutation that changes nothing shows nothing.
func replaceOnce(t *testing.T, text, old, with string) string {
	t.Helper()
	if !strings.Contains(text, old) {
		t.Fatalf("%q is not in the text", old)
	}
	return strings.Replace(text, old, with, 1)
}

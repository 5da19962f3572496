package kube

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Pods is a list of pods at one moment, in the order of the list.
type Pods struct{ items []*Pod }

// ReadFile reads the file at path as [Read] does; "-" is standard input.
func ReadFile(path string) (*Pods, error) {
	if path == "-" {
		return Read(os.Stdin)
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read pods: %w", err)
	}
	defer f.Close()
	pods, err := Read(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return pods, nil
}

// Read reads what `kubectl get pods -o json` prints: a List, a PodList or one Pod. Items of other kinds are passed by,
// so that `kubectl get all -o json` will do.
func Read(r io.Reader) (*Pods, error) {
	var doc struct {
		Kind  string            `json:"kind"`
		Items []json.RawMessage `json:"items"`
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("cannot read pods: %w", err)
	}
	if err := json.Unmarshal(data, &doc); err != nil {
		return nil, fmt.Errorf("cannot read pods: it is no JSON of kubectl get pods -o json: %w", err)
	}
	switch doc.Kind {
	case "Pod":
		doc.Items = []json.RawMessage{data}
	case "List", "PodList":
	default:
		return nil, fmt.Errorf("cannot read pods: kind is %q, not Pod, PodList or List", doc.Kind)
	}
	pods := &Pods{}
	for i, item := range doc.Items {
		if err := pods.add(item, doc.Kind == "PodList"); err != nil {
			return nil, fmt.Errorf("cannot read pods: item %d: %w", i, err)
		}
	}
	return pods, nil
}

// add appends one item. Items of a typed list (PodList) need not repeat their kind.
func (p *Pods) add(item json.RawMessage, typed bool) error {
	var meta struct {
		Kind string `json:"kind"`
	}
	if err := json.Unmarshal(item, &meta); err != nil {
		return err
	}
	if meta.Kind != "Pod" && (meta.Kind != "" || !typed) {
		return nil
	}
	var pod corev1.Pod
	if err := json.Unmarshal(item, &pod); err != nil {
		return err
	}
	if pod.Name == "" {
		return fmt.Errorf("the pod has no name")
	}
	if pod.Namespace == "" {
		pod.Namespace = "default"
	}
	p.items = append(p.items, newPod(&pod))
	return nil
}

// In returns the pods of a namespace, or all if it is empty.
func (p *Pods) In(namespace string) []*Pod {
	var in []*Pod
	for _, pod := range p.items {
		if namespace == "" || pod.Namespace == namespace {
			in = append(in, pod)
		}
	}
	return in
}

// Select returns the pods of a namespace (empty: all) that a label selector matches, in kubectl's -l syntax
// (equality and set based, k8s.io/apimachinery/pkg/labels).
func (p *Pods) Select(namespace, selector string) ([]*Pod, error) {
	matcher, err := labels.Parse(selector)
	if err != nil {
		return nil, BadRequest("Unable to find %q that match label selector %q, field selector %q: %v",
			"/v1, Resource=pods", selector, "", err)
	}
	var chosen []*Pod
	for _, pod := range p.In(namespace) {
		if matcher.Matches(labels.Set(pod.Labels)) {
			chosen = append(chosen, pod)
		}
	}
	return chosen, nil
}

package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/braidhq/braid/kube"
	"github.com/braidhq/braid/logs/tree"
)

// A target is one container whose lines are wanted.
type target struct {
	namespace, pod, podUID, container string
	state                             *kube.Container // nil without --pods
}

// An emptyError says that there is nothing to print; kubectl calls that a success.
type emptyError struct{ text string }

func (e emptyError) Error() string { return e.text }

// selectFromPods chooses containers as kubectl does, with a list of pods for the API server. What kubectl says about
// its choice goes to notices.
func (o *logsOptions) selectFromPods(pods *kube.Pods, notices io.Writer) ([]target, error) {
	chosen, err := o.selectPods(pods, notices)
	if err != nil {
		return nil, err
	}
	if len(chosen) == 0 {
		return nil, o.nothing("resources")
	}
	var targets []target
	for _, pod := range chosen {
		containers, err := o.containersOf(pod, notices)
		if err != nil {
			return nil, err
		}
		for _, c := range containers {
			targets = append(targets, target{pod.Namespace, pod.Name, pod.DirectoryUID, c.Name, c})
		}
	}
	return targets, nil
}

func (o *logsOptions) nothing(what string) error {
	if o.namespace == "" {
		return emptyError{fmt.Sprintf("No %s found", what)}
	}
	return emptyError{fmt.Sprintf("No %s found in %s namespace.", what, o.namespace)}
}

func (o *logsOptions) selectPods(pods *kube.Pods, notices io.Writer) ([]*kube.Pod, error) {
	switch {
	case o.selector != "":
		return pods.Select(o.namespace, o.selector)
	case o.arg == "":
		return pods.In(o.namespace), nil
	}
	found, err := pods.Resolve(o.namespace, o.arg)
	if err != nil || o.allPods || isPodArg(o.arg) {
		return found, err
	}
	if len(found) > 1 {
		fmt.Fprintf(notices, "Found %d pods, using pod/%s\n", len(found), found[0].Name)
	}
	return found[:1], nil
}

func (o *logsOptions) containersOf(pod *kube.Pod, notices io.Writer) ([]*kube.Container, error) {
	switch {
	case o.allContainers:
		all := make([]*kube.Container, len(pod.Containers))
		for i := range pod.Containers {
			all[i] = &pod.Containers[i]
		}
		return all, nil
	case o.container != "":
		c, err := pod.Container(o.container)
		if err != nil && o.lenient {
			return nil, nil
		}
		return []*kube.Container{c}, err
	}
	c, notice, err := pod.DefaultContainer()
	if notice != "" {
		fmt.Fprintln(notices, notice)
	}
	return []*kube.Container{c}, err
}

// isPodArg reports whether POD | TYPE/NAME names a pod.
func isPodArg(arg string) bool {
	typ, _, typed := strings.Cut(arg, "/")
	return !typed || typ == "pod" || typ == "pods" || typ == "po"
}

// podArg returns the name of the pod that the argument means, where nothing else can be looked up.
func (o *logsOptions) podArg() (string, error) {
	switch {
	case o.selector != "":
		return "", errors.New("-l needs the labels of the pods: give them with --pods FILE (kubectl get pods -o json)")
	case !isPodArg(o.arg):
		return "", fmt.Errorf("%s needs the owners of the pods: give them with --pods FILE (kubectl get pods -o json)", o.arg)
	}
	if _, name, typed := strings.Cut(o.arg, "/"); typed {
		return name, nil
	}
	return o.arg, nil
}

// selectFromTree chooses containers by what the directories are called: all there is to know without --pods.
// A pod that was made again under its old name leaves two directories; its name means the one written to last.
func (o *logsOptions) selectFromTree(containers []tree.Container) ([]target, error) {
	name, err := o.podArg()
	if err != nil {
		return nil, err
	}
	pods := podsOf(containers, func(c *tree.Container) bool {
		return (o.namespace == "" || c.Namespace == o.namespace) && (name == "" || c.Pod == name)
	})
	if len(pods) == 0 && name != "" {
		return nil, kube.NotFound("pods", name, o.namespace)
	}
	if len(pods) == 0 {
		return nil, o.nothing("pods")
	}
	if name != "" {
		pods = newestOfEach(pods)
	}
	var targets []target
	for _, pod := range pods {
		chosen, err := o.treeContainersOf(pod)
		if err != nil {
			return nil, err
		}
		targets = append(targets, chosen...)
	}
	return targets, nil
}

func (o *logsOptions) treeContainersOf(pod []tree.Container) ([]target, error) {
	var all []target
	var names []string
	for i := range pod {
		c := &pod[i]
		t := target{namespace: c.Namespace, pod: c.Pod, podUID: c.PodUID, container: c.Name}
		if c.Name == o.container {
			return []target{t}, nil
		}
		all, names = append(all, t), append(names, c.Name)
	}
	switch {
	case o.container != "" && o.lenient:
		return nil, nil
	case o.container != "":
		return nil, fmt.Errorf("container %s is not valid for pod %s", o.container, pod[0].Pod)
	case len(all) > 1 && !o.allContainers:
		return nil, fmt.Errorf("a container name must be specified for pod %s, choose one of: [%s] "+
			"(-c CONTAINER, --all-containers, or --pods FILE for the default one)", pod[0].Pod, strings.Join(names, " "))
	}
	return all, nil
}

// podsOf groups the containers of each pod directory; they are sorted by pod.
func podsOf(containers []tree.Container, want func(*tree.Container) bool) [][]tree.Container {
	var pods [][]tree.Container
	for i := range containers {
		c := &containers[i]
		if !want(c) {
			continue
		}
		if n := len(pods); n > 0 && samePod(&pods[n-1][0], c) {
			pods[n-1] = append(pods[n-1], *c)
		} else {
			pods = append(pods, []tree.Container{*c})
		}
	}
	return pods
}

func samePod(a, b *tree.Container) bool {
	return a.Namespace == b.Namespace && a.Pod == b.Pod && a.PodUID == b.PodUID
}

// newestOfEach keeps, of pods with the same namespace and name, the one that was written to last.
func newestOfEach(pods [][]tree.Container) [][]tree.Container {
	var kept [][]tree.Container
	for _, pod := range pods {
		n := len(kept)
		switch {
		case n == 0 || kept[n-1][0].Namespace != pod[0].Namespace || kept[n-1][0].Pod != pod[0].Pod:
			kept = append(kept, pod)
		case tree.LastWrite(pod).After(tree.LastWrite(kept[n-1])):
			kept[n-1] = pod
		}
	}
	return kept
}

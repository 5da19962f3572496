package kube

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
)

// The annotation that names the container kubectl means when none is given, and the one that replaces the uid in the
// log directory of a static pod.
const (
	defaultContainerAnnotation = "kubectl.kubernetes.io/default-container"
	configHashAnnotation       = "kubernetes.io/config.hash"
)

// An Owner is one owner reference.
type Owner struct{ Kind, Name string }

// A Pod is what the log path needs to know of a pod. Immutable.
type Pod struct {
	Namespace, Name, UID, Node string
	DirectoryUID               string // the uid in /var/log/pods/<namespace>_<name>_<uid>
	Labels                     map[string]string
	Owners                     []Owner
	Containers                 []Container // init containers, containers, ephemeral containers: kubectl's order of printing

	defaultContainer string
	order            order
}

// order holds what kubectl ranks the pods of a workload by.
type order struct {
	assigned   bool
	phase      corev1.PodPhase
	ready      bool
	readySince time.Time
	restarts   int
	created    time.Time
}

func newPod(p *corev1.Pod) *Pod {
	pod := &Pod{
		Namespace: p.Namespace, Name: p.Name, UID: string(p.UID), DirectoryUID: string(p.UID), Node: p.Spec.NodeName,
		Labels: p.Labels, defaultContainer: p.Annotations[defaultContainerAnnotation],
	}
	if hash := p.Annotations[configHashAnnotation]; hash != "" {
		pod.DirectoryUID = hash
	}
	for _, o := range p.OwnerReferences {
		pod.Owners = append(pod.Owners, Owner{Kind: o.Kind, Name: o.Name})
	}
	status := make(map[string]*corev1.ContainerStatus)
	for _, list := range [][]corev1.ContainerStatus{
		p.Status.EphemeralContainerStatuses, p.Status.InitContainerStatuses, p.Status.ContainerStatuses,
	} {
		for i := range list {
			status[list[i].Name] = &list[i]
		}
	}
	for _, c := range p.Spec.InitContainers {
		pod.Containers = append(pod.Containers, newContainer(pod, c.Name, Init, status[c.Name]))
	}
	for _, c := range p.Spec.Containers {
		pod.Containers = append(pod.Containers, newContainer(pod, c.Name, Regular, status[c.Name]))
	}
	for _, c := range p.Spec.EphemeralContainers {
		pod.Containers = append(pod.Containers, newContainer(pod, c.Name, Ephemeral, status[c.Name]))
	}
	pod.order = newOrder(p)
	return pod
}

// Container returns the container called name; the error is the API server's.
func (p *Pod) Container(name string) (*Container, error) {
	for i := range p.Containers {
		if p.Containers[i].Name == name {
			return &p.Containers[i], nil
		}
	}
	return nil, fmt.Errorf("container %s is not valid for pod %s", name, p.Name)
}

// DefaultContainer returns the container kubectl means when none is named. notice is what kubectl prints on standard
// error when it had to guess, without the newline; empty if there was nothing to guess.
func (p *Pod) DefaultContainer() (c *Container, notice string, err error) {
	if p.defaultContainer != "" {
		if c, err := p.Container(p.defaultContainer); err == nil {
			return c, "", nil
		}
	}
	var others []string
	for _, kind := range []ContainerKind{Regular, Ephemeral, Init} {
		for i := range p.Containers {
			if p.Containers[i].Kind != kind {
				continue
			}
			if c == nil && kind == Regular {
				c = &p.Containers[i]
			}
			others = append(others, p.Containers[i].Name+kind.suffix())
		}
	}
	if c == nil {
		return nil, "", fmt.Errorf("pod %s/%s does not have any containers", p.Namespace, p.Name)
	}
	if len(others) > 1 {
		notice = fmt.Sprintf("Defaulted container %q out of: %s", c.Name, strings.Join(others, ", "))
	}
	return c, notice, nil
}

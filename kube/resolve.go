package kube

import (
	"fmt"
	"slices"
	"strings"
)

// A workload is a kind of object that owns pods.
type workload struct {
	kind     string // as owner references spell it
	resource string // as the API server spells it in a 404
}

// workloadOf maps a TYPE of kubectl's TYPE/NAME, in its plural, singular and short forms, to what it names.
func workloadOf(typ string) (workload, bool) {
	switch strings.ToLower(typ) {
	case "deployment", "deployments", "deploy", "deployment.apps", "deployments.apps":
		return workload{"Deployment", "deployments.apps"}, true
	case "replicaset", "replicasets", "rs", "replicaset.apps", "replicasets.apps":
		return workload{"ReplicaSet", "replicasets.apps"}, true
	case "statefulset", "statefulsets", "sts", "statefulset.apps", "statefulsets.apps":
		return workload{"StatefulSet", "statefulsets.apps"}, true
	case "daemonset", "daemonsets", "ds", "daemonset.apps", "daemonsets.apps":
		return workload{"DaemonSet", "daemonsets.apps"}, true
	case "job", "jobs", "job.batch", "jobs.batch":
		return workload{"Job", "jobs.batch"}, true
	case "replicationcontroller", "replicationcontrollers", "rc":
		return workload{"ReplicationController", "replicationcontrollers"}, true
	}
	return workload{}, false
}

// Resolve returns the pods that POD or TYPE/NAME names in a namespace (empty: in all of them), the one that kubectl
// logs would read first. One name may match a pod in several namespaces.
// A workload is known only by the pods it owns: one without pods is "not found".
func (p *Pods) Resolve(namespace, arg string) ([]*Pod, error) {
	typ, name, typed := strings.Cut(arg, "/")
	if !typed {
		typ, name = "pods", arg
	}
	if name == "" || strings.Contains(name, "/") {
		return nil, fmt.Errorf("arguments in resource/name form must have a single resource and name")
	}
	resource := "pods"
	owned := func(pod *Pod) bool { return pod.Name == name }
	switch strings.ToLower(typ) {
	case "pod", "pods", "po":
	default:
		w, ok := workloadOf(typ)
		if !ok {
			return nil, fmt.Errorf("the server doesn't have a resource type %q that owns pods "+
				"(known: pod, deployment, replicaset, statefulset, daemonset, job, replicationcontroller)", typ)
		}
		resource = w.resource
		owned = func(pod *Pod) bool { return pod.ownedBy(w.kind, name) }
	}
	var found []*Pod
	for _, pod := range p.In(namespace) {
		if owned(pod) {
			found = append(found, pod)
		}
	}
	if len(found) == 0 {
		return nil, NotFound(resource, name, namespace)
	}
	slices.SortStableFunc(found, byLogging)
	return found, nil
}

// ownedBy reports whether the pod belongs to the workload. A Deployment is not among a pod's owners: its ReplicaSet
// is, which the controller names <deployment>-<pod-template-hash>.
func (p *Pod) ownedBy(kind, name string) bool {
	owner := Owner{Kind: kind, Name: name}
	if kind == "Deployment" {
		hash := p.Labels["pod-template-hash"]
		if hash == "" {
			return false
		}
		owner = Owner{Kind: "ReplicaSet", Name: name + "-" + hash}
	}
	return slices.Contains(p.Owners, owner)
}

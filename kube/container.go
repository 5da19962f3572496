package kube

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"
)

// ContainerKind says which of a pod's lists a container stands in.
type ContainerKind uint8

// The kinds of container.
const (
	Regular ContainerKind = iota
	Init
	Ephemeral
)

// suffix is how kubectl marks the kind in a list of names.
func (k ContainerKind) suffix() string {
	switch k {
	case Init:
		return " (init)"
	case Ephemeral:
		return " (ephem)"
	}
	return ""
}

// A Container is one container of a pod, with its state when the list was made. Immutable.
type Container struct {
	Pod    *Pod
	Name   string
	Kind   ContainerKind
	status *corev1.ContainerStatus // nil: the kubelet has not reported one
}

func newContainer(pod *Pod, name string, kind ContainerKind, status *corev1.ContainerStatus) Container {
	return Container{Pod: pod, Name: name, Kind: kind, status: status}
}

// ID is the container's id at its runtime, without the runtime's name; empty if it never ran.
func (c *Container) ID() string {
	if c.status == nil {
		return ""
	}
	for i := len(c.status.ContainerID) - 1; i >= 0; i-- {
		if c.status.ContainerID[i] == '/' {
			return c.status.ContainerID[i+1:]
		}
	}
	return c.status.ContainerID
}

// Attempt returns the restart number of the log that `kubectl logs` prints, or with previous of the one that -p prints.
// The choice and the texts of its errors are the kubelet's (pkg/kubelet, validateContainerLogStatus): in
// CrashLoopBackOff both are the last attempt, since the next one does not exist yet.
func (c *Container) Attempt(previous bool) (int, error) {
	if c.status == nil {
		return 0, BadRequest("container %q in pod %q is not available", c.Name, c.Pod.Name)
	}
	state, last := c.status.State, c.status.LastTerminationState.Terminated
	switch {
	case previous:
		if last == nil || last.ContainerID == "" {
			return 0, BadRequest("previous terminated container %q in pod %q not found", c.Name, c.Pod.Name)
		}
		return c.attemptOf(last.ContainerID), nil
	case state.Running != nil:
		return c.restarts(), nil
	case state.Terminated != nil && state.Terminated.ContainerID != "":
		return c.attemptOf(state.Terminated.ContainerID), nil
	case last != nil && last.ContainerID != "":
		return c.attemptOf(last.ContainerID), nil
	case state.Terminated != nil || last != nil:
		return 0, BadRequest("container %q in pod %q is terminated", c.Name, c.Pod.Name)
	case state.Waiting != nil:
		return 0, BadRequest("container %q in pod %q is waiting to start: %s", c.Name, c.Pod.Name, waiting(state.Waiting.Reason))
	}
	return 0, BadRequest("container %q in pod %q is waiting to start - no logs yet", c.Name, c.Pod.Name)
}

// waiting rewords the two common reasons as the kubelet does.
func waiting(reason string) string {
	switch reason {
	case "ErrImagePull":
		return "image can't be pulled"
	case "ImagePullBackOff":
		return "trying and failing to pull image"
	}
	return reason
}

func (c *Container) restarts() int { return int(c.status.RestartCount) }

// attemptOf returns the restart number of the container with this id: the one the status speaks of, or the one before.
func (c *Container) attemptOf(id string) int {
	if id == c.status.ContainerID {
		return c.restarts()
	}
	return max(0, c.restarts()-1)
}

// String returns pod and container as error texts name them.
func (c *Container) String() string { return fmt.Sprintf("container %q in pod %q", c.Name, c.Pod.Name) }

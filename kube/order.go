package kube

import (
	"cmp"
	"time"

	corev1 "k8s.io/api/core/v1"
)

func newOrder(p *corev1.Pod) order {
	o := order{assigned: p.Spec.NodeName != "", phase: p.Status.Phase, created: p.CreationTimestamp.Time}
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			o.ready, o.readySince = true, c.LastTransitionTime.Time
		}
	}
	for _, s := range p.Status.ContainerStatuses {
		o.restarts = max(o.restarts, int(s.RestartCount))
	}
	return o
}

// byLogging orders the pods of one workload as kubectl does to choose one of them (k8s.io/kubectl/pkg/util/podutils,
// ByLogging): assigned to a node first, then running, ready, ready for longer, restarted more often, older.
// Pods that are equal in all of it are ordered by name, as the API server lists them.
func byLogging(a, b *Pod) int {
	x, y := &a.order, &b.order
	return cmp.Or(
		firstTrue(x.assigned, y.assigned),
		cmp.Compare(phaseRank(x.phase), phaseRank(y.phase)),
		firstTrue(x.ready, y.ready),
		earlier(x.readySince, y.readySince),
		cmp.Compare(y.restarts, x.restarts),
		earlier(x.created, y.created),
		cmp.Compare(a.Namespace, b.Namespace),
		cmp.Compare(a.Name, b.Name),
	)
}

func phaseRank(p corev1.PodPhase) int {
	switch p {
	case corev1.PodUnknown:
		return 1
	case corev1.PodPending:
		return 2
	}
	return 0
}

func firstTrue(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// earlier puts unknown times last.
func earlier(a, b time.Time) int {
	if a.IsZero() != b.IsZero() {
		return firstTrue(!a.IsZero(), !b.IsZero())
	}
	return a.Compare(b)
}

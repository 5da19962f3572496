package traces

import "github.com/braidhq/braid/telemetry"

// targetNames are the labels of traces_target_info: job and instance as Prometheus makes them of service.namespace,
// service.name and service.instance.id, and the identity that all signals share.
var targetNames = []string{"service", "job", "instance", "service_version", "cluster", "namespace", "node", "pod", "container"}

// targets are the resources that have sent spans.
type targets struct {
	known map[string]*target
	last  *telemetry.Resource // of the last batch, and its target: most batches come in rows
	found *target
	gone  []*target
	key   []byte
}

type target struct {
	key      string
	received int64
	series   *telemetry.Series // once it has been exported
}

func newTargets() targets { return targets{known: map[string]*target{}} }

// observeTarget sees that the resource of b has its target.
func (r *RED) observeTarget(b *telemetry.Batch) {
	t := &r.targets
	if b.Resource == nil {
		return
	}
	if b.Resource != t.last {
		t.last, t.found = b.Resource, nil
		t.key = appendTarget(t.key[:0], b.Resource)
		if t.found = t.known[string(t.key)]; t.found == nil {
			t.found = r.newTarget(string(t.key))
		}
	}
	if t.found != nil {
		t.found.received = max(t.found.received, b.ReceivedUnixNano)
	}
}

// newTarget returns nil if there is no room.
func (r *RED) newTarget(key string) *target {
	known := r.targets.known
	if !isKey(key, len(targetNames)) {
		key = cleanKey(key, len(targetNames))
		if found := known[key]; found != nil {
			return found
		}
	}
	if len(known) >= r.maxSeries {
		r.self.refusedTargets.Inc()
		return nil
	}
	known[key] = &target{key: key}
	return known[key]
}

func appendTarget(key []byte, r *telemetry.Resource) []byte {
	key = appendValue(key, cut(r.Service))
	job := r.Service
	if r.ServiceNamespace != "" {
		job = r.ServiceNamespace + "/" + r.Service
	}
	for _, v := range [...]string{
		job, r.ServiceInstance, r.ServiceVersion, r.Cluster, r.Namespace, r.Node, r.Pod, r.Container,
	} {
		key = appendValue(key, cut(v))
	}
	return key
}

func (t *targets) sweep(now, idle int64) {
	for key, x := range t.known {
		if now-x.received > idle {
			delete(t.known, key)
			if x.series != nil {
				t.gone = append(t.gone, x)
			}
		}
	}
	t.last, t.found = nil, nil
}

package store

import (
	"bytes"
	"math"
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// A filter is a query made ready: first by stream, then by key, then by value.
type filter struct {
	q        telemetry.LogQuery
	text     []byte
	from, to int64 // from <= event time < to; to is math.MaxInt64 for an open side, which includes it
	streams  map[uint64]*stream
}

func newFilter(q telemetry.LogQuery) *filter {
	f := &filter{q: q, text: []byte(q.Text), from: math.MinInt64, to: math.MaxInt64, streams: map[uint64]*stream{}}
	if q.FromUnixNano != 0 {
		f.from = q.FromUnixNano
	}
	if q.ToUnixNano != 0 {
		f.to = q.ToUnixNano
	}
	return f
}

func (f *filter) matchStream(st *stream) bool {
	r, q := st.resource, &f.q
	return st.tenant == q.Tenant &&
		(q.Namespace == "" || r.Namespace == q.Namespace) && inAny(q.Namespaces, r.Namespace) &&
		(q.Container == "" || r.Container == q.Container) &&
		(len(q.Pods) == 0 || slices.Contains(q.Pods, r.Pod))
}

// inAny reports that namespace is one of namespaces, or that all are meant.
func inAny(namespaces []string, namespace string) bool {
	return namespaces == nil || slices.Contains(namespaces, namespace)
}

func (f *filter) matchTime(at int64) bool {
	return f.from <= at && (at < f.to || f.to == math.MaxInt64)
}

// matchValue looks at a line's stored value.
func (f *filter) matchValue(value []byte) (bool, error) {
	q := &f.q
	if q.MinSeverity == 0 && q.TraceID.IsZero() && len(f.text) == 0 {
		return true, nil
	}
	v, err := viewLog(value)
	return err == nil && v.severity >= q.MinSeverity && (q.TraceID.IsZero() || v.trace == q.TraceID) &&
		(len(f.text) == 0 || bytes.Contains(v.body, f.text)), err
}

// find returns the stream with the given id if it matches; it remembers the answer.
func (f *filter) find(t *streams, id uint64) *stream {
	st, known := f.streams[id]
	if !known {
		if st = t.get(id); st != nil && !f.matchStream(st) {
			st = nil
		}
		f.streams[id] = st
	}
	return st
}

// A container is what Tail and Previous count by. Records of no pod are told apart by service.
type container struct{ cluster, namespace, pod, container, service, instance string }

func (st *stream) container() container {
	r := st.resource
	c := container{cluster: r.Cluster, namespace: r.Namespace, pod: r.Pod, container: r.Container}
	if r.Pod == "" {
		c.service, c.instance = r.Service, r.ServiceInstance
	}
	return c
}

func byContainer(sts []*stream) map[container][]*stream {
	groups := map[container][]*stream{}
	for _, st := range sts {
		groups[st.container()] = append(groups[st.container()], st)
	}
	return groups
}

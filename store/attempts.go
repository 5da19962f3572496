package store

import (
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
)

// previous returns, of every container, the streams of the attempt before the newest. The newest pod of a name is the
// one with the newest line; within it attempts are ordered by restart count. Attempts that wrote no line are unknown
// here.
func previous(from reader, sts []*stream) ([]*stream, error) {
	var found []*stream
	for _, group := range byContainer(sts) {
		pod, newest := "", int64(math.MinInt64)
		for _, st := range group {
			at, ok, err := newestLine(from, st)
			if err != nil {
				return nil, err
			}
			if ok && at >= newest {
				pod, newest = st.resource.PodUID, at
			}
		}
		found = append(found, beforeNewest(group, pod)...)
	}
	return found, nil
}

// beforeNewest returns the streams of the second highest restart count of a pod.
func beforeNewest(group []*stream, pod string) []*stream {
	highest, second := -1, -1
	for _, st := range group {
		restart := st.resource.Restart
		switch {
		case st.resource.PodUID != pod:
		case restart > highest:
			highest, second = restart, highest
		case restart < highest && restart > second:
			second = restart
		}
	}
	var found []*stream
	for _, st := range group {
		if second >= 0 && st.resource.PodUID == pod && st.resource.Restart == second {
			found = append(found, st)
		}
	}
	return found
}

// newestLine returns the event time of a stream's newest line.
func newestLine(from reader, st *stream) (at int64, ok bool, err error) {
	prefix := logKey{stream: st.id}.append(nil)[:9]
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return 0, false, err
	}
	defer it.Close()
	if !it.Last() {
		return 0, false, it.Error()
	}
	k, err := parseLogKey(it.Key())
	return k.at, err == nil, err
}

// narrowToTrace returns the streams that have lines of the trace asked for, and f with its times narrowed to theirs.
func narrowToTrace(from reader, f *filter, sts []*stream) (*filter, []*stream, error) {
	keys, err := traceLines(from, f.q.TraceID)
	if err != nil || len(keys) == 0 {
		return f, nil, err
	}
	narrow := newFilter(f.q)
	narrow.from = max(f.from, keys[0].at)
	if last := keys[len(keys)-1].at; last < math.MaxInt64 {
		narrow.to = min(f.to, last+1)
	}
	has := map[uint64]bool{}
	for _, k := range keys {
		has[k.stream] = true
	}
	var found []*stream
	for _, st := range sts {
		if has[st.id] {
			found = append(found, st)
		}
	}
	return narrow, found, nil
}

// traceLines returns the keys of a trace's lines, by event time.
func traceLines(from reader, id telemetry.TraceID) ([]logKey, error) {
	prefix := append([]byte{tracePrefix}, id[:]...)
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return nil, err
	}
	defer it.Close()
	var keys []logKey
	for ok := it.First(); ok; ok = it.Next() {
		k, err := parseTraceKey(it.Key())
		if err != nil {
			return nil, err
		}
		keys = append(keys, k)
	}
	return keys, it.Error()
}

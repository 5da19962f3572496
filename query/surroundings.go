package query

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// ByPodAndTime marks what belongs to a trace only as far as its pod and its time tell.
const ByPodAndTime = "pod and time"

// How many pods of a trace are looked at, how many of their lines are shown, and how many are read to find them.
const (
	nearbyPods    = 50
	nearbyLines   = 200
	nearbyScanned = 20_000
)

// A NearbyLine is a line without a trace id that a pod of the trace wrote while the trace went on. It need not have to
// do with it.
type NearbyLine struct {
	By string `json:"by"` // ByPodAndTime
	LogLine
}

// A place is who took part in a trace, as all three signals name it.
type place struct{ namespace, pod, service, instance string }

// surround adds to v what was around t: lines without a trace id, and the metrics of its processes. The trace is there
// without them too, so what fails is said in the view.
func (h *handler) surround(r *http.Request, rd *reader, t *telemetry.Trace, v *TraceView) {
	from, to := timeSpan(t)
	places := placesOf(t)
	warn := func(what string, err error) {
		if err != nil {
			v.Warnings = append(v.Warnings, fmt.Sprintf("cannot read %s: %v", what, h.told(r, err)))
		}
	}
	if rd.sources.logs != nil {
		warn("the lines without a trace id", nearby(rd, telemetry.LogQuery{FromUnixNano: from, ToUnixNano: to + 1}, places, v))
	}
	if rd.limited { // a service of the same name may run elsewhere
		places = slices.DeleteFunc(places, func(p place) bool { return p.pod == "" })
	}
	if h.Queryable != nil {
		var err error
		v.Processes, err = h.processes(r.Context(), places, unixNano(to))
		warn("the processes' metrics", err)
	}
}

// timeSpan returns the first and the last moment of t: of its spans, or, if it has none, of its lines.
func timeSpan(t *telemetry.Trace) (from, to int64) {
	from, to = math.MaxInt64, math.MinInt64
	for i := range t.Spans {
		from, to = min(from, t.Spans[i].StartUnixNano), max(to, t.Spans[i].StartUnixNano, t.Spans[i].EndUnixNano)
	}
	for i := range t.Logs {
		if len(t.Spans) == 0 {
			from, to = min(from, t.Logs[i].UnixNano), max(to, t.Logs[i].UnixNano)
		}
	}
	return from, min(to, math.MaxInt64-1)
}

// placesOf returns the places of t's spans and lines, in the order of their names.
func placesOf(t *telemetry.Trace) []place {
	found := map[place]bool{}
	add := func(r *telemetry.Resource) {
		switch {
		case r == nil:
		case r.Pod != "":
			found[place{namespace: r.Namespace, pod: r.Pod}] = true
		case r.Service != "":
			found[place{service: r.Service, instance: r.ServiceInstance}] = true
		}
	}
	for i := range t.Spans {
		add(t.Spans[i].Resource)
	}
	for i := range t.Logs {
		add(t.Logs[i].Resource)
	}
	places := slices.SortedFunc(maps.Keys(found), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.namespace, b.namespace), cmp.Compare(a.pod, b.pod), cmp.Compare(a.service, b.service), cmp.Compare(a.instance, b.instance))
	})
	return places[:min(len(places), nearbyPods)]
}

var errEnough = errors.New("enough lines")

// nearby puts the lines without a trace id of places' pods, within q's time, into v.
func nearby(rd *reader, q telemetry.LogQuery, places []place, v *TraceView) error {
	scanned := 0
	pods := map[string][]string{}
	for _, p := range places {
		if p.pod != "" {
			pods[p.namespace] = append(pods[p.namespace], p.pod)
		}
	}
	for _, q.Namespace = range slices.Sorted(maps.Keys(pods)) {
		q.Pods = pods[q.Namespace]
		err := rd.logs(q, func(r *telemetry.LogRecord) error {
			if scanned++; scanned > nearbyScanned {
				return errEnough
			}
			if !r.TraceID.IsZero() || (r.Resource != nil && r.Resource.Namespace != q.Namespace) {
				return nil
			}
			if len(v.Nearby) >= nearbyLines {
				return errEnough
			}
			line := NearbyLine{ByPodAndTime, NewLogLine(r)}
			line.Attributes = slices.Clone(line.Attributes) // which are lent
			v.Nearby = append(v.Nearby, line)
			return nil
		})
		if errors.Is(err, errEnough) {
			v.NearbyCut = true
			break
		}
		if err != nil {
			return err
		}
	}
	slices.SortStableFunc(v.Nearby, func(a, b NearbyLine) int { return a.at().Compare(b.at()) })
	return nil
}

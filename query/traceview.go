package query

import (
	"slices"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A TraceView is a trace with its lines in place. Spans are ordered by start, lines by event time.
type TraceView struct {
	TraceID string     `json:"trace_id"`
	Spans   []SpanView `json:"spans"`
	Logs    []LogLine  `json:"logs"` // those whose span is unknown or not stored
	// What was around: the pods' lines without a trace id, of which there are more if NearbyCut, and their processes.
	Nearby    []NearbyLine  `json:"nearby,omitempty"`
	NearbyCut bool          `json:"nearby_cut,omitempty"`
	Processes []ProcessView `json:"processes,omitempty"`
	Hidden    *Hidden       `json:"hidden,omitempty"` // of the trace's spans and lines; nil: nothing
	Warnings  []string      `json:"warnings,omitempty"`
}

// A SpanView is one span with the lines that carry its id.
type SpanView struct {
	SpanID        string     `json:"span_id"`
	ParentID      string     `json:"parent_id,omitempty"`
	Name          string     `json:"name"`
	Kind          string     `json:"kind"` // unspecified, internal, server, client, producer, consumer
	Cluster       string     `json:"cluster,omitempty"`
	Node          string     `json:"node,omitempty"`
	Namespace     string     `json:"namespace,omitempty"`
	Pod           string     `json:"pod,omitempty"`
	Container     string     `json:"container,omitempty"`
	Service       string     `json:"service,omitempty"`
	Resource      Attributes `json:"resource,omitempty"` // the resource attributes that have no field above
	Scope         string     `json:"scope,omitempty"`
	ScopeVersion  string     `json:"scope_version,omitempty"`
	Start         time.Time  `json:"start,omitzero"`
	End           time.Time  `json:"end,omitzero"`
	DurationNano  int64      `json:"duration_ns"`
	Status        string     `json:"status"` // unset, ok, error
	StatusMessage string     `json:"status_message,omitempty"`
	Attributes    Attributes `json:"attributes,omitempty"`
	Critical      []Segment  `json:"critical,omitempty"` // when the trace waited for just this span
	UID           string     `json:"uid,omitempty"`
	Logs          []LogLine  `json:"logs"`
}

var (
	kindNames   = [...]string{"unspecified", "internal", "server", "client", "producer", "consumer"}
	statusNames = [...]string{"unset", "ok", "error"}
)

// NewTraceView puts every line of t where it belongs: into the first span with its span id, else beside the spans.
func NewTraceView(t *telemetry.Trace) *TraceView {
	v := &TraceView{TraceID: t.ID.String(), Spans: make([]SpanView, len(t.Spans)), Logs: []LogLine{}}
	order := make([]*telemetry.SpanRecord, len(t.Spans))
	for i := range t.Spans {
		order[i] = &t.Spans[i]
	}
	slices.SortStableFunc(order, func(a, b *telemetry.SpanRecord) int {
		if a.StartUnixNano != b.StartUnixNano {
			if a.StartUnixNano < b.StartUnixNano {
				return -1
			}
			return 1
		}
		return slices.Compare(a.SpanID[:], b.SpanID[:])
	})
	place := make(map[telemetry.SpanID]int, len(order))
	for i, s := range order {
		v.Spans[i] = newSpanView(s)
		if _, taken := place[s.SpanID]; !taken {
			place[s.SpanID] = i
		}
	}
	for i, segments := range newCriticalPath(order, place).segments {
		v.Spans[i].Critical = segments
	}
	for i := range t.Logs {
		line := NewLogLine(&t.Logs[i])
		if at, ok := place[t.Logs[i].SpanID]; ok && !t.Logs[i].SpanID.IsZero() {
			v.Spans[at].Logs = append(v.Spans[at].Logs, line)
		} else {
			v.Logs = append(v.Logs, line)
		}
	}
	return v
}

func newSpanView(s *telemetry.SpanRecord) SpanView {
	v := SpanView{
		SpanID: s.SpanID.String(), Name: s.Name, Kind: kindNames[0], Status: statusNames[0],
		Scope: s.Scope.Name, ScopeVersion: s.Scope.Version,
		Start: unixNano(s.StartUnixNano), End: unixNano(s.EndUnixNano), DurationNano: s.EndUnixNano - s.StartUnixNano,
		StatusMessage: s.StatusMessage, Attributes: Attributes(s.Attrs), Logs: []LogLine{},
	}
	if !s.ParentID.IsZero() {
		v.ParentID = s.ParentID.String()
	}
	if int(s.Kind) < len(kindNames) {
		v.Kind = kindNames[s.Kind]
	}
	if int(s.Status) < len(statusNames) {
		v.Status = statusNames[s.Status]
	}
	if !s.UID.IsZero() {
		v.UID = s.UID.String()
	}
	if r := s.Resource; r != nil {
		v.Cluster, v.Node, v.Namespace, v.Pod = r.Cluster, r.Node, r.Namespace, r.Pod
		v.Container, v.Service, v.Resource = r.Container, r.Service, Attributes(r.Attrs)
	}
	return v
}

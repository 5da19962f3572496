package query

import (
	"cmp"
	"encoding/base64"
	"encoding/json"
	"math"
	"slices"
	"strconv"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

// A jaegerTrace is a trace in Jaeger's JSON.
type jaegerTrace struct {
	TraceID   string                   `json:"traceID"`
	Spans     []jaegerSpan             `json:"spans"`
	Processes map[string]jaegerProcess `json:"processes"`
	Warnings  []string                 `json:"warnings"`
}

type jaegerSpan struct {
	TraceID       string            `json:"traceID"`
	SpanID        string            `json:"spanID"`
	OperationName string            `json:"operationName"`
	References    []jaegerReference `json:"references"`
	StartTime     int64             `json:"startTime"`
	Duration      int64             `json:"duration"`
	Tags          []jaegerTag       `json:"tags"`
	Logs          []jaegerLog       `json:"logs"`
	ProcessID     string            `json:"processID"`
	Warnings      []string          `json:"warnings"`
}

type jaegerReference struct {
	RefType string `json:"refType"` // CHILD_OF, FOLLOWS_FROM
	TraceID string `json:"traceID"`
	SpanID  string `json:"spanID"`
}

type jaegerProcess struct {
	ServiceName string      `json:"serviceName"`
	Tags        []jaegerTag `json:"tags"`
}

type jaegerLog struct {
	Timestamp int64       `json:"timestamp"`
	Fields    []jaegerTag `json:"fields"`
}

type jaegerTag struct {
	Key   string `json:"key"`
	Type  string `json:"type"` // string, bool, int64, float64, binary
	Value any    `json:"value"`
}

// newJaegerTrace returns t as Jaeger tells it. A span's logs are its events and the lines that carry its id. The spans
// of one resource are of one process. What is hidden of it is told in a warning.
func newJaegerTrace(t *telemetry.Trace, hidden Hidden) *jaegerTrace {
	j := &jaegerTrace{TraceID: t.ID.String(), Spans: make([]jaegerSpan, len(t.Spans)), Processes: map[string]jaegerProcess{}}
	if hidden != (Hidden{}) {
		j.Warnings = append(j.Warnings, hidden.String())
	}
	processes := map[string]string{}
	place := map[telemetry.SpanID]int{}
	for i := range t.Spans {
		s := &t.Spans[i]
		j.Spans[i] = newJaegerSpan(s)
		j.Spans[i].ProcessID = j.process(processes, s.Resource)
		if _, taken := place[s.SpanID]; !taken {
			place[s.SpanID] = i
		}
	}
	for i := range t.Logs {
		l := &t.Logs[i]
		if at, ok := place[l.SpanID]; ok && !l.SpanID.IsZero() {
			j.Spans[at].Logs = append(j.Spans[at].Logs, lineLog(l))
		}
	}
	for i := range j.Spans {
		slices.SortStableFunc(j.Spans[i].Logs, func(a, b jaegerLog) int { return cmp.Compare(a.Timestamp, b.Timestamp) })
	}
	return j
}

// process returns the id of r's process, which it adds if it is new.
func (j *jaegerTrace) process(known map[string]string, r *telemetry.Resource) string {
	p := jaegerProcess{Tags: []jaegerTag{}}
	for _, a := range otlp.ResourceAttributes(nil, r) {
		if a.Key == "service.name" && p.ServiceName == "" {
			p.ServiceName = a.Value.Str
			continue
		}
		p.Tags = append(p.Tags, newJaegerTag(a))
	}
	identity, err := json.Marshal(p)
	if err != nil {
		panic("BUG: a process does not marshal: " + err.Error())
	}
	id := known[string(identity)]
	if id == "" {
		id = "p" + strconv.Itoa(len(known)+1)
		known[string(identity)], j.Processes[id] = id, p
	}
	return id
}

func newJaegerSpan(s *telemetry.SpanRecord) jaegerSpan {
	j := jaegerSpan{
		TraceID: s.TraceID.String(), SpanID: s.SpanID.String(), OperationName: s.Name,
		StartTime: s.StartUnixNano / 1000, Duration: (s.EndUnixNano - s.StartUnixNano) / 1000,
		References: []jaegerReference{}, Logs: []jaegerLog{},
	}
	if j.Duration < 0 {
		j.Duration, j.Warnings = 0, append(j.Warnings, "the span ends before it starts")
	}
	if !s.ParentID.IsZero() {
		j.References = append(j.References, jaegerReference{"CHILD_OF", j.TraceID, s.ParentID.String()})
	}
	events, links, err := eventsAndLinks(s.Raw)
	if err != nil {
		j.Warnings = append(j.Warnings, "the span's events and links cannot be read: "+err.Error())
	}
	j.Logs = append(j.Logs, events...)
	j.References = append(j.References, links...)
	j.Tags = spanTags(s)
	return j
}

// spanTags are a span's attributes, then what Jaeger has as tags and OTLP as fields.
func spanTags(s *telemetry.SpanRecord) []jaegerTag {
	tags := []jaegerTag{}
	for _, a := range s.Attrs {
		tags = append(tags, newJaegerTag(a))
	}
	add := func(key, value string) {
		if value != "" {
			tags = append(tags, jaegerTag{key, "string", value})
		}
	}
	add("otel.scope.name", s.Scope.Name)
	add("otel.scope.version", s.Scope.Version)
	if s.Kind != telemetry.SpanKindUnspecified && int(s.Kind) < len(kindNames) {
		add("span.kind", kindNames[s.Kind])
	}
	switch s.Status {
	case telemetry.StatusError:
		add("otel.status_code", "ERROR")
		tags = append(tags, jaegerTag{"error", "bool", true})
	case telemetry.StatusOK:
		add("otel.status_code", "OK")
	}
	add("otel.status_description", s.StatusMessage)
	return tags
}

func newJaegerTag(a telemetry.Attr) jaegerTag {
	t := jaegerTag{Key: a.Key, Type: "string"}
	switch a.Value.Kind {
	case telemetry.IntValue:
		t.Type, t.Value = "int64", a.Value.Int
	case telemetry.BoolValue:
		t.Type, t.Value = "bool", a.Value.Int != 0
	case telemetry.FloatValue:
		t.Type, t.Value = "float64", a.Value.Float
		if math.IsNaN(a.Value.Float) || math.IsInf(a.Value.Float, 0) { // which JSON cannot say
			t.Type, t.Value = "string", strconv.FormatFloat(a.Value.Float, 'g', -1, 64)
		}
	case telemetry.BytesValue:
		t.Type, t.Value = "binary", base64.StdEncoding.EncodeToString([]byte(a.Value.Str))
	default:
		t.Value = a.Value.Str
	}
	return t
}

// lineLog returns a line as a log of its span.
func lineLog(l *telemetry.LogRecord) jaegerLog {
	at := l.UnixNano
	if at == 0 {
		at = l.ObservedUnixNano
	}
	fields := []jaegerTag{{"event", "string", "log"}}
	if l.Severity != 0 {
		fields = append(fields, jaegerTag{"level", "string", l.Severity.String()})
	}
	if l.Resource != nil && l.Resource.Pod != "" {
		fields = append(fields, jaegerTag{"pod", "string", l.Resource.Pod})
	}
	return jaegerLog{at / 1000, append(fields, jaegerTag{"message", "string", string(l.Body)})}
}

// jaegerKind is the value of the tag span.kind; none for a kind that is not said.
func jaegerKind(k telemetry.SpanKind) string {
	if k == telemetry.SpanKindUnspecified || int(k) >= len(kindNames) {
		return ""
	}
	return kindNames[k]
}

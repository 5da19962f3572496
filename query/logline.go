package query

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
)

// A LogLine is one stored line as JSON. Absent fields are unknown. A row with Error set is no line: it is the last row
// of an answer that broke off after its first byte.
type LogLine struct {
	Time             time.Time  `json:"time,omitzero"`
	Observed         time.Time  `json:"observed,omitzero"`
	Severity         string     `json:"severity,omitempty"`        // trace, debug, info, warn, error, fatal
	SeverityNumber   uint8      `json:"severity_number,omitempty"` // OTLP's, only if it is not the first of its range
	Stream           string     `json:"stream,omitempty"`
	Cluster          string     `json:"cluster,omitempty"`
	Node             string     `json:"node,omitempty"`
	Namespace        string     `json:"namespace,omitempty"`
	Pod              string     `json:"pod,omitempty"`
	PodUID           string     `json:"pod_uid,omitempty"`
	Container        string     `json:"container,omitempty"`
	ContainerID      string     `json:"container_id,omitempty"`
	Restart          *int       `json:"restart,omitempty"`
	Service          string     `json:"service,omitempty"`
	ServiceNamespace string     `json:"service_namespace,omitempty"`
	ServiceVersion   string     `json:"service_version,omitempty"`
	ServiceInstance  string     `json:"service_instance,omitempty"`
	Resource         Attributes `json:"resource,omitempty"` // the resource attributes that have no field above
	TraceID          string     `json:"trace_id,omitempty"`
	SpanID           string     `json:"span_id,omitempty"`
	UID              string     `json:"uid,omitempty"`
	Position         int64      `json:"position,omitempty"`
	Flags            []string   `json:"flags,omitempty"`
	Attributes       Attributes `json:"attributes,omitempty"`
	Body             string     `json:"body"`
	BodyBase64       []byte     `json:"body_base64,omitempty"` // instead of Body when that is not UTF-8
	Error            string     `json:"error,omitempty"`
}

// ErrAnswer is the error that ended an answer half-way, as the server said it.
var ErrAnswer = errors.New("the server broke off its answer")

// flagNames are the JSON names of telemetry.LogFlags, in bit order.
var flagNames = [...]string{"truncated", "partial", "future"}

// at is the time a line is ordered by.
func (l *LogLine) at() time.Time {
	if l.Time.IsZero() {
		return l.Observed
	}
	return l.Time
}

// NewLogLine returns r as it goes over the wire. It copies what it keeps of r's bytes.
func NewLogLine(r *telemetry.LogRecord) LogLine {
	var l LogLine
	l.set(r)
	return l
}

// set overwrites every field of l.
func (l *LogLine) set(r *telemetry.LogRecord) {
	*l = LogLine{
		Time: unixNano(r.UnixNano), Observed: unixNano(r.ObservedUnixNano),
		Severity: r.Severity.String(), Stream: r.Stream.String(),
		Position: r.Position, Attributes: Attributes(r.Attrs),
	}
	if telemetry.ParseSeverity([]byte(l.Severity)) != r.Severity {
		l.SeverityNumber = uint8(r.Severity)
	}
	l.setResource(r.Resource)
	if !r.TraceID.IsZero() {
		l.TraceID = r.TraceID.String()
	}
	if !r.SpanID.IsZero() {
		l.SpanID = r.SpanID.String()
	}
	if !r.UID.IsZero() {
		l.UID = r.UID.String()
	}
	for bit, name := range flagNames {
		if r.Flags&(1<<bit) != 0 {
			l.Flags = append(l.Flags, name)
		}
	}
	if utf8.Valid(r.Body) {
		l.Body = string(r.Body)
	} else {
		l.BodyBase64 = append([]byte(nil), r.Body...)
	}
}

func (l *LogLine) setResource(r *telemetry.Resource) {
	if r == nil {
		return
	}
	l.Cluster, l.Node, l.Namespace = r.Cluster, r.Node, r.Namespace
	l.Pod, l.PodUID, l.Container, l.ContainerID = r.Pod, r.PodUID, r.Container, r.ContainerID
	l.Service, l.ServiceNamespace = r.Service, r.ServiceNamespace
	l.ServiceVersion, l.ServiceInstance = r.ServiceVersion, r.ServiceInstance
	if r.Restart >= 0 {
		restart := r.Restart
		l.Restart = &restart
	}
	l.Resource = Attributes(r.Attrs)
}

// DecodeLogLine reads one row of an NDJSON answer. A row that carries an error is returned as an [ErrAnswer].
func DecodeLogLine(row []byte) (*telemetry.LogRecord, error) {
	var l LogLine
	if err := json.Unmarshal(row, &l); err != nil {
		return nil, fmt.Errorf("cannot read a log line: %w", err)
	}
	return l.Record()
}

// Record returns the line as the record it was made of.
func (l *LogLine) Record() (*telemetry.LogRecord, error) {
	if l.Error != "" {
		return nil, fmt.Errorf("%w: %s", ErrAnswer, l.Error)
	}
	r := &telemetry.LogRecord{Resource: l.resource()}
	r.UnixNano, r.ObservedUnixNano = nanos(l.Time), nanos(l.Observed)
	r.Severity = telemetry.Severity(l.SeverityNumber)
	if r.Severity == telemetry.SeverityUnspecified {
		r.Severity = telemetry.ParseSeverity([]byte(l.Severity))
	}
	switch l.Stream {
	case "stdout":
		r.Stream = telemetry.Stdout
	case "stderr":
		r.Stream = telemetry.Stderr
	}
	for bit, name := range flagNames {
		for _, f := range l.Flags {
			if f == name {
				r.Flags |= 1 << bit
			}
		}
	}
	r.Position, r.Attrs = l.Position, l.Attributes
	r.Body = l.BodyBase64
	if r.Body == nil {
		r.Body = []byte(l.Body)
	}
	if err := decodeID(r.TraceID[:], l.TraceID, "trace_id"); err != nil {
		return nil, err
	}
	if err := decodeID(r.SpanID[:], l.SpanID, "span_id"); err != nil {
		return nil, err
	}
	return r, decodeID(r.UID[:], l.UID, "uid")
}

func (l *LogLine) resource() *telemetry.Resource {
	r := &telemetry.Resource{
		Cluster: l.Cluster, Node: l.Node, Namespace: l.Namespace, Pod: l.Pod, PodUID: l.PodUID,
		Container: l.Container, ContainerID: l.ContainerID, Service: l.Service, ServiceNamespace: l.ServiceNamespace,
		ServiceVersion: l.ServiceVersion, ServiceInstance: l.ServiceInstance, Restart: -1, Attrs: l.Resource,
	}
	if l.Restart != nil {
		r.Restart = *l.Restart
	}
	return r
}

// decodeID reads hex of exactly len(dst) bytes; an empty string is the zero id.
func decodeID(dst []byte, s, field string) error {
	if s == "" {
		return nil
	}
	if len(s) != 2*len(dst) {
		return fmt.Errorf("cannot read %s %q: it has not %d hex digits", field, s, 2*len(dst))
	}
	if _, err := hex.Decode(dst, []byte(s)); err != nil {
		return fmt.Errorf("cannot read %s %q: %w", field, s, err)
	}
	return nil
}

// unixNano maps 0, which means unknown, to the zero time.
func unixNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

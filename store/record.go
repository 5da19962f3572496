package store

import (
	"encoding/binary"

	"github.com/braidhq/braid/telemetry"
)

// Presence bits of a log value.
const (
	hasTrace   = 1 << iota // 16 bytes of trace id
	hasSpan                // 8 bytes of span id
	noObserved             // the observed time is unknown
)

// appendLog appends the value of a line whose key says its time and uid.
func appendLog(b []byte, l *telemetry.Log, at int64) []byte {
	var present byte
	if !l.TraceID.IsZero() {
		present |= hasTrace
	}
	if !l.SpanID.IsZero() {
		present |= hasSpan
	}
	if l.ObservedUnixNano == 0 {
		present |= noObserved
	}
	b = append(b, present, byte(l.Severity), byte(l.Stream), byte(l.Flags))
	if present&hasTrace != 0 {
		b = append(b, l.TraceID[:]...)
	}
	if present&hasSpan != 0 {
		b = append(b, l.SpanID[:]...)
	}
	if present&noObserved == 0 {
		b = binary.AppendVarint(b, l.ObservedUnixNano-at) // may wrap, and wraps back
	}
	b = binary.AppendVarint(b, l.Position)
	b = appendString(b, l.Body)
	return appendAttrs(b, l.Attrs)
}

// A logView is a stored line decoded as far as filters need it; it aliases the value.
type logView struct {
	present  byte
	severity telemetry.Severity
	trace    telemetry.TraceID
	body     []byte
}

// decodeLog reads the value of the line at k into l, whose Attrs are reused; Body aliases b.
func decodeLog(b []byte, k logKey, l *telemetry.Log) error {
	d := decoder{b: b}
	*l = telemetry.Log{UnixNano: k.at, UID: k.uid, Attrs: l.Attrs[:0]}
	present := d.byte()
	l.Severity, l.Stream = telemetry.Severity(d.byte()), telemetry.Stream(d.byte())
	l.Flags = telemetry.LogFlags(d.byte())
	if present&hasTrace != 0 {
		copy(l.TraceID[:], d.take(len(l.TraceID)))
	}
	if present&hasSpan != 0 {
		copy(l.SpanID[:], d.take(len(l.SpanID)))
	}
	if present&noObserved == 0 {
		l.ObservedUnixNano = k.at + d.varint()
	}
	l.Position = d.varint()
	l.Body = d.bytes()
	l.Attrs = d.attrs(l.Attrs)
	return d.end()
}

// viewLog reads of a line's value what filters look at.
func viewLog(b []byte) (v logView, err error) {
	d := decoder{b: b}
	v.present = d.byte()
	v.severity = telemetry.Severity(d.byte())
	d.take(2)
	if v.present&hasTrace != 0 {
		copy(v.trace[:], d.take(len(v.trace)))
	}
	if v.present&hasSpan != 0 {
		d.take(8)
	}
	if v.present&noObserved == 0 {
		d.varint()
	}
	d.varint()
	v.body = d.bytes()
	return v, d.err
}

// appendSpan appends the value of a span whose key says its ids, kind and start.
func appendSpan(b []byte, s *telemetry.Span, scope *telemetry.Scope) []byte {
	b = append(b, s.UID[:]...)
	b = append(b, s.ParentID[:]...)
	b = append(b, byte(s.Status))
	b = binary.AppendVarint(b, s.EndUnixNano-s.StartUnixNano) // may wrap, and wraps back
	b = appendString(b, s.Name)
	b = appendString(b, s.StatusMessage)
	b = appendString(b, scope.Name)
	b = appendString(b, scope.Version)
	b = appendAttrs(b, scope.Attrs)
	b = appendAttrs(b, s.Attrs)
	return appendString(b, s.Raw)
}

// decodeSpan reads a span's value; s has been given what its key says. It copies what it keeps of b.
func decodeSpan(b []byte, s *telemetry.Span, scope *telemetry.Scope) error {
	d := decoder{b: b}
	copy(s.UID[:], d.take(len(s.UID)))
	copy(s.ParentID[:], d.take(len(s.ParentID)))
	s.Status = telemetry.StatusCode(d.byte())
	s.EndUnixNano = s.StartUnixNano + d.varint()
	s.Name, s.StatusMessage = d.string(), d.string()
	scope.Name, scope.Version = d.string(), d.string()
	scope.Attrs, s.Attrs = d.attrs(nil), d.attrs(nil)
	if raw := d.bytes(); len(raw) > 0 {
		s.Raw = append([]byte(nil), raw...)
	}
	return d.end()
}

// appendIdentity appends what makes a stream: the tenant and the resource.
func appendIdentity(b []byte, tenant string, r *telemetry.Resource) []byte {
	for _, s := range [...]string{
		tenant, r.Cluster, r.Node, r.Namespace, r.Pod, r.PodUID, r.Container, r.ContainerID,
		r.Service, r.ServiceNamespace, r.ServiceVersion, r.ServiceInstance,
	} {
		b = appendString(b, s)
	}
	b = binary.AppendVarint(b, int64(r.Restart))
	return appendAttrs(b, r.Attrs)
}

func decodeIdentity(b []byte) (tenant string, r *telemetry.Resource, err error) {
	d := decoder{b: b}
	r = &telemetry.Resource{}
	for _, s := range [...]*string{
		&tenant, &r.Cluster, &r.Node, &r.Namespace, &r.Pod, &r.PodUID, &r.Container, &r.ContainerID,
		&r.Service, &r.ServiceNamespace, &r.ServiceVersion, &r.ServiceInstance,
	} {
		*s = d.string()
	}
	r.Restart = int(d.varint())
	r.Attrs = d.attrs(nil)
	return tenant, r, d.end()
}

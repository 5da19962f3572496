package otlp

import (
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

func appendSpan(dst []byte, s *telemetry.Span) []byte {
	if len(s.Raw) > 0 {
		return protobuf.AppendBytes(dst, scopeRecords, s.Raw)
	}
	dst = protobuf.AppendLen(dst, scopeRecords, sizeSpan(s))
	if !s.TraceID.IsZero() {
		dst = protobuf.AppendBytes(dst, spanTraceID, s.TraceID[:])
	}
	if !s.SpanID.IsZero() {
		dst = protobuf.AppendBytes(dst, spanSpanID, s.SpanID[:])
	}
	if !s.ParentID.IsZero() {
		dst = protobuf.AppendBytes(dst, spanParentID, s.ParentID[:])
	}
	if s.Name != "" {
		dst = protobuf.AppendString(dst, spanName, s.Name)
	}
	if s.Kind != 0 {
		dst = protobuf.AppendTagged(dst, spanKind, uint64(s.Kind))
	}
	if s.StartUnixNano != 0 {
		dst = protobuf.AppendFixed64(dst, spanStart, uint64(s.StartUnixNano))
	}
	if s.EndUnixNano != 0 {
		dst = protobuf.AppendFixed64(dst, spanEnd, uint64(s.EndUnixNano))
	}
	for i := range s.Attrs {
		dst = appendAttr(dst, spanAttributes, s.Attrs[i].Key, s.Attrs[i].Value)
	}
	if n := sizeStatus(s); n != 0 {
		dst = protobuf.AppendLen(dst, spanStatus, n)
		if s.StatusMessage != "" {
			dst = protobuf.AppendString(dst, statusMessage, s.StatusMessage)
		}
		if s.Status != 0 {
			dst = protobuf.AppendTagged(dst, statusCode, uint64(s.Status))
		}
	}
	return dst
}

// sizeSpan returns the length of what appendSpan writes after the span's own length, Raw being empty.
func sizeSpan(s *telemetry.Span) int {
	n := 0
	if !s.TraceID.IsZero() {
		n += 2 + len(s.TraceID)
	}
	if !s.SpanID.IsZero() {
		n += 2 + len(s.SpanID)
	}
	if !s.ParentID.IsZero() {
		n += 2 + len(s.ParentID)
	}
	if s.Name != "" {
		n += protobuf.SizeBytes(len(s.Name))
	}
	if s.Kind != 0 {
		n += 1 + protobuf.SizeVarint(uint64(s.Kind))
	}
	if s.StartUnixNano != 0 {
		n += 9
	}
	if s.EndUnixNano != 0 {
		n += 9
	}
	for i := range s.Attrs {
		n += protobuf.SizeBytes(sizeAttr(s.Attrs[i].Key, s.Attrs[i].Value))
	}
	if status := sizeStatus(s); status != 0 {
		n += protobuf.SizeBytes(status)
	}
	return n
}

func sizeStatus(s *telemetry.Span) int {
	n := 0
	if s.StatusMessage != "" {
		n += protobuf.SizeBytes(len(s.StatusMessage))
	}
	if s.Status != 0 {
		n += 1 + protobuf.SizeVarint(uint64(s.Status))
	}
	return n
}

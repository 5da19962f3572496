package otlp

import (
	"encoding/binary"
	"encoding/hex"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// AppendLogs appends an ExportLogsServiceRequest with the logs of batches to dst. Batches without logs are left out;
// neighbours of the same *Resource share one ResourceLogs. It does not retain or change batches.
func AppendLogs(dst []byte, batches []*telemetry.Batch) []byte {
	return appendRequest(dst, batches, telemetry.Logs)
}

// AppendSpans appends an ExportTraceServiceRequest with the spans of batches to dst, as [AppendLogs] does. A span's
// Raw bytes are written as they are if it has any; whoever edits a span sets Raw to nil.
func AppendSpans(dst []byte, batches []*telemetry.Batch) []byte {
	return appendRequest(dst, batches, telemetry.Spans)
}

func appendRequest(dst []byte, batches []*telemetry.Batch, signal telemetry.Signal) []byte {
	var last *telemetry.Resource
	start := 0 // of the open ResourceLogs or ResourceSpans; no content starts at 0
	for _, b := range batches {
		if signal == telemetry.Logs && len(b.Logs) == 0 || signal == telemetry.Spans && len(b.Spans) == 0 {
			continue
		}
		if start == 0 || b.Resource != last {
			if start != 0 {
				protobuf.Close(dst, start)
			}
			dst, start = protobuf.Open(dst, requestResources)
			dst = appendResource(dst, b.Resource)
			last = b.Resource
		}
		var scope int
		dst, scope = protobuf.Open(dst, resourceScopes)
		dst = appendScope(dst, b)
		if signal == telemetry.Logs {
			for i := range b.Logs {
				dst = appendLog(dst, &b.Logs[i])
			}
		} else {
			for i := range b.Spans {
				dst = appendSpan(dst, &b.Spans[i])
			}
		}
		protobuf.Close(dst, scope)
	}
	if start != 0 {
		protobuf.Close(dst, start)
	}
	return dst
}

func appendResource(dst []byte, r *telemetry.Resource) []byte {
	if r == nil {
		return dst
	}
	dst, start := protobuf.Open(dst, resourceResource)
	for i, key := range resourceKeys {
		if v := *resourceField(r, i); v != "" {
			dst = appendAttr(dst, resourceAttributes, key, telemetry.String(v))
		}
	}
	if r.Restart >= 0 {
		dst = appendAttr(dst, resourceAttributes, keyRestart, telemetry.Int(int64(r.Restart)))
	}
	for i := range r.Attrs {
		dst = appendAttr(dst, resourceAttributes, r.Attrs[i].Key, r.Attrs[i].Value)
	}
	protobuf.Close(dst, start)
	return dst
}

func appendScope(dst []byte, b *telemetry.Batch) []byte {
	name := b.Scope.Name
	if name == "" && !b.FileID.IsZero() {
		name = scopeName
	}
	if name == "" && b.Scope.Version == "" && len(b.Scope.Attrs) == 0 {
		return dst
	}
	dst, start := protobuf.Open(dst, scopeScope)
	if name != "" {
		dst = protobuf.AppendString(dst, libraryName, name)
	}
	if b.Scope.Version != "" {
		dst = protobuf.AppendString(dst, libraryVersion, b.Scope.Version)
	}
	if !b.FileID.IsZero() {
		dst = appendFile(dst, b)
	}
	for i := range b.Scope.Attrs {
		dst = appendAttr(dst, libraryAttributes, b.Scope.Attrs[i].Key, b.Scope.Attrs[i].Value)
	}
	protobuf.Close(dst, start)
	return dst
}

// appendFile writes the three scope attributes; the id straight into dst, for a string of it would be an allocation.
func appendFile(dst []byte, b *telemetry.Batch) []byte {
	const digits = 2 * len(b.FileID)
	value := protobuf.SizeBytes(digits)
	dst = protobuf.AppendLen(dst, libraryAttributes, protobuf.SizeBytes(len(keyFileID))+protobuf.SizeBytes(value))
	dst = protobuf.AppendString(dst, attrKey, keyFileID)
	dst = protobuf.AppendLen(dst, attrValue, value)
	dst = protobuf.AppendLen(dst, valueString, digits)
	dst = hex.AppendEncode(dst, b.FileID[:])
	dst = appendAttr(dst, libraryAttributes, keyFileFrom, telemetry.Int(b.From))
	return appendAttr(dst, libraryAttributes, keyFileTo, telemetry.Int(b.To))
}

// Attributes of every line from a file, ready to append: field 6 of the record, its length, key, value. The position's
// varint follows; its three lengths, marked 0 here, depend on it.
const (
	stdoutAttr   = "\x32\x18\x0a\x0clog.iostream\x12\x08\x0a\x06stdout"
	stderrAttr   = "\x32\x18\x0a\x0clog.iostream\x12\x08\x0a\x06stderr"
	positionHead = "\x0a\x11" + keyPosition + "\x12"
)

func appendLog(dst []byte, l *telemetry.Log) []byte {
	// Bytes that are not UTF-8 are not a protobuf string: strict receivers would refuse the whole request.
	bodyTag := byte(valueString)
	if !utf8.Valid(l.Body) {
		bodyTag = valueBytes
	}
	dst = protobuf.AppendLen(dst, scopeRecords, sizeLog(l))
	if l.UnixNano != 0 {
		dst = binary.LittleEndian.AppendUint64(append(dst, logTime), uint64(l.UnixNano))
	}
	if l.Severity != 0 {
		dst = protobuf.AppendVarint(append(dst, logSeverity), uint64(l.Severity))
	}
	if l.Body != nil {
		dst = protobuf.AppendVarint(append(dst, logBody), uint64(protobuf.SizeBytes(len(l.Body))))
		dst = protobuf.AppendVarint(append(dst, bodyTag), uint64(len(l.Body)))
		dst = append(dst, l.Body...)
	}
	switch l.Stream {
	case telemetry.Stdout:
		dst = append(dst, stdoutAttr...)
	case telemetry.Stderr:
		dst = append(dst, stderrAttr...)
	}
	if l.Position != 0 {
		value := 1 + protobuf.SizeVarint(uint64(l.Position))
		dst = append(dst, logAttributes, byte(len(positionHead)+1+value))
		dst = append(dst, positionHead...)
		dst = protobuf.AppendVarint(append(dst, byte(value), valueInt), uint64(l.Position))
	}
	if l.Flags != 0 {
		dst = appendAttr(dst, logAttributes, keyFlags, telemetry.Int(int64(l.Flags)))
	}
	for i := range l.Attrs {
		dst = appendAttr(dst, logAttributes, l.Attrs[i].Key, l.Attrs[i].Value)
	}
	if !l.TraceID.IsZero() {
		dst = append(append(dst, logTraceID, byte(len(l.TraceID))), l.TraceID[:]...)
	}
	if !l.SpanID.IsZero() {
		dst = append(append(dst, logSpanID, byte(len(l.SpanID))), l.SpanID[:]...)
	}
	if l.ObservedUnixNano != 0 {
		dst = binary.LittleEndian.AppendUint64(append(dst, logObserved), uint64(l.ObservedUnixNano))
	}
	return dst
}

// sizeLog returns the length of what appendLog writes after the record's own length.
func sizeLog(l *telemetry.Log) int {
	n := 0
	if l.UnixNano != 0 {
		n += 9
	}
	if l.Severity != 0 {
		n += 1 + protobuf.SizeVarint(uint64(l.Severity))
	}
	if l.Body != nil {
		n += protobuf.SizeBytes(protobuf.SizeBytes(len(l.Body)))
	}
	if l.Stream == telemetry.Stdout || l.Stream == telemetry.Stderr {
		n += len(stdoutAttr)
	}
	if l.Position != 0 {
		n += 2 + len(positionHead) + 2 + protobuf.SizeVarint(uint64(l.Position))
	}
	if l.Flags != 0 {
		n += protobuf.SizeBytes(sizeAttr(keyFlags, telemetry.Int(int64(l.Flags))))
	}
	for i := range l.Attrs {
		n += protobuf.SizeBytes(sizeAttr(l.Attrs[i].Key, l.Attrs[i].Value))
	}
	if !l.TraceID.IsZero() {
		n += 2 + len(l.TraceID)
	}
	if !l.SpanID.IsZero() {
		n += 2 + len(l.SpanID)
	}
	if l.ObservedUnixNano != 0 {
		n += 9
	}
	return n
}

package otlp

import (
	"encoding/hex"
	"fmt"
	"math"
	"slices"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// log decodes a LogRecord into the arena.
func (d *Decoder) log(data []byte) error {
	if err := d.countElements(1); err != nil {
		return err
	}
	d.logs = append(d.logs, telemetry.Log{})
	l := &d.logs[len(d.logs)-1]
	attrs := len(d.attrs)
	var severityText []byte
	var eventName string
	body := anyValue{kind: telemetry.EmptyValue}
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case logTime:
			l.UnixNano = int64(r.Bits)
		case logObserved:
			l.ObservedUnixNano = int64(r.Bits)
		case logSeverity:
			l.Severity = telemetry.Severity(enum(r.Bits, maxSeverity))
		case logSeverityText:
			severityText = r.Data
		case logBody:
			if err := body.read(r.Data, 0); err != nil {
				return fmt.Errorf("cannot read body of log record %d: %w", len(d.logs)-1, err)
			}
		case logAttributes:
			if err := d.logAttr(l, r.Data); err != nil {
				return fmt.Errorf("cannot read log record %d: %w", len(d.logs)-1, err)
			}
		case logTraceID:
			l.TraceID = traceID(r.Data)
		case logSpanID:
			l.SpanID = spanID(r.Data)
		case logEventName:
			eventName = text(r.Data)
		case logDropped, logFlags:
		default:
			r.Skip(knownLog)
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("cannot read log record %d: %w", len(d.logs)-1, err)
	}
	l.Body = d.body(body)
	if len(severityText) != 0 {
		d.severityText(l, severityText)
	}
	if eventName != "" {
		d.attrs = append(d.attrs, telemetry.Attr{Key: keyEventName, Value: telemetry.String(eventName)})
	}
	l.Attrs = d.attrs[attrs:len(d.attrs):len(d.attrs)]
	return nil
}

// logAttr puts an attribute where it belongs: into a field of l or into the arena.
func (d *Decoder) logAttr(l *telemetry.Log, data []byte) error {
	if quickField(l, data) {
		return d.countElements(1)
	}
	a, err := d.attr(data)
	if err == nil && takeAttr(l, a) {
		d.attrs = d.attrs[:len(d.attrs)-1]
	}
	return err
}

// severityText takes the number from the text if there is none, and keeps a text that says another thing.
func (d *Decoder) severityText(l *telemetry.Log, s []byte) {
	said := telemetry.ParseSeverity(s)
	if l.Severity == telemetry.SeverityUnspecified {
		l.Severity = said
	}
	if said == telemetry.SeverityUnspecified || said.String() != l.Severity.String() {
		d.attrs = append(d.attrs, telemetry.Attr{Key: keySeverityText, Value: telemetry.String(text(s))})
	}
}

// takeAttr moves an attribute that has a field of Log there. Values that no field can hold stay attributes, and so does
// what comes a second time.
func takeAttr(l *telemetry.Log, a *telemetry.Attr) bool {
	switch a.Key {
	case keyStream:
		if a.Value.Kind != telemetry.StringValue || l.Stream != 0 {
			return false
		}
		switch a.Value.Str {
		case "stdout":
			l.Stream = telemetry.Stdout
			return true
		case "stderr":
			l.Stream = telemetry.Stderr
			return true
		}
	case keyPosition:
		if a.Value.Kind == telemetry.IntValue && a.Value.Int > 0 && l.Position == 0 {
			l.Position = a.Value.Int
			return true
		}
	case keyFlags:
		if a.Value.Kind == telemetry.IntValue && a.Value.Int > 0 && a.Value.Int <= math.MaxUint8 && l.Flags == 0 {
			l.Flags = telemetry.LogFlags(a.Value.Int)
			return true
		}
	}
	return false
}

// takeFile moves braid's three scope attributes to b's fields and gives each line its UID. They are taken all together,
// each standing once and written as the encoder writes them, or left where they are.
func takeFile(b *telemetry.Batch) {
	id, okID := telemetry.Find(b.Scope.Attrs, keyFileID)
	from, okFrom := telemetry.Find(b.Scope.Attrs, keyFileFrom)
	to, okTo := telemetry.Find(b.Scope.Attrs, keyFileTo)
	if !okID || !okFrom || !okTo || b.Scope.Name == "" || id.Kind != telemetry.StringValue ||
		from.Kind != telemetry.IntValue || to.Kind != telemetry.IntValue {
		return
	}
	fileID, ok := parseFileID(id.Str)
	if !ok {
		return
	}
	n := 0
	for _, a := range b.Scope.Attrs {
		if isFileKey(a.Key) {
			n++
		}
	}
	if n != 3 {
		return
	}
	b.FileID, b.From, b.To = fileID, from.Int, to.Int
	b.Scope.Attrs = slices.DeleteFunc(b.Scope.Attrs, func(a telemetry.Attr) bool { return isFileKey(a.Key) })
	for i := range b.Logs {
		b.Logs[i].UID = telemetry.FileUID(fileID, b.Logs[i].Position)
	}
}

func isFileKey(key string) bool { return key == keyFileID || key == keyFileFrom || key == keyFileTo }

// parseFileID takes 24 lower-case hex digits that are not all zero.
func parseFileID(s string) (id telemetry.FileID, ok bool) {
	var digits, again [2 * len(id)]byte
	if copy(digits[:], s) != len(s) || len(s) != len(digits) {
		return id, false
	}
	if _, err := hex.Decode(id[:], digits[:]); err != nil || id.IsZero() {
		return id, false
	}
	hex.Encode(again[:], id[:])
	return id, digits == again
}

// traceID returns no id for bytes of another length than OTLP's 16.
func traceID(b []byte) (id telemetry.TraceID) {
	if len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}

func spanID(b []byte) (id telemetry.SpanID) {
	if len(b) == len(id) {
		copy(id[:], b)
	}
	return id
}

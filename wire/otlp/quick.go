package otlp

import (
	"encoding/binary"

	"github.com/braidhq/braid/telemetry"
)

// Short cuts for what nearly every encoder writes in one form. Each either reads exactly what the general walk would
// read, or says no; they halve the time of a span.

// quickAttr splits a KeyValue that is a key and a value, both shorter than 128 bytes, and nothing else. Most encoders
// write the key first; the Collector writes fields from the last to the first.
func quickAttr(data []byte) (key, value []byte, ok bool) {
	if len(data) < 4 || data[1] >= 0x80 {
		return nil, nil, false
	}
	n := 2 + int(data[1])
	if len(data) < n+2 || data[n+1] >= 0x80 || len(data) != n+2+int(data[n+1]) {
		return nil, nil, false
	}
	first, second := data[2:n:n], data[n+2:]
	switch {
	case data[0] == attrKey && data[n] == attrValue:
		return first, second, true
	case data[0] == attrValue && data[n] == attrKey:
		return second, first, true
	}
	return nil, nil, false
}

// quickString returns the text of an AnyValue that is a string shorter than 128 bytes and nothing else.
func quickString(value []byte) (s []byte, ok bool) {
	if len(value) < 2 || value[0] != valueString || value[1] >= 0x80 || len(value) != 2+int(value[1]) {
		return nil, false
	}
	return value[2:], true
}

// quickInt returns the number of an AnyValue that is an integer and nothing else.
func quickInt(value []byte) (n int64, ok bool) {
	if len(value) < 2 || value[0] != valueInt {
		return 0, false
	}
	v, length := binary.Uvarint(value[1:])
	return int64(v), length == len(value)-1
}

// quickField takes the attributes that [AppendLogs] itself writes with each line of a file.
func quickField(l *telemetry.Log, data []byte) bool {
	const head = 2 // tag and length, which the caller has read
	if l.Stream == telemetry.UnknownStream {
		switch string(data) {
		case stdoutAttr[head:]:
			l.Stream = telemetry.Stdout
			return true
		case stderrAttr[head:]:
			l.Stream = telemetry.Stderr
			return true
		}
	}
	const n = len(positionHead)
	if len(data) <= n+1 || l.Position != 0 || string(data[:n]) != positionHead || int(data[n]) != len(data)-n-1 {
		return false
	}
	position, ok := quickInt(data[n+1:])
	if !ok || position <= 0 {
		return false
	}
	l.Position = position
	return true
}

// quickCheck reports that a KeyValue is in order without walking it. false means: walk it.
func quickCheck(attr []byte) bool {
	_, value, ok := quickAttr(attr)
	if !ok {
		return false
	}
	if _, ok = quickString(value); !ok {
		_, ok = quickInt(value)
	}
	return ok
}

// quickRead reads a KeyValue whose value is a string or an integer.
func quickRead(a *telemetry.Attr, data []byte) bool {
	key, value, ok := quickAttr(data)
	if !ok {
		return false
	}
	if s, ok := quickString(value); ok {
		a.Value.Str = text(s) // StringValue is the zero kind
	} else if n, ok := quickInt(value); ok {
		a.Value = telemetry.Int(n)
	} else {
		return false
	}
	a.Key = text(key)
	return true
}

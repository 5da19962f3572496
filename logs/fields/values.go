package fields

import (
	"encoding/binary"
	"math"

	"github.com/braidhq/braid/telemetry"
)

// parseLevel reads a level's name, or a number of pino's and bunyan's scale (10 trace … 60 fatal).
func parseLevel(b []byte) telemetry.Severity {
	if len(b) == 2 && b[0]-'0' <= 9 && b[1]-'0' <= 9 {
		switch b[0] {
		case '1':
			return telemetry.SeverityTrace
		case '2':
			return telemetry.SeverityDebug
		case '3':
			return telemetry.SeverityInfo
		case '4':
			return telemetry.SeverityWarn
		case '5':
			return telemetry.SeverityError
		case '6':
			return telemetry.SeverityFatal
		}
		return telemetry.SeverityUnspecified
	}
	return telemetry.ParseSeverity(b)
}

// parseTraceID reads 32 hex digits, or 16 as the low half (B3's 64-bit ids).
func parseTraceID(b []byte) (id telemetry.TraceID) {
	ok := false
	switch len(b) {
	case 32:
		ok = decodeHex(id[:], b)
	case 16:
		ok = decodeHex(id[8:], b)
	}
	if !ok {
		return telemetry.TraceID{}
	}
	return id
}

func parseSpanID(b []byte) (id telemetry.SpanID) {
	if len(b) != 16 || !decodeHex(id[:], b) {
		return telemetry.SpanID{}
	}
	return id
}

// parseDatadogTraceID reads what Datadog's tracers inject: the low 64 bits in decimal, or the whole id in hex.
func parseDatadogTraceID(b []byte) (id telemetry.TraceID) {
	if v, ok := parseDecimal(b); ok {
		binary.BigEndian.PutUint64(id[8:], v)
		return id
	}
	return parseTraceID(b)
}

func parseDatadogSpanID(b []byte) (id telemetry.SpanID) {
	if v, ok := parseDecimal(b); ok {
		binary.BigEndian.PutUint64(id[:], v)
		return id
	}
	return parseSpanID(b)
}

func parseDecimal(b []byte) (v uint64, ok bool) {
	if len(b) == 0 || len(b) > 20 {
		return 0, false
	}
	for _, c := range b {
		d := uint64(c - '0')
		if d > 9 || v > (math.MaxUint64-d)/10 {
			return 0, false
		}
		v = v*10 + d
	}
	return v, true
}

// parseTraceparent reads W3C Trace Context's header: version-traceid-parentid-flags.
func parseTraceparent(b []byte) (trace telemetry.TraceID, span telemetry.SpanID, ok bool) {
	if len(b) < 55 || b[2] != '-' || b[35] != '-' || b[52] != '-' || len(b) > 55 && b[55] != '-' {
		return trace, span, false
	}
	var version, flags [1]byte
	if !decodeHex(version[:], b[:2]) || !decodeHex(flags[:], b[53:55]) || version[0] == 0xff || version[0] == 0 && len(b) != 55 {
		return trace, span, false
	}
	trace, span = parseTraceID(b[3:35]), parseSpanID(b[36:52])
	return trace, span, !trace.IsZero() && !span.IsZero()
}

func decodeHex(dst, src []byte) bool {
	for i := range dst {
		hi, lo := hexDigit[src[2*i]], hexDigit[src[2*i+1]]
		if hi|lo > 15 {
			return false
		}
		dst[i] = hi<<4 | lo
	}
	return true
}

// hexDigit maps a digit to its value and everything else to 255.
var hexDigit = func() (t [256]byte) {
	for i := range t {
		switch {
		case '0' <= i && i <= '9':
			t[i] = byte(i - '0')
		case 'a' <= i && i <= 'f':
			t[i] = byte(i - 'a' + 10)
		case 'A' <= i && i <= 'F':
			t[i] = byte(i - 'A' + 10)
		default:
			t[i] = 255
		}
	}
	return t
}()

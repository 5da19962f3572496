package fields

import (
	"github.com/braidhq/braid/telemetry"
)

// Fields are the facts found in a line; zero values were not found.
type Fields struct {
	Severity telemetry.Severity
	TraceID  telemetry.TraceID
	SpanID   telemetry.SpanID
}

// Scan looks for the fields of a line.
func Scan(body []byte) Fields {
	var f Fields
	start := skipSpace(body, 0)
	if start == len(body) {
		return f
	}
	if body[start] == '{' {
		if end, ok := scanObject(body, start, top, &f); ok && skipSpace(body, end) == len(body) {
			return f
		}
	}
	scanText(body, &f)
	return f
}

func (f *Fields) complete() bool { return f.Severity != 0 && !f.TraceID.IsZero() && !f.SpanID.IsZero() }

// A fact says what the value of a key means.
type fact uint8

const (
	noFact fact = iota
	severity
	traceID
	spanID
	datadogTraceID // decimal 64-bit, or hex
	datadogSpanID
	traceparent
	nested // an object whose members are to be looked at
)

// A scope is the place in a JSON object: its keys have other names one level down.
type scope uint8

const (
	top scope = iota
	inTrace
	inSpan
	inLog
	inDatadog
	elsewhere
)

// factOf returns what a top-level key means. The longest is 13 bytes long.
func factOf(key []byte) fact {
	switch string(key) {
	case "trace_id", "traceId", "traceID", "traceid", "trace.id", "otelTraceID", "TraceId":
		return traceID
	case "span_id", "spanId", "spanID", "spanid", "span.id", "otelSpanID", "SpanId":
		return spanID
	case "dd.trace_id":
		return datadogTraceID
	case "dd.span_id":
		return datadogSpanID
	case "traceparent":
		return traceparent
	case "level", "severity", "lvl", "log.level", "levelname", "@level", "log_level", "loglevel",
		"severity_text", "severityText", "Level":
		return severity
	}
	return noFact
}

const longestKey = 13

// factIn returns what a key of a JSON object in a scope means, and the scope of its members if it holds an object.
func factIn(s scope, key []byte) (fact, scope) {
	switch s {
	case top:
		switch string(key) {
		case "trace":
			return nested, inTrace
		case "span":
			return nested, inSpan
		case "log":
			return nested, inLog
		case "dd":
			return nested, inDatadog
		}
		return factOf(key), elsewhere
	case inTrace:
		if string(key) == "id" {
			return traceID, elsewhere
		}
	case inSpan:
		if string(key) == "id" {
			return spanID, elsewhere
		}
	case inLog:
		if string(key) == "level" {
			return severity, elsewhere
		}
	case inDatadog:
		switch string(key) {
		case "trace_id":
			return datadogTraceID, elsewhere
		case "span_id":
			return datadogSpanID, elsewhere
		}
	}
	return noFact, elsewhere
}

// set takes the value of a fact, text without quotes.
func (f *Fields) set(what fact, value []byte) {
	switch what {
	case severity:
		if f.Severity == 0 {
			f.Severity = parseLevel(value)
		}
	case traceID:
		f.setTrace(parseTraceID(value))
	case spanID:
		f.setSpan(parseSpanID(value))
	case datadogTraceID:
		f.setTrace(parseDatadogTraceID(value))
	case datadogSpanID:
		f.setSpan(parseDatadogSpanID(value))
	case traceparent:
		if trace, span, ok := parseTraceparent(value); ok {
			f.setTrace(trace)
			f.setSpan(span)
		}
	}
}

func (f *Fields) setTrace(id telemetry.TraceID) {
	if f.TraceID.IsZero() {
		f.TraceID = id
	}
}

func (f *Fields) setSpan(id telemetry.SpanID) {
	if f.SpanID.IsZero() {
		f.SpanID = id
	}
}

func skipSpace(b []byte, i int) int {
	for i < len(b) && (b[i] == ' ' || b[i] == '\t' || b[i] == '\n' || b[i] == '\r') {
		i++
	}
	return i
}

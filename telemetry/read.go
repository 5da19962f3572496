package telemetry

// A LogQuery asks a store for lines. Zero fields ask for everything.
type LogQuery struct {
	Tenant      string
	Namespace   string
	Namespaces  []string // any of these, beside Namespace; nil: all
	Pods        []string // any of these; nil: all
	Container   string
	MinSeverity Severity
	TraceID     TraceID
	Text        string // substring of the body, case-sensitive
	// FromUnixNano <= event time < ToUnixNano; 0 leaves a side open.
	FromUnixNano, ToUnixNano int64
	// Tail keeps only the last Tail lines of each container (0: all), Limit ends the answer after so many lines (0: none).
	Tail, Limit int
	// Follow goes on with lines as they are stored, until the context ends.
	Follow bool
	// Previous asks for the attempt before the newest of each container (kubectl logs -p).
	Previous bool
}

// A LogRecord is one stored line, as an answer carries it. Lent during the callback.
type LogRecord struct {
	Resource *Resource
	Log
}

// A Trace is what is stored of one trace.
type Trace struct {
	ID    TraceID
	Spans []SpanRecord
	Logs  []LogRecord // the lines that carry the trace id, by event time
}

// A SpanRecord is one stored span with its identity.
type SpanRecord struct {
	Resource *Resource
	Scope    Scope
	Span
}

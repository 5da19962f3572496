package telemetry

// A TraceQuery asks for the traces that have a span for which all of this holds. Zero fields ask for everything.
type TraceQuery struct {
	Tenant     string
	Namespaces []string // of the span; any of these; nil: all
	Service    string
	Operation  string // the span's name
	Kinds      []SpanKind
	Statuses   []StatusCode
	// Attrs are attributes of the span or its resource as text: numbers in decimal, booleans as true and false.
	Attrs []TextAttr
	// FromUnixNano <= start of the span < ToUnixNano; 0 leaves a side open.
	FromUnixNano, ToUnixNano int64
	// MinNano <= duration of the span <= MaxNano; 0 leaves a side open.
	MinNano, MaxNano int64
	Limit            int // of traces; 0: 100
}

// DefaultTraces is the limit of a [TraceQuery] that says none.
const DefaultTraces = 100

// A TextAttr is an attribute whose value is compared as text.
type TextAttr struct{ Key, Value string }

// An Operation is a span name with the kind of span that has it.
type Operation struct {
	Name string
	Kind SpanKind
}

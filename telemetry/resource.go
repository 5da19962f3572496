package telemetry

// A Resource is the join: the same identity on all three signals. Immutable and shared once it is built.
type Resource struct {
	Cluster          string // k8s.cluster.name
	Node             string // k8s.node.name
	Namespace        string // k8s.namespace.name
	Pod              string // k8s.pod.name
	PodUID           string // k8s.pod.uid
	Container        string // k8s.container.name
	ContainerID      string // container.id
	Service          string // service.name
	ServiceNamespace string // service.namespace
	ServiceVersion   string // service.version
	ServiceInstance  string // service.instance.id
	Restart          int    // k8s.container.restart_count; -1 if unknown
	Attrs            []Attr // every other attribute, in the order received
}

// Kind says which field of a Value counts.
type Kind uint8

// The kinds of Value. A JSONValue is an array or a map, rendered as JSON in Str.
const (
	StringValue Kind = iota
	IntValue
	FloatValue
	BoolValue
	BytesValue
	JSONValue
	EmptyValue
)

// A Value is an attribute's value (OTLP AnyValue).
type Value struct {
	Kind  Kind
	Str   string // StringValue, BytesValue, JSONValue
	Int   int64  // IntValue; BoolValue as 0 or 1
	Float float64
}

// String returns a string value.
func String(s string) Value { return Value{Kind: StringValue, Str: s} }

// Int returns an integer value.
func Int(i int64) Value { return Value{Kind: IntValue, Int: i} }

// An Attr is one attribute. On a decoded record Key and Value alias the decoded body and live as long as the batch.
type Attr struct {
	Key   string
	Value Value
}

// Find returns the value of the first attribute called key.
func Find(attrs []Attr, key string) (Value, bool) {
	for i := range attrs {
		if attrs[i].Key == key {
			return attrs[i].Value, true
		}
	}
	return Value{}, false
}

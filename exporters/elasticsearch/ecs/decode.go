package ecs

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A source is a document as it is read back: log lines and spans alike.
type source struct {
	Timestamp time.Time `json:"@timestamp"`
	Message   string    `json:"message"`
	Event     struct {
		Created  *time.Time         `json:"created"`
		Severity telemetry.Severity `json:"severity"`
		Duration int64              `json:"duration"`
	} `json:"event"`
	Log struct {
		Stream string `json:"iostream"`
		Offset int64  `json:"offset"`
	} `json:"log"`
	Trace  struct{ ID string } `json:"trace"`
	Parent struct{ ID string } `json:"parent"`
	Span   struct {
		ID, Name, Kind string
		Status         struct{ Code, Message string }
	} `json:"span"`
	Service struct {
		Name, Namespace, Version string
		Node                     struct{ Name string }
	} `json:"service"`
	Kubernetes struct {
		Namespace string
		Node      struct{ Name string }
		Pod       struct{ Name, UID string }
		Container struct {
			Name    string
			Restart *int `json:"restart_count"`
		}
	} `json:"kubernetes"`
	Container    struct{ ID string } `json:"container"`
	Orchestrator struct {
		Cluster struct{ Name string }
	} `json:"orchestrator"`
	Labels     attributes `json:"labels"`
	Attributes attributes `json:"attributes"`
	Text       string     `json:"attributes_text"`
	Scope      struct {
		Name, Version string
		Attributes    attributes
	} `json:"scope"`
	Refused struct {
		Labels string `json:"labels"`
	} `json:"refused"`
	Braid struct {
		Flags []string `json:"flags"`
		Body  *[]byte  `json:"body_base64"`
	} `json:"braid"`
}

// DecodeLog reads the document of a line, whose id is id, into record.
func DecodeLog(id string, document []byte, record *telemetry.LogRecord) error {
	d, err := decodeSource(document)
	if err != nil {
		return err
	}
	*record = telemetry.LogRecord{Resource: d.resource()}
	l := &record.Log
	l.UnixNano, l.Severity, l.Position = d.Timestamp.UnixNano(), d.Event.Severity, d.Log.Offset
	if d.Event.Created != nil {
		l.ObservedUnixNano = d.Event.Created.UnixNano()
	}
	for _, stream := range []telemetry.Stream{telemetry.Stdout, telemetry.Stderr} {
		if d.Log.Stream == stream.String() {
			l.Stream = stream
		}
	}
	for _, flag := range flagNames {
		for _, name := range d.Braid.Flags {
			if name == flag.name {
				l.Flags |= flag.bit
			}
		}
	}
	l.Body, l.Attrs = []byte(d.Message), d.Attributes
	if d.Braid.Body != nil {
		l.Body = *d.Braid.Body
	}
	decodeID(l.UID[:], id)
	decodeID(l.TraceID[:], d.Trace.ID)
	decodeID(l.SpanID[:], d.Span.ID)
	return nil
}

// DecodeSpan reads the document of a span into record.
func DecodeSpan(document []byte, record *telemetry.SpanRecord) error {
	d, err := decodeSource(document)
	if err != nil {
		return err
	}
	record.Resource = d.resource()
	record.Scope = telemetry.Scope{Name: d.Scope.Name, Version: d.Scope.Version, Attrs: d.Scope.Attributes}
	p := &record.Span
	p.Name, p.StatusMessage, p.Attrs = d.Span.Name, d.Span.Status.Message, d.Attributes
	p.StartUnixNano = d.Timestamp.UnixNano()
	p.EndUnixNano = p.StartUnixNano + d.Event.Duration
	p.Kind = SpanKind(d.Span.Kind)
	for code := telemetry.StatusUnset; code <= telemetry.StatusError; code++ {
		if code.String() == d.Span.Status.Code {
			p.Status = code
		}
	}
	decodeID(p.TraceID[:], d.Trace.ID)
	decodeID(p.SpanID[:], d.Span.ID)
	decodeID(p.ParentID[:], d.Parent.ID)
	return nil
}

// SpanKind returns the kind that a document calls text; one that it cannot know is unspecified.
func SpanKind(text string) telemetry.SpanKind {
	for kind := telemetry.SpanKindInternal; kind <= telemetry.SpanKindConsumer; kind++ {
		if kind.String() == text {
			return kind
		}
	}
	return telemetry.SpanKindUnspecified
}

func decodeSource(document []byte) (*source, error) {
	d := new(source)
	if err := json.Unmarshal(document, d); err != nil {
		return nil, fmt.Errorf("cannot read a document: %w", err)
	}
	// What a refused document has as text is still what the sender said.
	if err := d.Attributes.fromText(d.Text); err != nil {
		return nil, fmt.Errorf("cannot read the attributes of a document: %w", err)
	}
	if err := d.Labels.fromText(d.Refused.Labels); err != nil {
		return nil, fmt.Errorf("cannot read the labels of a document: %w", err)
	}
	return d, nil
}

func (a *attributes) fromText(text string) error {
	if text == "" {
		return nil
	}
	return a.UnmarshalJSON([]byte(text))
}

func (d *source) resource() *telemetry.Resource {
	r := &telemetry.Resource{
		Cluster: d.Orchestrator.Cluster.Name, Node: d.Kubernetes.Node.Name, Namespace: d.Kubernetes.Namespace,
		Pod: d.Kubernetes.Pod.Name, PodUID: d.Kubernetes.Pod.UID, Container: d.Kubernetes.Container.Name,
		ContainerID: d.Container.ID, Service: d.Service.Name, ServiceNamespace: d.Service.Namespace,
		ServiceVersion: d.Service.Version, ServiceInstance: d.Service.Node.Name, Restart: -1, Attrs: d.Labels,
	}
	if d.Kubernetes.Container.Restart != nil {
		r.Restart = *d.Kubernetes.Container.Restart
	}
	return r
}

// decodeID reads hex into id if it has just that length; another writer's id is left out.
func decodeID(id []byte, digits string) {
	if hex.DecodedLen(len(digits)) == len(id) {
		_, _ = hex.Decode(id, []byte(digits))
	}
}

// attributes are a JSON object that keeps the order of its keys: the inverse of appendAttrs.
type attributes []telemetry.Attr

// UnmarshalJSON implements json.Unmarshaler.
func (a *attributes) UnmarshalJSON(data []byte) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	if open, err := d.Token(); err != nil || open != json.Delim('{') {
		return err // null: none
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var raw json.RawMessage
		if err := d.Decode(&raw); err != nil {
			return err
		}
		value, err := decodeValue(raw)
		if err != nil {
			return err
		}
		*a = append(*a, telemetry.Attr{Key: key.(string), Value: value})
	}
	return nil
}

func decodeValue(raw json.RawMessage) (v telemetry.Value, err error) {
	switch raw[0] {
	case '"':
		v.Kind = telemetry.StringValue
		return v, json.Unmarshal(raw, &v.Str)
	case 't', 'f':
		v.Kind = telemetry.BoolValue
		if raw[0] == 't' {
			v.Int = 1
		}
		return v, nil
	case 'n':
		v.Kind = telemetry.EmptyValue
		return v, nil
	case '{', '[':
		var b struct {
			Base64 *string `json:"base64"`
		}
		if json.Unmarshal(raw, &b) == nil && b.Base64 != nil {
			if decoded, err := base64.StdEncoding.DecodeString(*b.Base64); err == nil {
				return telemetry.Value{Kind: telemetry.BytesValue, Str: string(decoded)}, nil
			}
		}
		return telemetry.Value{Kind: telemetry.JSONValue, Str: string(raw)}, nil
	}
	if !strings.ContainsAny(string(raw), ".eE") && json.Unmarshal(raw, &v.Int) == nil {
		v.Kind = telemetry.IntValue
		return v, nil
	}
	if json.Unmarshal(raw, &v.Float) == nil {
		v.Kind = telemetry.FloatValue
		return v, nil
	}
	return telemetry.Value{Kind: telemetry.JSONValue, Str: string(raw)}, nil // a number beyond every float
}

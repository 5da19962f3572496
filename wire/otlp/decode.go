package otlp

import (
	"errors"
	"fmt"
	"math"
	"sync"
	"unsafe"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/intern"
	"github.com/braidhq/braid/wire/protobuf"
)

// maxElements is how many scopes, records and attributes one body may hold, those of span events and links apart. An
// empty record takes two bytes on the wire and 140 in memory: without a bound a body could grow seventyfold.
const maxElements = 1 << 21

// ErrTooMany says that a body holds more than 2^21 scopes, records and attributes.
var ErrTooMany = errors.New("too many scopes, records and attributes")

// Arenas that one extraordinary body has grown beyond this many records are given back after it.
const keepRecords = 1 << 16

// A Decoder turns bodies into batches. It keeps its memory from call to call and interns resources, so it should live
// as long as its owner. It is not for concurrent use.
type Decoder struct {
	only      *telemetry.Attributes // of spans
	trusting  bool
	resources *resources

	batches  []telemetry.Batch
	pointers []*telemetry.Batch
	logs     []telemetry.Log
	spans    []telemetry.Span
	attrs    []telemetry.Attr
	scratch  []byte // what had to be rendered as text
	merged   []byte // resources and scopes that came in several parts
	elements int
}

// A resource is an interned Resource and the number of attributes it was made of.
type resource struct {
	shared   *telemetry.Resource
	elements int
}

// resources are interned by the decoders of one family, which may be used side by side.
type resources struct {
	mu    sync.Mutex
	cache intern.Cache[resource]
}

// NewDecoder returns a decoder with nothing interned.
func NewDecoder() *Decoder { return &Decoder{resources: &resources{}} }

// Fork returns a decoder that shares its interned resources with d. The two may be used concurrently.
func (d *Decoder) Fork() *Decoder {
	return &Decoder{resources: d.resources, only: d.only, trusting: d.trusting}
}

// Only has spans' attributes left out that are not among those from now on; those of resources and scopes stay, and so does
// Raw. What is left out is checked all the same.
func (d *Decoder) Only(attributes *telemetry.Attributes) { d.only = attributes }

// Trust says that bodies have been checked before, by another decoder or [CountSpans]: what is left out of spans is passed by
// from now on.
func (d *Decoder) Trust() { d.trusting = true }

// Logs decodes an ExportLogsServiceRequest: one batch per ScopeLogs that has records, in order. The result is lent
// until the next call and aliases body, which must not change meanwhile; its Resources may be kept and are never nil.
func (d *Decoder) Logs(body []byte) ([]*telemetry.Batch, error) {
	return d.decode(body, telemetry.Logs)
}

// Spans decodes an ExportTraceServiceRequest: one batch per ScopeSpans that has spans. The result is lent as that of
// [Decoder.Logs]; each span's Raw is the span as it stands in body.
func (d *Decoder) Spans(body []byte) ([]*telemetry.Batch, error) {
	return d.decode(body, telemetry.Spans)
}

func (d *Decoder) decode(body []byte, signal telemetry.Signal) ([]*telemetry.Batch, error) {
	d.reset()
	r := protobuf.Read(body)
	for r.Next() {
		if r.Tag != requestResources {
			r.Skip(knownRequest)
			continue
		}
		if err := d.resourceRecords(r.Data, signal); err != nil {
			return nil, fmt.Errorf("cannot decode OTLP %s: %w", signal, err)
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("cannot decode OTLP %s: %w", signal, err)
	}
	for i := range d.batches {
		d.pointers = append(d.pointers, &d.batches[i])
	}
	return d.pointers, nil
}

func (d *Decoder) reset() {
	if cap(d.logs) > keepRecords || cap(d.spans) > keepRecords || cap(d.attrs) > 8*keepRecords {
		d.logs, d.spans, d.attrs = nil, nil, nil
	}
	if cap(d.scratch) > 1<<22 {
		d.scratch = nil
	}
	d.batches, d.pointers = d.batches[:0], d.pointers[:0]
	d.logs, d.spans, d.attrs = d.logs[:0], d.spans[:0], d.attrs[:0]
	d.scratch, d.merged = d.scratch[:0], d.merged[:0]
	d.elements = 0
}

// Footprint returns how many bytes of memory d has for records: those of its last call lie in it.
func (d *Decoder) Footprint() int {
	return cap(d.batches)*int(unsafe.Sizeof(telemetry.Batch{})) + cap(d.logs)*int(unsafe.Sizeof(telemetry.Log{})) +
		cap(d.spans)*int(unsafe.Sizeof(telemetry.Span{})) + cap(d.attrs)*int(unsafe.Sizeof(telemetry.Attr{})) +
		cap(d.scratch) + cap(d.merged)
}

func (d *Decoder) countElements(n int) error {
	if d.elements += n; d.elements > maxElements {
		return ErrTooMany
	}
	return nil
}

// resourceRecords decodes a ResourceLogs or ResourceSpans. Its resource may come behind its records.
func (d *Decoder) resourceRecords(data []byte, signal telemetry.Signal) error {
	var resource []byte
	var err error
	first := len(d.batches)
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case resourceResource:
			if resource, err = d.merge(resource, r.Data, &resourceMessage); err != nil {
				return err
			}
		case resourceScopes:
			if err := d.scopeRecords(r.Data, signal); err != nil {
				return err
			}
		case resourceSchemaURL:
		default:
			r.Skip(knownScopes)
		}
	}
	if err := r.Err(); err != nil {
		return err
	}
	shared, err := d.resource(resource)
	for i := first; i < len(d.batches); i++ {
		d.batches[i].Resource = shared
	}
	return err
}

// merge returns a message that says what a and then b say: protobuf defines that as their bytes joined. Both are
// checked on their own first: joined, two broken halves may look whole.
func (d *Decoder) merge(a, b []byte, m *message) ([]byte, error) {
	if a == nil {
		return b, nil
	}
	for _, part := range [][]byte{a, b} {
		var w walk
		if err := w.message(part, m); err != nil {
			return nil, err
		}
	}
	start := len(d.merged)
	d.merged = append(append(d.merged, a...), b...)
	return d.merged[start:len(d.merged):len(d.merged)], nil
}

// scopeRecords decodes a ScopeLogs or ScopeSpans. Its scope may come behind its records.
func (d *Decoder) scopeRecords(data []byte, signal telemetry.Signal) error {
	var scope []byte
	logs, spans := len(d.logs), len(d.spans)
	err := d.countElements(1)
	r := protobuf.Read(data)
	for err == nil && r.Next() {
		switch r.Tag {
		case scopeScope:
			scope, err = d.merge(scope, r.Data, &scopeMessage)
		case scopeRecords:
			if signal == telemetry.Logs {
				err = d.log(r.Data)
			} else {
				err = d.span(r.Data)
			}
		case scopeSchemaURL:
		default:
			r.Skip(knownScopes)
		}
	}
	if err == nil {
		err = r.Err()
	}
	if err != nil {
		return err
	}
	b := telemetry.Batch{
		FirstIndex: logs + spans,
		Logs:       d.logs[logs:len(d.logs):len(d.logs)],
		Spans:      d.spans[spans:len(d.spans):len(d.spans)],
	}
	if err := d.scope(scope, &b); err != nil {
		return err
	}
	if b.Len() > 0 {
		d.batches = append(d.batches, b)
	}
	return nil
}

// resource returns the interned Resource of an encoded Resource message.
func (d *Decoder) resource(data []byte) (*telemetry.Resource, error) {
	d.resources.mu.Lock()
	known, ok := d.resources.cache.Get(data)
	d.resources.mu.Unlock()
	if ok {
		return known.shared, d.countElements(known.elements)
	}
	start := len(d.attrs)
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case resourceAttributes:
			if _, err := d.attr(r.Data); err != nil {
				return nil, fmt.Errorf("cannot read resource: %w", err)
			}
		case resourceDropped, resourceEntities:
		default:
			r.Skip(knownScopes)
		}
	}
	if err := r.Err(); err != nil {
		return nil, fmt.Errorf("cannot read resource: %w", err)
	}
	made := resource{NewResource(d.attrs[start:]), len(d.attrs) - start}
	d.attrs = d.attrs[:start] // made of copies
	d.resources.mu.Lock()
	d.resources.cache.Put(data, made)
	d.resources.mu.Unlock()
	return made.shared, nil
}

// scope reads an InstrumentationScope into b.
func (d *Decoder) scope(data []byte, b *telemetry.Batch) error {
	start := len(d.attrs)
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case libraryName:
			b.Scope.Name = text(r.Data)
		case libraryVersion:
			b.Scope.Version = text(r.Data)
		case libraryAttributes:
			if _, err := d.attr(r.Data); err != nil {
				return fmt.Errorf("cannot read scope: %w", err)
			}
		case libraryDropped:
		default:
			r.Skip(knownLibrary)
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("cannot read scope: %w", err)
	}
	b.Scope.Attrs = d.attrs[start:len(d.attrs):len(d.attrs)]
	if len(b.Logs) > 0 {
		takeFile(b)
	}
	return nil
}

// enum returns a field's value as an enum of 0 to highest; unknown ones are 0, unspecified in all of OTLP's enums.
func enum(bits uint64, highest uint64) uint8 {
	if bits > highest || bits > math.MaxUint8 {
		return 0
	}
	return uint8(bits)
}

package otlp

import (
	"fmt"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// span decodes a Span into the arena.
func (d *Decoder) span(data []byte) error {
	if err := d.countElements(1); err != nil {
		return err
	}
	d.spans = append(d.spans, telemetry.Span{Raw: data})
	s := &d.spans[len(d.spans)-1]
	attrs, elements := len(d.attrs), d.elements
	if d.quickSpan(s, data) {
		s.Attrs = d.attrs[attrs:len(d.attrs):len(d.attrs)]
		return nil
	}
	*s, d.attrs, d.elements = telemetry.Span{Raw: data}, d.attrs[:attrs], elements
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case spanTraceID:
			s.TraceID = traceID(r.Data)
		case spanSpanID:
			s.SpanID = spanID(r.Data)
		case spanParentID:
			s.ParentID = spanID(r.Data)
		case spanName:
			s.Name = text(r.Data)
		case spanKind:
			s.Kind = telemetry.SpanKind(enum(r.Bits, maxKind))
		case spanStart:
			s.StartUnixNano = int64(r.Bits)
		case spanEnd:
			s.EndUnixNano = int64(r.Bits)
		case spanAttributes:
			a, err := d.attr(r.Data)
			if err != nil {
				return fmt.Errorf("cannot read span %d: %w", len(d.spans)-1, err)
			}
			d.keep(a)
		case spanStatus:
			if err := readStatus(r.Data, s); err != nil {
				return fmt.Errorf("cannot read status of span %d: %w", len(d.spans)-1, err)
			}
		default:
			if err := checkOther(&r); err != nil {
				return fmt.Errorf("cannot read span %d: %w", len(d.spans)-1, err)
			}
		}
	}
	if err := r.Err(); err != nil {
		return fmt.Errorf("cannot read span %d: %w", len(d.spans)-1, err)
	}
	s.Attrs = d.attrs[attrs:len(d.attrs):len(d.attrs)]
	return nil
}

func readStatus(data []byte, s *telemetry.Span) error {
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case statusMessage:
			s.StatusMessage = text(r.Data)
		case statusCode:
			s.Status = telemetry.StatusCode(enum(r.Bits, maxStatusCode))
		default:
			r.Skip(knownStatus)
		}
	}
	return r.Err()
}

// checkOther checks the current field of a span that a Batch does not hold: it is stored and forwarded in Raw.
func checkOther(r *protobuf.Reader) error {
	f := spanMessage[min(r.Tag>>3, lastField)]
	if f.sub != nil && r.Tag&7 == f.wire {
		var w walk
		return w.message(r.Data, f.sub)
	}
	if f.sub != nil || !f.known || r.Tag&7 != f.wire {
		r.Skip(knownSpan)
	}
	return nil
}

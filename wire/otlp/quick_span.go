package otlp

import (
	"encoding/binary"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// The short cuts for spans. They walk a span by hand for as long as it has the form that nearly all have: numbers of fields
// below 16, lengths below 2^14, attributes that are strings or integers, no events or links. Else they say no, and the
// general walk begins anew.

// spanFlags is the two bytes of the only tag beyond 15 that spans often have: flags, a fixed32.
const spanFlags = 16<<3 | protobuf.Fixed32

// skipNumber returns how many bytes the field at the front of b takes, if it is a number that need not be read.
func skipNumber(b []byte) int {
	if len(b) >= 6 && b[0] == spanFlags&0x7f|0x80 && b[1] == spanFlags>>7 {
		return 6
	}
	return 0
}

// lengthOf reads the length of a field of bytes in front of b, and returns what it takes and that length; 0: no short cut.
func lengthOf(b []byte) (head, n int) {
	if len(b) == 0 {
		return 0, 0
	}
	head, n = 1, int(b[0])
	if n >= 0x80 {
		if len(b) < 2 || b[1] >= 0x80 {
			return 0, 0
		}
		head, n = 2, n&0x7f|int(b[1])<<7
	}
	if n > len(b)-head {
		return 0, 0
	}
	return head, n
}

// splitAttr looks at an attribute, its length in front of it, that b begins with: n is what both take, key where the key's
// length stands, value where the value's does. 0: it is not of two short fields.
func splitAttr(b []byte) (n, key, value int) {
	if len(b) < 5 || b[0] >= 0x80 || b[2] >= 0x80 {
		return 0, 0, 0
	}
	n, second := int(b[0])+1, int(b[2])+3
	if n > len(b) || second+1 >= n || second+2+int(b[second+1]) != n {
		return 0, 0, 0
	}
	switch {
	case b[1] == attrKey && b[second] == attrValue:
		return n, 2, second + 1
	case b[1] == attrValue && b[second] == attrKey:
		return n, second + 1, 2
	}
	return 0, 0, 0
}

// stringAttr returns how many bytes b begins with that are an attribute, its length in front, whose value is a string; 0: it is
// something else, or ends behind b.
func stringAttr(b []byte) int {
	n, _, v := splitAttr(b)
	if n == 0 || b[v] < 2 || b[v+1] != valueString || b[v+2] != b[v]-2 {
		return 0
	}
	return n
}

// checkSpan returns how many attributes a span has that is in order; no: the general walk decides.
func checkSpan(b []byte) (attrs int, ok bool) {
	for i := 0; i < len(b); {
		switch b[i] {
		case spanAttributes:
			attrs++
			if n := stringAttr(b[i+1:]); n > 0 {
				i += 1 + n
				break
			}
			head, n := lengthOf(b[i+1:])
			i += 1 + head
			if head == 0 || !quickCheck(b[i:i+n:i+n]) {
				return 0, false
			}
			i += n
		case spanTraceID, spanSpanID, spanTraceState, spanParentID, spanName:
			head, n := lengthOf(b[i+1:])
			if head == 0 {
				return 0, false
			}
			i += 1 + head + n
		case spanStart, spanEnd:
			i += 9
		case spanKind:
			if i+1 >= len(b) || b[i+1] >= 0x80 {
				return 0, false
			}
			i += 2
		case spanStatus:
			head, n := lengthOf(b[i+1:])
			i += 1 + head
			if head == 0 || readStatus(b[i:i+n], &telemetry.Span{}) != nil {
				return 0, false
			}
			i += n
		default:
			n := skipNumber(b[i:])
			if n == 0 {
				return 0, false
			}
			i += n
		}
		if i > len(b) {
			return 0, false
		}
	}
	return attrs, true
}

// quickSpan reads a span into s and the arena of attributes.
func (d *Decoder) quickSpan(s *telemetry.Span, b []byte) bool {
	for i := 0; i < len(b); {
		tag := b[i]
		switch {
		case tag == spanAttributes && d.trusting && d.only.None():
			head, n := lengthOf(b[i+1:])
			if head == 0 {
				return false
			}
			i += 1 + head + n
			continue
		case tag == spanAttributes:
			if n := d.quickSpanAttr(b[i+1:]); n > 0 {
				i += 1 + n
				continue
			}
		case tag == spanStart && len(b)-i >= 9:
			s.StartUnixNano = int64(binary.LittleEndian.Uint64(b[i+1:]))
			i += 9
			continue
		case tag == spanEnd && len(b)-i >= 9:
			s.EndUnixNano = int64(binary.LittleEndian.Uint64(b[i+1:]))
			i += 9
			continue
		case tag == spanKind && len(b)-i >= 2 && b[i+1] < 0x80:
			s.Kind = telemetry.SpanKind(enum(uint64(b[i+1]), maxKind))
			i += 2
			continue
		case tag&7 != protobuf.Bytes || tag >= 0x80:
			n := skipNumber(b[i:])
			if n == 0 {
				return false
			}
			i += n
			continue
		}
		head, n := lengthOf(b[i+1:])
		if head == 0 {
			return false
		}
		i += 1 + head
		if !d.quickBytes(s, tag, b[i:i+n:i+n]) {
			return false
		}
		i += n
	}
	return d.elements <= maxElements
}

// quickBytes reads a field of bytes of a span.
func (d *Decoder) quickBytes(s *telemetry.Span, tag byte, data []byte) bool {
	switch tag {
	case spanTraceID:
		s.TraceID = traceID(data)
	case spanSpanID:
		s.SpanID = spanID(data)
	case spanParentID:
		s.ParentID = spanID(data)
	case spanName:
		s.Name = text(data)
	case spanTraceState:
	case spanStatus:
		return readStatus(data, s) == nil
	case spanAttributes:
		a, err := d.attr(data)
		if err != nil {
			return false
		}
		d.keep(a)
	default:
		return d.trusting // events and links are left out
	}
	return true
}

// quickSpanAttr reads an attribute, its length in front, that b begins with, and returns what both take. 0: it is not a key
// with a string or an integer, all shorter than 128 bytes.
func (d *Decoder) quickSpanAttr(b []byte) int {
	n, k, v := splitAttr(b)
	if n == 0 {
		return 0
	}
	value := b[v+1 : v+1+int(b[v])]
	if len(value) >= 2 && value[0] == valueString && int(value[1]) == len(value)-2 {
		d.elements++
		if v := d.newAttr(b[k+1 : k+1+int(b[k])]); v != nil {
			v.Str = text(value[2:]) // StringValue is the zero kind
		}
		return n
	}
	i, ok := quickInt(value)
	if !ok {
		return 0
	}
	d.elements++
	if v := d.newAttr(b[k+1 : k+1+int(b[k])]); v != nil {
		*v = telemetry.Int(i)
	}
	return n
}

// newAttr appends an attribute to the arena and returns its value; nil: nobody asks for it.
func (d *Decoder) newAttr(name []byte) *telemetry.Value {
	if !d.only.HasLength(len(name)) {
		return nil
	}
	key, ok := d.only.Find(text(name))
	if !ok {
		return nil
	}
	n := len(d.attrs)
	if n < cap(d.attrs) {
		d.attrs = d.attrs[:n+1]
	} else {
		d.attrs = append(d.attrs, telemetry.Attr{})
	}
	d.attrs[n] = telemetry.Attr{Key: key}
	return &d.attrs[n].Value
}

// keep takes a, the last of the arena, out again if nobody asks for it.
func (d *Decoder) keep(a *telemetry.Attr) {
	key, ok := d.only.Find(a.Key)
	if !ok {
		d.attrs = d.attrs[:len(d.attrs)-1]
		return
	}
	a.Key = key
}

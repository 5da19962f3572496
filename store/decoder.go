package store

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/braidhq/braid/telemetry"
)

// errCorrupt says that stored bytes are not what this package writes.
var errCorrupt = errors.New("stored record is corrupt")

func appendString[T string | []byte](b []byte, s T) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendAttrs(b []byte, attrs []telemetry.Attr) []byte {
	b = binary.AppendUvarint(b, uint64(len(attrs)))
	for i := range attrs {
		b = appendString(b, attrs[i].Key)
		v := &attrs[i].Value
		b = append(b, byte(v.Kind))
		switch v.Kind {
		case telemetry.IntValue, telemetry.BoolValue:
			b = binary.AppendVarint(b, v.Int)
		case telemetry.FloatValue:
			b = binary.BigEndian.AppendUint64(b, math.Float64bits(v.Float))
		case telemetry.EmptyValue:
		default:
			b = appendString(b, v.Str)
		}
	}
	return b
}

// A decoder takes fields off the front of b. Its first error sticks; what it returns after that is zero.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail() { d.b, d.err = nil, errCorrupt }

func (d *decoder) take(n int) []byte {
	if d.err != nil || n < 0 || n > len(d.b) {
		d.fail()
		return nil
	}
	p := d.b[:n:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) byte() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.fail()
		return 0
	}
	d.b = d.b[n:]
	return v
}

// bytes returns a length-prefixed field, aliasing the input.
func (d *decoder) bytes() []byte {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.fail()
		return nil
	}
	return d.take(int(n))
}

func (d *decoder) string() string { return string(d.bytes()) }

// attrs appends the attributes to dst.
func (d *decoder) attrs(dst []telemetry.Attr) []telemetry.Attr {
	n := d.uvarint()
	if n > uint64(len(d.b)) { // each takes more than a byte: no allocation by a corrupt count
		d.fail()
		return dst
	}
	for ; n > 0 && d.err == nil; n-- {
		a := telemetry.Attr{Key: d.string()}
		a.Value.Kind = telemetry.Kind(d.byte())
		switch a.Value.Kind {
		case telemetry.IntValue, telemetry.BoolValue:
			a.Value.Int = d.varint()
		case telemetry.FloatValue:
			if p := d.take(8); p != nil {
				a.Value.Float = math.Float64frombits(binary.BigEndian.Uint64(p))
			}
		case telemetry.EmptyValue:
		case telemetry.StringValue, telemetry.BytesValue, telemetry.JSONValue:
			a.Value.Str = d.string()
		default:
			d.fail()
		}
		dst = append(dst, a)
	}
	return dst
}

// end reports the first error, or that bytes are left over.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) > 0 {
		d.fail()
	}
	return d.err
}

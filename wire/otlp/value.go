package otlp

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"unsafe"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// maxDepth is how many arrays and maps may lie inside one another.
const maxDepth = 64

// ErrTooDeep says that a value is nested deeper than 64 arrays and maps.
var ErrTooDeep = errors.New("value is nested too deeply")

// An anyValue is an AnyValue whose list, if it is one, has been checked and still is protobuf.
type anyValue struct {
	kind  telemetry.Kind
	isMap bool // of a JSONValue: a KeyValueList, not an ArrayValue
	bits  uint64
	data  []byte
}

// merge is read for an AnyValue that has been checked.
func (v *anyValue) merge(data []byte) {
	if err := v.read(data, -1); err != nil {
		panic("BUG: value was not checked: " + err.Error())
	}
}

// trusted returns the value of an AnyValue that has been checked.
func trusted(data []byte) anyValue {
	v := anyValue{kind: telemetry.EmptyValue}
	v.merge(data)
	return v
}

// read merges the AnyValue in data into v: the last of its fields wins, and v stays if there is none. depth counts the
// lists around it; lists inside it are checked, unless depth is negative: then they have been.
func (v *anyValue) read(data []byte, depth int) error {
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case valueString:
			*v = anyValue{kind: telemetry.StringValue, data: r.Data}
		case valueBool:
			*v = anyValue{kind: telemetry.BoolValue, bits: r.Bits}
		case valueInt:
			*v = anyValue{kind: telemetry.IntValue, bits: r.Bits}
		case valueDouble:
			*v = anyValue{kind: telemetry.FloatValue, bits: r.Bits}
		case valueBytes:
			*v = anyValue{kind: telemetry.BytesValue, data: r.Data}
		case valueIndex:
			*v = anyValue{kind: telemetry.EmptyValue} // an index into a profile's strings: means nothing here
		case valueArray, valueMap:
			*v = anyValue{kind: telemetry.JSONValue, data: r.Data, isMap: r.Tag == valueMap}
			if depth < 0 {
				continue
			}
			if err := checkList(r.Data, v.isMap, depth+1); err != nil {
				return err
			}
		default:
			r.Skip(knownValue)
		}
	}
	return r.Err()
}

// checkList checks an ArrayValue or KeyValueList that is the depth-th of those inside one another.
func checkList(data []byte, isMap bool, depth int) error {
	if depth > maxDepth {
		return ErrTooDeep
	}
	r := protobuf.Read(data)
	for r.Next() {
		if r.Tag != listValues {
			r.Skip(knownList)
			continue
		}
		var err error
		if isMap {
			err = checkAttr(r.Data, depth)
		} else {
			var v anyValue
			err = v.read(r.Data, depth)
		}
		if err != nil {
			return err
		}
	}
	return r.Err()
}

// checkAttr checks a KeyValue inside depth lists.
func checkAttr(data []byte, depth int) error {
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case attrKey, attrKeyIndex:
		case attrValue:
			var v anyValue
			if err := v.read(r.Data, depth); err != nil {
				return err
			}
		default:
			r.Skip(knownAttr)
		}
	}
	return r.Err()
}

// attr appends the KeyValue in data to the arena of attributes.
func (d *Decoder) attr(data []byte) (*telemetry.Attr, error) {
	if err := d.countElements(1); err != nil {
		return nil, err
	}
	d.attrs = append(d.attrs, telemetry.Attr{})
	a := &d.attrs[len(d.attrs)-1]
	if quickRead(a, data) {
		return a, nil
	}
	v := anyValue{kind: telemetry.EmptyValue}
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case attrKey:
			a.Key = text(r.Data)
		case attrValue:
			if err := v.read(r.Data, 0); err != nil {
				return nil, fmt.Errorf("cannot read attribute %q: %w", a.Key, err)
			}
		case attrKeyIndex:
		default:
			r.Skip(knownAttr)
		}
	}
	d.setValue(&a.Value, v)
	return a, r.Err()
}

func (d *Decoder) setValue(dst *telemetry.Value, v anyValue) {
	dst.Kind = v.kind
	switch v.kind {
	case telemetry.StringValue, telemetry.BytesValue:
		dst.Str = text(v.data)
	case telemetry.IntValue:
		dst.Int = int64(v.bits)
	case telemetry.BoolValue:
		if v.bits != 0 {
			dst.Int = 1
		}
	case telemetry.FloatValue:
		dst.Float = math.Float64frombits(v.bits)
	case telemetry.JSONValue:
		dst.Str = text(d.render(v))
	}
}

// body returns a log record's body as text: nil for none.
func (d *Decoder) body(v anyValue) []byte {
	switch v.kind {
	case telemetry.StringValue, telemetry.BytesValue:
		return v.data
	case telemetry.EmptyValue:
		return nil
	case telemetry.FloatValue:
		start := len(d.scratch)
		d.scratch = strconv.AppendFloat(d.scratch, math.Float64frombits(v.bits), 'g', -1, 64)
		return d.scratch[start:len(d.scratch):len(d.scratch)]
	}
	return d.render(v)
}

// render returns v as JSON. Like the body it lives until the next call.
func (d *Decoder) render(v anyValue) []byte {
	start := len(d.scratch)
	d.scratch = renderValue(d.scratch, v)
	return d.scratch[start:len(d.scratch):len(d.scratch)]
}

// text returns b as a string that aliases it.
func text(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

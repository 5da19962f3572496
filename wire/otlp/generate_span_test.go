package otlp_test

import (
	"math"
	"slices"

	"github.com/braidhq/braid/wire/protobuf"
)

// rawSpans returns encoded spans as no encoder writes them: fields in any order, repeated, unknown, and in every form that
// protobuf allows. pdata takes them too.
func (g generator) rawSpans() [][]byte {
	spans := make([][]byte, 1+g.IntN(3))
	for i := range spans {
		span := []byte{}
		for range g.IntN(12) {
			span = append(span, g.rawField()...)
		}
		spans[i] = span
	}
	return spans
}

// sized is field, now and then with a length that takes a byte or two more than it needs.
func (g generator) sized(number byte, content ...[]byte) []byte {
	data := message(content...)
	if n := len(data); n < 1<<7 {
		switch g.IntN(20) {
		case 0:
			return append([]byte{number<<3 | protobuf.Bytes, byte(n) | 0x80, 0}, data...)
		case 1:
			return append([]byte{number<<3 | protobuf.Bytes, byte(n) | 0x80, 0x80, 0}, data...)
		}
	}
	return field(int(number), data)
}

func (g generator) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(g.Uint32())
	}
	return b
}

func (g generator) varint(number protobuf.Tag) []byte {
	if g.IntN(8) == 0 {
		return append(protobuf.AppendVarint(nil, uint64(number<<3)), 0x80|byte(g.IntN(8)), 0) // a byte longer than it need be
	}
	return protobuf.AppendTagged(nil, number<<3, []uint64{0, 1, 2, 5, 6, 127, 128, 300, math.MaxUint64}[g.IntN(9)])
}

func (g generator) fixed64(number protobuf.Tag) []byte {
	return protobuf.AppendFixed64(nil, number<<3|protobuf.Fixed64, g.Uint64())
}

func (g generator) rawField() []byte {
	switch g.IntN(20) {
	case 0:
		return g.sized(1, g.bytes(16*g.IntN(2)))
	case 1:
		return g.sized(2, g.bytes(8*g.IntN(2)))
	case 2:
		return g.sized(4, g.bytes(8*g.IntN(2)))
	case 3:
		return g.sized(3, []byte(g.text()))
	case 4:
		return g.sized(5, []byte(g.text()))
	case 5:
		return g.varint(6)
	case 6:
		return g.fixed64(7)
	case 7:
		return g.fixed64(8)
	case 8:
		return g.sized(15, g.rawStatus())
	case 9:
		return append([]byte{0x85, 1}, g.bytes(4)...) // flags
	case 10:
		return slices.Concat(g.varint(10), g.varint(12), g.varint(14)) // dropped counts
	case 11:
		return g.sized(11, g.fixed64(1), field(2, []byte(g.text())), field(3, g.rawAttr()), g.varint(4))
	case 12:
		return g.sized(13, field(1, g.bytes(16)), field(2, g.bytes(8)), field(4, g.rawAttr()), g.varint(5))
	case 13:
		return g.unknown()
	}
	return g.sized(9, g.rawAttr())
}

func (g generator) unknown() []byte {
	number := protobuf.Tag([]int{17, 20, 99, 1 << 20}[g.IntN(4)])
	switch g.IntN(3) {
	case 0:
		return g.varint(number)
	case 1:
		return g.fixed64(number)
	}
	return field(int(number), []byte(g.text()))
}

func (g generator) rawStatus() []byte {
	parts := [][]byte{field(2, []byte(g.text())), g.varint(3), field(2), g.unknown()}
	g.Shuffle(len(parts), func(i, j int) { parts[i], parts[j] = parts[j], parts[i] })
	return message(parts[:g.IntN(len(parts)+1)]...)
}

// rawAttr returns a KeyValue: mostly a key and a value.
func (g generator) rawAttr() []byte {
	key, value := g.sized(1, []byte(g.key())), g.sized(2, g.rawValue(2))
	switch g.IntN(14) {
	case 0:
		return nil
	case 1:
		return key
	case 2:
		return value
	case 3:
		return message(key, str(g.key()), value)
	case 4:
		return message(key, value, field(2, g.rawValue(1)))
	case 5:
		return message(key, value, g.varint(3))
	case 6:
		return message(g.unknown(), key, value)
	case 7:
		return message(key, value, g.unknown())
	case 8, 9, 10:
		return message(value, key)
	}
	return message(key, value)
}

// rawValue returns an AnyValue: mostly a string or an integer.
func (g generator) rawValue(depth int) []byte {
	switch n := g.IntN(16); {
	case n == 0:
		return nil
	case n == 1:
		return g.varint(2)
	case n == 2:
		return g.fixed64(4)
	case n == 3:
		return field(7, []byte(g.text()))
	case n == 4 && depth > 0:
		return field(5, field(1, g.rawValue(depth-1)), field(1, g.rawValue(depth-1)))
	case n == 5 && depth > 0:
		return field(6, field(1, g.rawAttr()))
	case n == 6:
		return message(g.varint(3), str(g.text()))
	case n == 7:
		return message(str(g.text()), g.unknown())
	case n == 8 && g.IntN(8) == 0:
		return str(g.huge())
	case n < 12:
		return g.varint(3)
	}
	return g.sized(1, []byte(g.text()))
}

// damaged returns b with one to three bytes changed, put in or taken out, or cut short.
func (g generator) damaged(b []byte) []byte {
	b = slices.Clone(b)
	for range 1 + g.IntN(3) {
		if len(b) == 0 {
			return []byte{byte(g.Uint32())}
		}
		i := g.IntN(len(b))
		if g.IntN(2) == 0 {
			i = g.IntN(min(len(b), 40)) // where the tags and lengths are, should a long text follow
		}
		switch g.IntN(6) {
		case 0:
			b[i] = byte(g.Uint32())
		case 1:
			b[i]++
		case 2:
			b[i]--
		case 3:
			b = slices.Insert(b, i, byte(g.Uint32()))
		case 4:
			b = slices.Delete(b, i, i+1)
		case 5:
			b = b[:i]
		}
	}
	return b
}

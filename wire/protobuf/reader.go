package protobuf

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// A Tag is number<<3 | wire type, as it stands in front of a field.
type Tag uint32

// The wire types. Groups (3 and 4) are errors.
const (
	Varint  = 0
	Fixed64 = 1
	Bytes   = 2 // a string, bytes, a message or packed numbers
	Fixed32 = 5
)

const maxNumber = 1<<29 - 1

// What can be wrong with the bytes of a message; [Reader.Err] wraps one of them.
var (
	ErrTruncated = errors.New("message ends inside a field")
	ErrVarint    = errors.New("varint does not fit into 64 bits")
	ErrTag       = errors.New("field number or wire type is not allowed")
	ErrWireType  = errors.New("known field has another wire type")
)

// A Reader walks the fields of one message:
//
//	for r.Next() {
//		switch r.Tag {
//		case name<<3 | protobuf.Bytes:
//			…
//		default:
//			r.Skip(known)
//		}
//	}
//	return r.Err()
type Reader struct {
	Tag  Tag
	Bits uint64 // the value of a Varint, Fixed64 or Fixed32 field
	Data []byte // the value of a Bytes field; aliases the message, its capacity is its length

	src    []byte
	pos    int
	failed int // the position before the field that could not be read
	err    error
}

// Read returns a reader of message.
func Read(message []byte) Reader { return Reader{src: message} }

// Next reads one field. It returns false at the end and after an error.
func (r *Reader) Next() bool {
	src, pos := r.src, r.pos
	if uint(pos) >= uint(len(src)) {
		return false
	}
	tag := uint64(src[pos])
	pos++
	if tag >= 0x80 {
		if tag, pos = r.varint(pos - 1); pos < 0 {
			return false
		}
	}
	if tag < 1<<3 || tag > maxNumber<<3|7 {
		return r.fail(ErrTag)
	}
	r.Tag = Tag(tag)
	if tag&7 != Bytes {
		return r.number(pos)
	}
	if pos >= len(src) {
		return r.fail(ErrTruncated)
	}
	n := uint64(src[pos])
	pos++
	if n >= 0x80 {
		if n, pos = r.varint(pos - 1); pos < 0 {
			return false
		}
	}
	if n > uint64(len(src)-pos) {
		return r.fail(ErrTruncated)
	}
	end := pos + int(n)
	r.Data, r.pos = src[pos:end:end], end
	return true
}

// number reads the value of a field that is not of bytes.
func (r *Reader) number(pos int) bool {
	src := r.src[pos:]
	switch r.Tag & 7 {
	case Varint:
		if len(src) > 0 && src[0] < 0x80 {
			r.Bits, r.pos = uint64(src[0]), pos+1
			return true
		}
		if r.Bits, pos = r.varint(pos); pos < 0 {
			return false
		}
		r.pos = pos
	case Fixed64:
		if len(src) < 8 {
			return r.fail(ErrTruncated)
		}
		r.Bits, r.pos = binary.LittleEndian.Uint64(src), pos+8
	case Fixed32:
		if len(src) < 4 {
			return r.fail(ErrTruncated)
		}
		r.Bits, r.pos = uint64(binary.LittleEndian.Uint32(src)), pos+4
	default:
		return r.fail(ErrTag)
	}
	return true
}

// Skip passes over the current field, unless its number is in known (bit n for field n): the caller's switch knew that
// field under another wire type, and the message is damaged or of another schema.
func (r *Reader) Skip(known uint64) {
	if number := r.Tag >> 3; number < 64 && known>>number&1 == 1 {
		r.fail(ErrWireType)
	}
}

// Err returns what stopped Next, nil at the end of the message.
func (r *Reader) Err() error {
	if r.err == nil {
		return nil
	}
	return fmt.Errorf("cannot read field %d behind byte %d of %d: %w", r.Tag>>3, r.failed, len(r.src), r.err)
}

// fail ends the walk: Next looks at the position only.
func (r *Reader) fail(err error) bool {
	r.err, r.failed, r.pos = err, r.pos, len(r.src)
	return false
}

// varint reads a varint at pos and returns the position behind it, -1 if it failed.
func (r *Reader) varint(pos int) (uint64, int) {
	v, n := Uvarint(r.src[pos:])
	switch {
	case n > 0:
		return v, pos + n
	case n == 0:
		r.fail(ErrTruncated)
	default:
		r.fail(ErrVarint)
	}
	return 0, -1
}

// Uvarint reads a varint from the front of src. n is its length, 0 if src is too short, negative if it overflows.
func Uvarint(src []byte) (v uint64, n int) {
	// Two bytes are by far the most frequent after one: lengths of records, and small references.
	if len(src) >= 2 && src[0] >= 0x80 && src[1] < 0x80 {
		return uint64(src[0]&0x7f) | uint64(src[1])<<7, 2
	}
	return binary.Uvarint(src)
}

// Zigzag undoes the encoding of sint32 and sint64.
func Zigzag(v uint64) int64 { return int64(v>>1) ^ -int64(v&1) }

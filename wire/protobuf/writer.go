package protobuf

import (
	"encoding/binary"
	"math/bits"
)

// SizeVarint returns the length of v as a varint: 1 to 10.
func SizeVarint(v uint64) int { return (bits.Len64(v|1) + 6) / 7 }

// SizeBytes returns the size of a field with a tag of one byte and n bytes of data.
func SizeBytes(n int) int { return 1 + SizeVarint(uint64(n)) + n }

// AppendVarint appends v.
func AppendVarint(dst []byte, v uint64) []byte {
	if v < 0x80 {
		return append(dst, byte(v))
	}
	return binary.AppendUvarint(dst, v)
}

// AppendTagged appends a varint field.
func AppendTagged(dst []byte, tag Tag, v uint64) []byte {
	return AppendVarint(AppendVarint(dst, uint64(tag)), v)
}

// AppendFixed64 appends a field of eight bytes.
func AppendFixed64(dst []byte, tag Tag, v uint64) []byte {
	return binary.LittleEndian.AppendUint64(AppendVarint(dst, uint64(tag)), v)
}

// AppendLen appends the tag and length of a Bytes field; its n bytes of data are the caller's to append.
func AppendLen(dst []byte, tag Tag, n int) []byte {
	return AppendVarint(AppendVarint(dst, uint64(tag)), uint64(n))
}

// AppendBytes appends a field of bytes, a message or packed numbers.
func AppendBytes(dst []byte, tag Tag, data []byte) []byte {
	return append(AppendLen(dst, tag, len(data)), data...)
}

// AppendString appends a field of text.
func AppendString(dst []byte, tag Tag, s string) []byte {
	return append(AppendLen(dst, tag, len(s)), s...)
}

// AppendZigzag appends a sint32 or sint64 field.
func AppendZigzag(dst []byte, tag Tag, v int64) []byte {
	return AppendTagged(dst, tag, uint64(v)<<1^uint64(v>>63))
}

// openLen is the width of a length that [Close] fills in: 2^35 bytes at most.
const openLen = 5

// Open begins a message of unknown length and returns where its content starts, for [Close].
//
// The length is written five bytes wide, padded as the encoding allows. A size pass over everything inside would cost
// more than the whole encoding of small records, moving the content afterwards a copy of it; so Open is for the few
// outer messages that hold many records.
func Open(dst []byte, tag Tag) ([]byte, int) {
	dst = AppendVarint(dst, uint64(tag))
	dst = append(dst, 0x80, 0x80, 0x80, 0x80, 0)
	return dst, len(dst)
}

// Close ends the message whose content started at start.
func Close(dst []byte, start int) {
	n := uint64(len(dst) - start)
	if n>>35 != 0 {
		panic("BUG: message longer than 32 GiB")
	}
	for i := start - openLen; i < start-1; i++ {
		dst[i] = byte(n) | 0x80
		n >>= 7
	}
	dst[start-1] = byte(n)
}

// OpenShort begins a message that is likely shorter than 128 bytes and returns where its content starts, for
// [CloseShort], which moves the content if the length needs more than the one byte kept for it.
func OpenShort(dst []byte, tag Tag) ([]byte, int) {
	dst = append(AppendVarint(dst, uint64(tag)), 0)
	return dst, len(dst)
}

// CloseShort ends the message whose content started at start.
func CloseShort(dst []byte, start int) []byte {
	n := len(dst) - start
	if n < 0x80 {
		dst[start-1] = byte(n)
		return dst
	}
	var length [binary.MaxVarintLen64]byte
	width := binary.PutUvarint(length[:], uint64(n))
	dst = append(dst, length[:width-1]...)
	copy(dst[start-1+width:], dst[start:start+n])
	copy(dst[start-1:], length[:width])
	return dst
}

package pipeline

import (
	"encoding/binary"
	"errors"
	"hash/crc32"

	"github.com/braidhq/braid/telemetry"
)

// A stored frame is its head, its tenant and its body, one after the other; see docs/format/queue.md.
const (
	marker    = "\xf5br\x1a"
	frameHead = 68 // bytes before the tenant
	crcFrom   = 12 // the CRC covers the frame from here on, after the seed
	maxTenant = 1<<16 - 1
	// maxFrame bounds what a damaged length can make a reader allocate.
	maxFrame = 1 << 30
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errShort   = errors.New("the frame goes on after these bytes")
	errDamaged = errors.New("no frame here")
)

func frameSize(f *telemetry.Frame) int64 {
	return frameHead + int64(len(f.Tenant)) + int64(len(f.Body))
}

// A place is what a stored frame is bound to besides its bytes: the same bytes at another position or in another queue
// are no frame, so bodies that contain frames cannot pass for frames when a reader looks for the next one.
type place struct {
	queue  telemetry.QueueID
	signal telemetry.Signal
}

// seed is the CRC of the place, the position and the length. (By hand, since crc32.Update lets its argument escape: an
// allocation a frame.)
func (p place) seed(position uint64, length uint32) uint32 {
	var b [20]byte
	copy(b[:8], p.queue[:])
	binary.LittleEndian.PutUint64(b[8:], position)
	binary.LittleEndian.PutUint32(b[16:], length)
	crc := ^uint32(0)
	for _, c := range b {
		crc = castagnoli[byte(crc)^c] ^ (crc >> 8)
	}
	return ^crc
}

// appendHead appends all of the stored frame but its body.
func appendHead(dst []byte, f *telemetry.Frame, p place, position uint64, stamp int64) []byte {
	var h [frameHead]byte
	length := uint32(frameSize(f) - crcFrom)
	copy(h[:], marker)
	binary.LittleEndian.PutUint32(h[4:], length)
	h[12], h[13], h[14] = byte(f.Signal), byte(f.Encoding), byte(f.Compression)
	binary.LittleEndian.PutUint64(h[16:], uint64(stamp))
	binary.LittleEndian.PutUint64(h[24:], f.Key)
	copy(h[32:], f.ID[:])
	copy(h[48:], f.Origin[:])
	binary.LittleEndian.PutUint64(h[56:], f.Sequence)
	binary.LittleEndian.PutUint16(h[64:], uint16(len(f.Tenant)))
	start := len(dst)
	dst = append(append(dst, h[:]...), f.Tenant...)
	sum := crc32.Update(p.seed(position, length), castagnoli, dst[start+crcFrom:])
	sum = crc32.Update(sum, castagnoli, f.Body)
	binary.LittleEndian.PutUint32(dst[start+8:], sum)
	return dst
}

// frameLength returns the whole size of the frame that b seems to begin with, of which left bytes at most can be there.
// It looks at the head only: errShort asks for that many bytes, errDamaged says that there is no frame.
func frameLength(b []byte, p place, left uint64) (int, error) {
	if left < frameHead {
		return 0, errDamaged
	}
	if len(b) < frameHead {
		return frameHead, errShort
	}
	size := uint64(binary.LittleEndian.Uint32(b[4:])) + crcFrom
	tenant := uint64(binary.LittleEndian.Uint16(b[64:]))
	if string(b[:4]) != marker || size > min(left, maxFrame) || size < frameHead+tenant || b[12] != byte(p.signal) {
		return 0, errDamaged
	}
	return int(size), nil
}

// parseFrame reads the frame at the beginning of b, which lies at position. It returns the frame's size, or errShort
// with the number of bytes it needs, or errDamaged. f.Body aliases b; the tenant is interned.
func parseFrame(f *telemetry.Frame, b []byte, p place, position, left uint64, tenants *interner) (int, error) {
	size, err := frameLength(b, p, left)
	if err != nil {
		return size, err
	}
	if len(b) < size {
		return size, errShort
	}
	sum := crc32.Update(p.seed(position, uint32(size-crcFrom)), castagnoli, b[crcFrom:size])
	if sum != binary.LittleEndian.Uint32(b[8:]) {
		return 0, errDamaged
	}
	tenant := int(binary.LittleEndian.Uint16(b[64:]))
	*f = telemetry.Frame{
		Signal: telemetry.Signal(b[12]), Encoding: telemetry.Encoding(b[13]), Compression: telemetry.Compression(b[14]),
		ReceivedUnixNano: int64(binary.LittleEndian.Uint64(b[16:])),
		Key:              binary.LittleEndian.Uint64(b[24:]),
		ID:               [16]byte(b[32:48]),
		Origin:           telemetry.QueueID(b[48:56]),
		Sequence:         binary.LittleEndian.Uint64(b[56:]),
		Tenant:           tenants.get(b[frameHead : frameHead+tenant]),
		Position:         position,
		Body:             b[frameHead+tenant : size : size],
	}
	return size, nil
}

// An interner keeps the last few tenants, so that a lane of one tenant allocates its name once.
type interner struct{ seen map[string]string }

const maxInterned = 256

func (i *interner) get(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	if s, ok := i.seen[string(b)]; ok {
		return s
	}
	if i.seen == nil || len(i.seen) >= maxInterned {
		i.seen = map[string]string{}
	}
	s := string(b)
	i.seen[s] = s
	return s
}

package traces

import (
	"encoding/binary"
	"math"
)

// A decoder takes fields off the front of b; once it is bad, what it returns is zero.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) take(n uint64) []byte {
	if d.bad || n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return nil
	}
	p := d.b[:n]
	d.b = d.b[n:]
	return p
}

func (d *decoder) byte() byte {
	if p := d.take(1); p != nil {
		return p[0]
	}
	return 0
}

func (d *decoder) fixed64() uint64 {
	if p := d.take(8); p != nil {
		return binary.BigEndian.Uint64(p)
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) varint() int64 {
	v, n := binary.Varint(d.b)
	if n <= 0 {
		d.b, d.bad = nil, true
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) string() string { return string(d.take(d.uvarint())) }

// key reads a key of n values.
func (d *decoder) key(n int) string {
	key := d.string()
	if !d.bad && !isKey(key, n) {
		d.bad = true
	}
	return key
}

func appendString(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func appendFloat(b []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(b, math.Float64bits(f))
}

// A shape: its kind, and its bounds with their number in front.
func (s *shape) append(b []byte) []byte {
	b = append(b, byte(s.kind))
	b = binary.AppendUvarint(b, uint64(len(s.bounds)))
	for _, bound := range s.bounds {
		b = appendFloat(b, bound)
	}
	return b
}

func (d *decoder) shape() (s shape) {
	s.kind = Histograms(d.byte())
	n := d.uvarint()
	for ; n > 0 && !d.bad; n-- {
		s.bounds = append(s.bounds, math.Float64frombits(d.fixed64()))
	}
	d.bad = d.bad || s.kind > Both
	return s
}

// durations: count, sum (seconds, nanoseconds); native: zero count, schema (varint), the number of populated buckets
// and of each the distance of its index from the last one's (varint; the first from 0) and its count; classic: a count
// a bucket. Numbers are uvarints.
func (d *durations) append(b []byte, s *shape) []byte {
	b = binary.AppendUvarint(b, d.count)
	b = binary.AppendUvarint(b, d.sum.whole)
	b = binary.AppendUvarint(b, d.sum.nanos)
	if s.kind.native() {
		b = binary.AppendUvarint(b, d.zero)
		b = binary.AppendVarint(b, int64(d.schema))
		b = binary.AppendUvarint(b, uint64(d.populated))
		last := int32(0)
		for i, n := range d.counts {
			if n > 0 {
				index := d.low + int32(i)
				b = binary.AppendVarint(b, int64(index-last))
				b = binary.AppendUvarint(b, n)
				last = index
			}
		}
	}
	for _, n := range d.buckets {
		b = binary.AppendUvarint(b, n)
	}
	return b
}

// Durations lie between 2^-30 and 2^34 seconds.
const maxIndex = 1 << 9

func (d *decoder) durations(s *shape) durations {
	h := newDurations(s)
	h.count, h.sum = d.uvarint(), duration{d.uvarint(), d.uvarint()}
	d.bad = d.bad || h.sum.nanos >= carry
	if s.kind.native() {
		d.native(&h)
	}
	total := uint64(0)
	for i := range h.buckets {
		n := d.uvarint()
		d.bad = d.bad || n > h.count-total
		h.buckets[i] = n
		total += n
	}
	d.bad = d.bad || s.kind.classic() && total != h.count
	return h
}

func (d *decoder) native(h *durations) {
	h.zero, h.schema = d.uvarint(), int32(d.varint())
	if h.schema < -4 || h.schema > startSchema {
		d.bad = true
	}
	if h.zero > h.count || h.count > math.MaxInt64 {
		d.bad = true
	}
	total, index := h.zero, int64(0)
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		step, count := d.varint(), d.uvarint()
		if index += step; index < -maxIndex || index > maxIndex || step == 0 && len(h.counts) > 0 || count == 0 || count > h.count-total {
			d.bad = true
			return
		}
		h.add(int32(index), count)
		total += count
	}
	d.bad = d.bad || total != h.count
}

package traces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"unicode/utf8"

	"github.com/braidhq/braid/telemetry"
)

// snapshotVersion is the first byte of a snapshot. Version 1: the number of bounds and the bounds (float64, big-endian),
// the receive time of the last sweep (varint), the number of series, and of each: service and span name with their
// lengths, kind, status, last receive time (varint), sum of nanoseconds (float64), and a count a bucket. Numbers are uvarints.
const snapshotVersion = 1

// ErrSnapshot says that a snapshot cannot be read.
var ErrSnapshot = errors.New("not a snapshot of span metrics")

// Snapshot returns all counts.
func (r *RED) Snapshot() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := make([]byte, 0, 16+8*len(bounds)+len(r.series)*96)
	b = append(b, snapshotVersion)
	b = binary.AppendUvarint(b, uint64(len(bounds)))
	for _, bound := range bounds {
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(bound))
	}
	b = binary.AppendVarint(b, r.swept)
	b = binary.AppendUvarint(b, uint64(len(r.series)))
	for k, s := range r.series {
		b = binary.AppendUvarint(b, uint64(len(k.service)))
		b = append(b, k.service...)
		b = binary.AppendUvarint(b, uint64(len(k.name)))
		b = append(b, k.name...)
		b = append(b, byte(k.kind), byte(k.status))
		b = binary.AppendVarint(b, s.received)
		b = binary.BigEndian.AppendUint64(b, math.Float64bits(s.nanos))
		for _, n := range s.buckets {
			b = binary.AppendUvarint(b, n)
		}
	}
	return b
}

// Restore replaces all counts by those of a snapshot; an empty one has none. On an error the counts stay as they are.
func (r *RED) Restore(snapshot []byte) error {
	swept, restored, err := readSnapshot(snapshot)
	if err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swept, r.series = swept, restored
	return nil
}

func readSnapshot(b []byte) (swept int64, all map[key]*series, err error) {
	all = map[key]*series{}
	if len(b) == 0 {
		return 0, all, nil
	}
	if b[0] != snapshotVersion {
		return 0, nil, fmt.Errorf("%w: it has version %d and this braid reads %d", ErrSnapshot, b[0], snapshotVersion)
	}
	d := decoder{b: b[1:]}
	if n := d.uvarint(); n != uint64(len(bounds)) {
		return 0, nil, fmt.Errorf("%w: it has %d bounds", ErrSnapshot, n)
	}
	for _, bound := range bounds {
		if got := math.Float64frombits(d.fixed64()); got != bound && !d.bad {
			return 0, nil, fmt.Errorf("%w: it has the bound %v for %v", ErrSnapshot, got, bound)
		}
	}
	swept = d.varint()
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		k := key{service: d.string(), name: d.string()}
		k.kind, k.status = telemetry.SpanKind(d.byte()), telemetry.StatusCode(d.byte())
		s := &series{received: d.varint(), nanos: math.Float64frombits(d.fixed64())}
		for i := range s.buckets {
			s.buckets[i] = d.uvarint()
		}
		if k.kind > telemetry.SpanKindConsumer || k.status > telemetry.StatusError ||
			!utf8.ValidString(k.service) || !utf8.ValidString(k.name) || all[k] != nil {
			d.bad = true
		}
		all[k] = s
	}
	if d.bad || len(d.b) > 0 {
		return 0, nil, fmt.Errorf("%w: it is damaged", ErrSnapshot)
	}
	return swept, all, nil
}

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

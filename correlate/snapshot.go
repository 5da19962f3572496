package correlate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"
)

// snapshotVersion is the first byte of a snapshot of LogCounts. Version 2: the receive time of the last sweep (varint),
// the number of containers, and of each: namespace, pod and container with their lengths, the last receive time
// (varint), the bytes, the lines of the seven severities, the pod's UID with its length, and the restarts (varint).
// Numbers are uvarints. Version 1, which is read, has neither UID nor restarts.
const snapshotVersion = 2

// ErrSnapshot says that a snapshot cannot be read.
var ErrSnapshot = errors.New("not a snapshot that can be read")

// AppendSnapshot appends all counts to b.
func (c *LogCounts) AppendSnapshot(b []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	b = append(slices.Grow(b, 16+len(c.containers)*96), snapshotVersion)
	b = binary.AppendVarint(b, c.swept)
	b = binary.AppendUvarint(b, uint64(len(c.containers)))
	for k, n := range c.containers {
		for _, s := range [...]string{k.namespace, k.pod, k.name} {
			b = binary.AppendUvarint(b, uint64(len(s)))
			b = append(b, s...)
		}
		b = binary.AppendVarint(b, n.received)
		b = binary.AppendUvarint(b, n.bytes)
		for _, lines := range n.lines {
			b = binary.AppendUvarint(b, lines)
		}
		b = appendVarint(appendString(b, n.uid), int64(n.restart))
	}
	return b
}

// Restore replaces all counts by those of a snapshot; an empty one has none. On an error the counts stay as they are.
func (c *LogCounts) Restore(snapshot []byte) error {
	swept, restored, err := readSnapshot(snapshot)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.swept, c.containers = swept, restored
	return nil
}

func readSnapshot(b []byte) (swept int64, all map[container]*counts, err error) {
	all = map[container]*counts{}
	if len(b) == 0 {
		return 0, all, nil
	}
	version := b[0]
	if version < 1 || version > snapshotVersion {
		return 0, nil, fmt.Errorf("%w: it has version %d and this braid reads up to %d", ErrSnapshot, version, snapshotVersion)
	}
	d := decoder{b: b[1:]}
	swept = d.varint()
	for left := d.uvarint(); left > 0 && !d.bad; left-- {
		k := container{d.string(), d.string(), d.string()}
		n := &counts{received: d.varint(), bytes: d.uvarint(), restart: -1}
		for i := range n.lines {
			n.lines[i] = d.uvarint()
		}
		if version > 1 {
			n.uid, n.restart = d.string(), int(d.varint())
		}
		if all[k] != nil || !utf8.ValidString(k.namespace+k.pod+k.name) {
			d.bad = true
		}
		all[k] = n
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

func (d *decoder) string() string {
	n := d.uvarint()
	if n > uint64(len(d.b)) {
		d.b, d.bad = nil, true
		return ""
	}
	s := string(d.b[:n])
	d.b = d.b[n:]
	return s
}

func appendUvarint(b []byte, n int) []byte { return binary.AppendUvarint(b, uint64(n)) }

func appendVarint(b []byte, n int64) []byte { return binary.AppendVarint(b, n) }

func appendString(b []byte, s string) []byte { return append(appendUvarint(b, len(s)), s...) }

package traces

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// snapshotVersion is the first byte of a snapshot. Version 2: the shape of histograms, the number of dimensions and
// their names, the receive time of the last sweep (varint), the number of series, and of each: its key, start and last
// receive time (varint), latency; then the number of targets, and of each: its key and last receive time (varint).
// Numbers are uvarints; strings and keys have their length in front.
const snapshotVersion = 2

// ErrSnapshot says that a snapshot cannot be read.
var ErrSnapshot = errors.New("not a snapshot of span metrics")

// AppendSnapshot appends all counts to b. Candidates for exemplars are not in it: after a restart they come anew.
func (r *RED) AppendSnapshot(b []byte) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	b = append(slices.Grow(b, 64+len(r.series)*160+len(r.targets.known)*128), snapshotVersion)
	b = r.shape.append(b)
	b = binary.AppendUvarint(b, uint64(len(r.dimensions)))
	for _, name := range r.dimensions {
		b = appendString(b, name)
	}
	b = binary.AppendVarint(b, r.swept)
	b = binary.AppendUvarint(b, uint64(len(r.series)))
	for key, s := range r.series {
		b = appendString(b, key)
		b = binary.AppendVarint(b, s.start)
		b = binary.AppendVarint(b, s.received)
		b = s.latency.append(b, &r.shape)
	}
	b = binary.AppendUvarint(b, uint64(len(r.targets.known)))
	for key, t := range r.targets.known {
		b = appendString(b, key)
		b = binary.AppendVarint(b, t.received)
	}
	return b
}

// Restore replaces all counts by those of a snapshot; an empty one has none. On an error the counts stay as they are.
//
// Under other dimensions or other histograms than the snapshot was taken with, counts begin anew, with a new start
// timestamp: they are other series.
func (r *RED) Restore(snapshot []byte) error {
	s := redState{series: map[string]*redSeries{}, targets: newTargets()}
	if len(snapshot) > 0 {
		var err error
		if s, err = r.read(snapshot); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.swept, r.series, r.targets, r.gone = s.swept, s.series, s.targets, nil
	clear(r.overflowed[:])
	return nil
}

type redState struct {
	swept   int64
	series  map[string]*redSeries
	targets targets
}

func (r *RED) read(b []byte) (redState, error) {
	if b[0] == 1 {
		return r.readVersion1(b[1:])
	}
	s := redState{series: map[string]*redSeries{}, targets: newTargets()}
	if b[0] != snapshotVersion {
		return s, fmt.Errorf("%w: it has version %d and this braid reads %d", ErrSnapshot, b[0], snapshotVersion)
	}
	d := decoder{b: b[1:]}
	shape := d.shape()
	var dimensions []string
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		dimensions = append(dimensions, d.string())
	}
	s.swept = d.varint()
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		x := &redSeries{key: d.key(len(redNames) + len(dimensions)), start: d.varint(), received: d.varint(), latency: d.durations(&shape)}
		d.bad = d.bad || s.series[x.key] != nil
		s.series[x.key] = x
	}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		t := &target{key: d.key(len(targetNames)), received: d.varint()}
		d.bad = d.bad || s.targets.known[t.key] != nil
		s.targets.known[t.key] = t
	}
	if d.bad || len(d.b) > 0 {
		return s, fmt.Errorf("%w: it is damaged", ErrSnapshot)
	}
	if !shape.equal(&r.shape) || !slices.Equal(dimensions, r.dimensions) {
		clear(s.series)
	}
	return s, nil
}

func (s *shape) equal(other *shape) bool {
	return s.kind == other.kind && slices.Equal(s.bounds, other.bounds)
}

package pipeline

import (
	"maps"
	"math"
	"path/filepath"
	"slices"
	"sync"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// A lane is one signal's row of segments. What is synced is under mu and visible to readers; what the committer is
// writing is in writer and its alone.
type lane struct {
	place
	fs       disk.FS
	dir      string
	maxBytes int64
	// segmentBytes is the size at which the writer rolls.
	segmentBytes int64

	mu       sync.Mutex
	segments []*segment // oldest first; the last one may be written to
	gone     bookmark   // where the lane's first segment begins: what lay before it is deleted
	frames   uint64     // synced since the lane began
	cursors  map[string]*Cursor
	dormant  map[string]uint64 // committed positions of persisted cursors that nobody has opened

	trimming sync.Mutex // held while segments are deleted, so that no cursor opens into one that goes
	idFiles  []idFile   // oldest first; guarded by trimming
	writer   writer
}

func (l *lane) cursorDir() string { return filepath.Join(l.dir, "cursors") }

// bytes is what the synced part of the lane takes on disk.
func (l *lane) bytes() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int64(0)
	for _, s := range l.segments {
		n += s.bytes()
	}
	return n
}

// publish makes the frames up to end of the newest segment visible and wakes the cursors. Those among them that are decoded
// are offered to who has asked for them.
func (l *lane) publish(seg *segment, end, frames uint64, decoded []freshFrame) {
	l.mu.Lock()
	defer l.mu.Unlock()
	seg.end, seg.durable = end, true
	l.frames += frames
	for _, c := range l.cursors {
		if c.options.Follows != nil {
			continue // it waits for that one
		}
		if c.fresh != nil {
			c.fresh.offer(decoded...)
		}
		c.knock()
	}
}

func (l *lane) addSegment(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.segments = append(l.segments, s)
}

// dropSegment takes a segment that never became durable out of the row.
func (l *lane) dropSegment(s *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.segments); n > 0 && l.segments[n-1] == s {
		l.segments = l.segments[:n-1]
	}
}

// end returns the position after the last synced frame.
func (l *lane) end() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := len(l.segments) - 1; i >= 0; i-- {
		if s := l.segments[i]; s.end > s.base || i == 0 {
			return s.end
		}
	}
	return 0
}

// find returns the segment to read position from, the position moved there, and the end of what can be read in it.
// Without anything to read the segment is nil.
func (l *lane) find(position uint64) (seg *segment, pos, end uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.end > s.base && position < s.end {
			return s, max(position, s.base), s.end
		}
	}
	return nil, position, 0
}

// lag returns how many bytes of frames lie synced past position.
func (l *lane) lag(position uint64) (bytes int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.segments {
		if s.end > max(position, s.base) {
			bytes += int64(s.end - max(position, s.base))
		}
	}
	return bytes
}

// lowWater returns the position before which nobody needs a frame. A full lane is ruthless: it asks neither the
// optional cursors, nor those that nobody has opened in this run, nor what is merely held for replay.
func (l *lane) lowWater(ruthless bool) uint64 {
	low := uint64(math.MaxUint64)
	for _, c := range l.cursors {
		if !ruthless || !c.options.Optional {
			low = min(low, c.committed.position)
		}
	}
	if !ruthless {
		for _, position := range l.dormant {
			low = min(low, position)
		}
	}
	if len(l.cursors) == 0 {
		return 0 // the cursors of this run are still to come
	}
	return low
}

// heldSince returns the receive time from which on cursors want to see frames again after a restart. It is called
// without mu: what a cursor holds for may be in another lane.
func (l *lane) heldSince() int64 {
	since := int64(math.MaxInt64)
	for _, c := range l.opened() {
		if c.options.Hold <= 0 {
			continue
		}
		l.mu.Lock()
		stamp := c.committed.stamp
		l.mu.Unlock()
		since = min(since, c.options.held(stamp))
	}
	return since
}

// removable returns the oldest segment if it may go. The newest durable one stays: it knows where the lane goes on.
func (l *lane) removable(ruthless bool) (seg *segment, newest int64) {
	held := l.heldSince()
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.segments) < 2 || !l.segments[1].durable {
		return nil, 0
	}
	seg, newest = l.segments[0], l.segments[1].stamp
	if seg.end > l.lowWater(ruthless) || (!ruthless && newest >= held) {
		return nil, 0
	}
	return seg, newest
}

// forget takes the oldest segment, seg, out of the row.
func (l *lane) forget(seg *segment) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.segments[0] != seg {
		panic("BUG: only the oldest segment of a lane goes")
	}
	l.segments = l.segments[1:]
	l.gone = bookmark{position: seg.end, ordinal: l.segments[0].ordinal}
}

func (l *lane) removed() bookmark {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// opened returns the lane's open cursors.
func (l *lane) opened() []*Cursor {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Collect(maps.Values(l.cursors))
}

// allConsumed reports whether the newest segment has frames and nobody who counts for a full lane needs them.
func (l *lane) allConsumed() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.segments)
	return n > 0 && l.segments[n-1].end > l.segments[n-1].base && l.segments[n-1].end <= l.lowWater(true)
}

func newLane(q telemetry.QueueID, s telemetry.Signal, o Options) *lane {
	maxBytes := o.laneBytes(s)
	return &lane{
		place: place{queue: q, signal: s}, fs: o.FS, dir: filepath.Join(o.Dir, s.String()),
		maxBytes: maxBytes, segmentBytes: max(min(o.SegmentBytes, maxBytes/8), segmentHeader+frameHead),
		cursors: map[string]*Cursor{}, dormant: map[string]uint64{},
	}
}

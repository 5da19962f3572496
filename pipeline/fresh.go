package pipeline

import (
	"sync"

	"github.com/braidhq/braid/telemetry"
)

// fresh are frames of a lane that were decoded already, for one cursor that comes right behind: behind the receiver if it is
// at the lane's end nearly always, or behind another delivery. What has no room there, or came without, the cursor reads from
// the disk.
type fresh struct {
	maxBytes int // of bodies

	mu     sync.Mutex
	frames []freshFrame // in lane order, ahead of the cursor
	bytes  int
	ended  bool

	lent []telemetry.Frame // the cursor's: returned by its last poll
}

type freshFrame struct {
	frame telemetry.Frame // its body is the decompressed one
	size  uint64          // as it is stored
}

// The bounds of what may wait decoded. A cursor at the lane's end is one group behind; one behind another delivery has some of
// its rounds to do.
const (
	maxFreshBytes    = 4 << 20
	maxFollowedBytes = 8 << 20
	maxFreshFrames   = 64
)

// newFresh returns f, stored where it says, as its cursor is to see it.
func newFresh(f *telemetry.Frame, d *telemetry.Decoded) freshFrame {
	x := freshFrame{*f, uint64(frameSize(f))}
	x.frame.Body, x.frame.Compression, x.frame.Decoded = d.Body, telemetry.Identity, d
	return x
}

// offer adds frames, which the cursor may have now.
func (q *fresh) offer(frames ...freshFrame) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range frames {
		x := &frames[i]
		if q.ended || len(q.frames) >= maxFreshFrames || q.bytes+len(x.frame.Body) > q.maxBytes {
			return // the cursor is behind: it reads from here on
		}
		x.frame.Decoded.Hold()
		q.frames = append(q.frames, *x)
		q.bytes += len(x.frame.Body)
	}
}

// take returns the frames from position on and before limit, at most as many, lent until the next call; the position after
// them; and where the next one lies that it has: up to there frames are to be read. 0 says that there is none.
func (q *fresh) take(position, limit uint64, maxBytes, maxFrames int) (frames []telemetry.Frame, after, next uint64) {
	q.giveBack()
	q.mu.Lock()
	defer q.mu.Unlock()
	n, bytes := 0, 0
	for ; n < len(q.frames); n++ {
		x := &q.frames[n]
		if x.frame.Position < position { // it was read from the disk meanwhile
			x.frame.Decoded.Release()
		} else if x.frame.Position == position && position < limit && len(q.lent) < maxFrames && (bytes < maxBytes || len(q.lent) == 0) {
			q.lent = append(q.lent, x.frame)
			bytes += int(x.size) // as if it were read
			position += x.size
		} else {
			next = x.frame.Position
			break
		}
		q.bytes -= len(x.frame.Body)
	}
	rest := copy(q.frames, q.frames[n:])
	clear(q.frames[rest:])
	q.frames = q.frames[:rest]
	return q.lent, position, next
}

// giveBack lets go of what was lent.
func (q *fresh) giveBack() {
	for i := range q.lent {
		q.lent[i].Decoded.Release()
	}
	clear(q.lent)
	q.lent = q.lent[:0]
}

// end lets go of everything that was not lent, and takes no more.
func (q *fresh) end() {
	q.mu.Lock()
	defer q.mu.Unlock()
	for i := range q.frames {
		q.frames[i].frame.Decoded.Release()
	}
	q.frames, q.bytes, q.ended = nil, 0, true
}

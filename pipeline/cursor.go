package pipeline

import (
	"context"
	"fmt"
	"math"
	"sync/atomic"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// CursorOptions of one cursor.
type CursorOptions struct {
	// Optional gives up the oldest frames, counted, when the lane is full, rather than have senders wait.
	Optional bool
	// Hold keeps what was received within Hold before the committed position, and on opening begins there: frames
	// before the committed position are replayed (see [Cursor.Replayed]). A full lane gives up held segments first.
	Hold time.Duration
	// HoldFor are cursors, of whichever lane, that what is held is for: Hold counts back from the committed place of one
	// that lies before this cursor's own. They must be opened first.
	HoldFor []*Cursor
	// Decoded has frames handed over as their receiver has decoded them (see [telemetry.Decoded]), where that can be: it is
	// for the one cursor of a lane that is at its end nearly always.
	Decoded bool
	// Follows is a delivery on the same lane: no frame is read that it has not passed. What it has decoded it hands over, as
	// far as one cursor goes: only the first that follows a delivery gets it.
	Follows *Delivery
}

// A Cursor is a named reader of one lane whose position and state survive restarts. Next, Commit and State belong to
// one goroutine; the other methods may be called from any.
type Cursor struct {
	q       *Queue
	lane    *lane
	name    string
	options CursorOptions
	wake    chan struct{} // the lane has more
	gone    chan struct{} // closed by Close
	closed  atomic.Bool

	committed bookmark // guarded by lane.mu
	opened    bookmark // committed as it was when the cursor was opened
	state     []byte
	since     int64        // what is replayed was received then or later
	oldest    atomic.Int64 // stamp of the oldest frame that was read and not committed; 0: none

	fresh      *fresh // nil: it did not ask for decoded frames
	scan       scanner
	seg        *segment // that scan reads
	at         bookmark // after the frames returned so far
	stored     bookmark // what committed was last, for this goroutine
	lost       uint64   // frames since then that were dropped, not delivered
	readErrors int
	metrics    cursorMetrics
}

// A bookmark is a place in a lane: a position, how many frames lie before it, and the stamp of the last one.
type bookmark struct {
	position uint64
	ordinal  uint64
	stamp    int64
}

const (
	defaultNextBytes = 1 << 20
	maxNextFrames    = 4096
)

// Next returns the next synced frames, at least one and then as many as have bodies of maxBytes together (0: 1 MiB); it
// waits for the first. They are lent until the next call. A corrupt record is passed by and counted.
func (c *Cursor) Next(ctx context.Context, maxBytes int) ([]telemetry.Frame, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		frames, err := c.poll(maxBytes, maxNextFrames)
		if err != nil || len(frames) > 0 {
			return frames, err
		}
		if err := c.wait(ctx, nil); err != nil {
			return nil, err
		}
	}
}

// knock has wait return.
func (c *Cursor) knock() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// wait returns nil when the lane may have more, or when timer fires.
func (c *Cursor) wait(ctx context.Context, timer <-chan time.Time) error {
	select {
	case <-c.wake:
		return nil
	case <-timer:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-c.gone:
		return ErrClosed
	}
}

// whileOpen returns a context that ends with ctx and when the cursor is closed.
func (c *Cursor) whileOpen(ctx context.Context) (context.Context, context.CancelFunc) {
	open, cancel := context.WithCancel(ctx)
	go func() {
		select {
		case <-c.gone:
			cancel()
		case <-open.Done():
		}
	}()
	return open, cancel
}

// poll is Next without waiting: no frames and no error say that the lane has no more.
func (c *Cursor) poll(maxBytes, maxFrames int) ([]telemetry.Frame, error) {
	if c.closed.Load() {
		c.leave()
		c.giveBack()
		return nil, ErrClosed
	}
	if maxBytes <= 0 {
		maxBytes = defaultNextBytes
	}
	limit := uint64(math.MaxUint64)
	if c.options.Follows != nil {
		limit = c.options.Follows.at()
	}
	next := limit
	if c.fresh != nil {
		frames, after, there := c.fresh.take(c.at.position, limit, maxBytes, maxFrames)
		if len(frames) > 0 {
			c.leave() // the segment may go meanwhile
			c.at.position = after
			return c.have(frames), nil
		}
		if there > c.at.position {
			next = min(next, there)
		}
	}
	for {
		seg, position, end := c.lane.find(c.at.position)
		if seg == nil || position >= limit {
			return nil, nil
		}
		if end = min(end, limit); position < next {
			end = min(end, next)
		}
		if seg != c.seg {
			if err := c.enter(seg, position); err != nil {
				if again, _, _ := c.lane.find(c.at.position); again != seg {
					continue // it went meanwhile
				}
				return nil, err
			}
		}
		frames, err := c.read(end, maxBytes, maxFrames)
		if err != nil {
			return nil, err
		}
		c.drop(reasonCorrupt, uint64(c.scan.damaged))
		c.scan.damaged = 0
		c.at.position = c.scan.pos
		if frames = c.replayFrom(frames); len(frames) > 0 {
			return c.have(frames), nil
		}
	}
}

// have notes frames that are returned.
func (c *Cursor) have(frames []telemetry.Frame) []telemetry.Frame {
	c.at.ordinal += uint64(len(frames))
	c.at.stamp = frames[len(frames)-1].ReceivedUnixNano
	if !c.Replayed(frames[0].Position) {
		c.oldest.CompareAndSwap(0, frames[0].ReceivedUnixNano)
	}
	return frames
}

// maxReadErrors is how often in a row a place is read in vain before it is passed by as corrupt; with the waits of
// Delivery and Forward that is up to half a minute.
const maxReadErrors = 8

func (c *Cursor) read(end uint64, maxBytes, maxFrames int) ([]telemetry.Frame, error) {
	c.scan.pass = c.readErrors >= maxReadErrors
	frames, err := c.scan.read(end, maxBytes, maxFrames)
	if err != nil {
		c.readErrors++
		return nil, err
	}
	c.readErrors = 0
	return frames, nil
}

// enter turns the scanner to position of seg, and counts the frames that should have been before it and were not seen.
func (c *Cursor) enter(seg *segment, position uint64) error {
	file, err := c.lane.fs.Open(seg.name)
	if err != nil {
		return fmt.Errorf("cannot read the queue: %w", err)
	}
	c.leave()
	if gone := c.lane.removed(); c.at.position < gone.position {
		c.drop(reasonSkipped, gone.ordinal-min(gone.ordinal, c.at.ordinal))
	}
	if position == seg.base {
		c.drop(reasonCorrupt, seg.ordinal-min(seg.ordinal, c.at.ordinal))
		c.at.ordinal = seg.ordinal
	}
	c.seg, c.at.position = seg, position
	c.scan.open(file, seg.base, position)
	return nil
}

// giveBack ends the loan of decoded frames.
func (c *Cursor) giveBack() {
	if c.fresh != nil {
		c.fresh.giveBack()
	}
}

// leave closes the segment that is read.
func (c *Cursor) leave() {
	if c.scan.file != nil {
		c.scan.file.Close()
	}
	c.scan.file, c.seg = nil, nil
}

// replayFrom passes by the frames that were received too long before the committed position to be replayed.
func (c *Cursor) replayFrom(frames []telemetry.Frame) []telemetry.Frame {
	i := 0
	for i < len(frames) && c.Replayed(frames[i].Position) && frames[i].ReceivedUnixNano < c.since {
		i++
	}
	c.at.ordinal += uint64(i)
	return frames[i:]
}

// drop counts frames that were not delivered; in a replay they have been counted before.
func (c *Cursor) drop(reason dropReason, frames uint64) {
	if frames == 0 {
		return
	}
	if reason != reasonQuarantined { // that one was read and counted
		c.at.ordinal += frames
	}
	if c.Replayed(c.at.position) {
		return
	}
	c.lost += frames
	c.metrics.dropped[reason].Add(float64(frames))
}

// Commit says that all frames returned so far are done: position and state are stored together, durably. The position
// never moves back: during a replay only the state is stored.
func (c *Cursor) Commit(state []byte) error { return c.commit(c.at, state) }

func (c *Cursor) commit(at bookmark, state []byte) error {
	if c.closed.Load() {
		return ErrClosed
	}
	if at.position < c.stored.position {
		at = c.stored
	}
	disk.Point("cursor.commit.before")
	if err := c.lane.writeCursor(c.name, at, state); err != nil {
		return err
	}
	disk.Point("cursor.commit.after")
	if done := int64(at.ordinal - c.stored.ordinal - c.lost); done > 0 {
		c.metrics.out.Add(float64(done))
	}
	c.stored, c.lost = at, 0
	if at.position < c.at.position {
		c.oldest.Store(at.stamp)
	} else {
		c.oldest.Store(0)
	}
	c.lane.mu.Lock()
	c.committed = at
	c.lane.mu.Unlock()
	c.q.trim(c.lane)
	return nil
}

// State returns what was committed with the position before the cursor was opened, nil for a new one. It can be asked for
// once: it may be large, and who goes on from it does not need it any more.
func (c *Cursor) State() []byte {
	state := c.state
	c.state = nil
	return state
}

// Name returns the cursor's name, Signal its lane.
func (c *Cursor) Name() string { return c.name }

// Signal returns the signal of the cursor's lane.
func (c *Cursor) Signal() telemetry.Signal { return c.lane.signal }

// Replayed reports whether the frame at position had been committed when the cursor was opened.
func (c *Cursor) Replayed(position uint64) bool { return position < c.opened.position }

// Lag returns how many frames, and how many bytes of them, are synced in the lane and not committed.
func (c *Cursor) Lag() (frames, bytes int64) {
	c.lane.mu.Lock()
	at, last := c.committed, c.lane.frames
	c.lane.mu.Unlock()
	return max(0, int64(last-at.ordinal)), c.lane.lag(at.position)
}

// age returns for how long, at now, the oldest frame that was read has not been committed.
func (c *Cursor) age(now int64) time.Duration {
	oldest := c.oldest.Load()
	if oldest == 0 {
		return 0
	}
	return max(0, time.Duration(now-oldest))
}

// Close ends the cursor; its name can be opened again. What was not committed will be read again. Next must not be
// running, or its owner must stand ErrClosed.
func (c *Cursor) Close() error {
	if c.closed.Swap(true) {
		return ErrClosed
	}
	close(c.gone)
	l := c.lane
	l.mu.Lock()
	delete(l.cursors, c.name)
	l.dormant[c.name] = c.committed.position
	l.mu.Unlock()
	if c.fresh != nil {
		c.fresh.end()
	}
	return nil
}

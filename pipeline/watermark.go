package pipeline

import (
	"context"
	"math"
	"sync"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A stamper is where the committer's stamps and the watermarks meet: what a watermark has promised no later stamp breaks.
type stamper struct {
	mu      sync.Mutex
	writing bool // a group with the newest stamp is not settled yet
}

// beginGroup returns the stamp of the next group.
func (q *Queue) beginGroup() int64 {
	q.clock.mu.Lock()
	defer q.clock.mu.Unlock()
	q.clock.writing = true
	return q.tick()
}

func (q *Queue) endGroup() {
	q.clock.mu.Lock()
	q.clock.writing = false
	q.clock.mu.Unlock()
}

// tick moves the newest stamp up to now, never back.
func (q *Queue) tick() int64 {
	stamp := max(q.options.Now().UnixNano(), q.stamp.Load())
	q.stamp.Store(stamp)
	return stamp
}

// Watermark returns a receive time such that every frame of s stamped at or before it is synced and visible to cursors,
// or will never be. It grows with the clock while nothing is appended.
func (q *Queue) Watermark(s telemetry.Signal) int64 {
	q.lane(s) // all lanes are stamped by one clock
	q.clock.mu.Lock()
	defer q.clock.mu.Unlock()
	if q.clock.writing {
		return q.stamp.Load() - 1
	}
	// The next group may be stamped with the very nanosecond that is now the newest.
	return q.tick() - 1
}

// Watermark returns a receive time such that every frame of the lane received up to then has gone through: it was
// observed, and the sink has taken it. A replay has its watermark, too, so a lane that is replayed is waited for. At the
// end of the lane it is the queue's; before Run it is [math.MinInt64].
func (d *Delivery) Watermark() int64 {
	whole := d.Cursor.q.Watermark(d.Cursor.Signal())
	end := d.Cursor.lane.end() // after the queue's watermark, so that nothing stamped up to that lies behind end
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !d.started:
		return math.MinInt64
	case d.passed.position >= end:
		return whole
	}
	return d.passed.stamp - 1 // the next frame may have the same stamp
}

// Watermark returns a receive time such that every frame of the lane received up to then is committed as done: what a
// restart, after a crash too, does not ask for again. At the end of the lane it is the queue's.
func (c *Cursor) Watermark() int64 {
	whole := c.q.Watermark(c.Signal())
	end := c.lane.end() // after the queue's watermark, as in Delivery
	c.lane.mu.Lock()
	defer c.lane.mu.Unlock()
	if c.committed.position >= end {
		return whole
	}
	return c.committed.stamp - 1
}

// pass notes how far the delivery has come.
func (d *Delivery) pass(at bookmark) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.started, d.passed = true, at
	for _, c := range d.followers {
		c.knock()
	}
}

// at returns the position up to which the delivery has come, in this run.
func (d *Delivery) at() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.passed.position
}

// follow has c hear of what is passed, and reports whether it is the first.
func (d *Delivery) follow(c *Cursor) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.followers = append(d.followers, c)
	return len(d.followers) == 1
}

// follower returns the cursor that gets what was decoded; nil: none.
func (d *Delivery) follower() *Cursor {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.followers) == 0 {
		return nil
	}
	return d.followers[0]
}

const (
	shortestPoll = 20 * time.Millisecond // so that what comes in a stream passes in company
	longestPoll  = 100 * time.Millisecond
)

// Behind returns a gate (see [Delivery]) that lets a frame pass once every watermark has reached the frame's receive time
// plus wait. (Condition variables between deliveries were rejected: they tie the rooms' locks together, and what is
// waited for is mostly time.)
func Behind(wait time.Duration, watermarks ...func() int64) func(context.Context, *telemetry.Frame) (int64, error) {
	return func(ctx context.Context, f *telemetry.Frame) (int64, error) {
		for {
			low := int64(math.MaxInt64)
			for _, w := range watermarks {
				low = min(low, w())
			}
			if low != math.MinInt64 && low-int64(wait) >= f.ReceivedUnixNano {
				return low - int64(wait), nil
			}
			pause := longestPoll
			if low != math.MinInt64 { // receive time goes as the clock does
				pause = min(max(time.Duration(f.ReceivedUnixNano+int64(wait)-low), shortestPoll), longestPoll)
			}
			if err := sleep(ctx, pause); err != nil {
				return 0, err
			}
		}
	}
}

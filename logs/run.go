package logs

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/logs/tail"
	"github.com/braidhq/braid/telemetry"
)

// A run is one call of Run: a loop that owns the follower, and at most one Write under way. While a Write waits for an
// upstream that is away, the loop goes on opening what is rotated, so that it can be read later.
type run struct {
	o        *Options
	metrics  *tail.Metrics
	follower *tail.Follower
	next     telemetry.Sink
	batcher  batcher

	buf     []byte
	written chan error
	flying  int  // records in the Write under way
	writing bool // there is one
	timer   *time.Timer
	lingers time.Time // not before this is read on; zero: something that has come starts the wait
	saved   time.Time // when the state was saved
	pause   time.Duration
	quiet   *atomic.Bool
}

func (r *run) loop(ctx context.Context) error {
	defer r.timer.Stop()
	for ctx.Err() == nil {
		r.follower.Tick()
		r.follower.Refresh()
		r.saveSometimes()
		if r.ready() {
			r.write(ctx)
			continue
		}
		r.timer.Reset(time.Until(r.wake()))
		r.quiet.Store(!r.writing && r.follower.Quiet())
		select {
		case <-ctx.Done():
		case ev := <-r.follower.Events():
			r.follower.Handle(ev)
			r.drain()
		case err := <-r.follower.Errors():
			r.follower.HandleError(err)
		case err := <-r.written:
			r.answer(ctx, err)
		case <-r.timer.C:
		}
	}
	if r.writing {
		r.answer(ctx, <-r.written)
	}
	if r.follower.StateDirty() {
		return r.follower.Save()
	}
	return nil
}

// drain takes the events that are there already, so that a burst costs one look at each file.
func (r *run) drain() {
	for {
		select {
		case ev := <-r.follower.Events():
			r.follower.Handle(ev)
		default:
			return
		}
	}
}

// ready reports that it is time to read. The first news starts the linger; whoever writes much is read again at once.
func (r *run) ready() bool {
	if r.writing || !r.follower.Pending() {
		return false
	}
	now := time.Now()
	if r.lingers.IsZero() {
		r.lingers = now.Add(r.o.Linger)
	}
	return !now.Before(r.lingers)
}

// wake returns when the loop has something to do if nothing happens.
func (r *run) wake() time.Time {
	at := r.follower.Wake()
	if !r.writing && r.follower.Pending() && r.lingers.Before(at) {
		at = r.lingers
	}
	if due := r.saved.Add(r.o.SaveEvery); r.follower.StateDirty() && due.Before(at) {
		at = due
	}
	return at
}

// write reads what is there and starts to write it.
func (r *run) write(ctx context.Context) {
	r.batcher.reset()
	more := r.follower.Collect(r.buf, writeRecords, r.batcher.add)
	r.lingers = time.Time{}
	if more {
		r.lingers = time.Now()
	}
	if len(r.batcher.batches) == 0 {
		r.follower.Ack()
		return
	}
	r.writing, r.flying = true, r.batcher.records
	batches := r.batcher.batches
	disk.Point("agent.logs.before-send")
	go func() { r.written <- r.next.Write(ctx, batches) }()
}

// answer moves the positions, or goes back to where they were.
func (r *run) answer(ctx context.Context, err error) {
	r.writing = false
	n := float64(r.flying)
	switch {
	case err == nil:
		disk.Point("agent.logs.after-ack")
		r.metrics.Records.WithLabelValues("sent").Add(n)
		r.pause = 0
		r.follower.Ack()
	case telemetry.IsPermanent(err):
		r.metrics.Dropped.WithLabelValues("refused").Add(n)
		r.pause = 0
		r.follower.Ack()
	default:
		r.metrics.Records.WithLabelValues("rewound").Add(n)
		if ctx.Err() == nil {
			r.metrics.Errors.WithLabelValues("write").Inc()
		}
		r.follower.Rewind()
		r.pause = min(max(2*r.pause, firstPause), longestPause)
		if after, ok := telemetry.RetryAfter(err); ok {
			r.pause = max(r.pause, after)
		}
		r.lingers = time.Now().Add(r.pause)
	}
}

func (r *run) saveSometimes() {
	if !r.follower.StateDirty() || time.Since(r.saved) < r.o.SaveEvery {
		return
	}
	r.saved = time.Now()
	_ = r.follower.Save() // counted and told; the next one is due in a second
}

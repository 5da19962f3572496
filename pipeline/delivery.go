package pipeline

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// An Observer sees every record of a lane once, in lane order. It never blocks, does no I/O and cannot fail; the batch
// is lent to it during the call, and it must not edit it.
//
// Its snapshot is stored together with the cursor's position, so what it has counted neither doubles nor goes down over
// a crash. With replayed set the record was observed before that snapshot was taken (see [CursorOptions]): it may feed
// an index, and must not be counted again.
type Observer interface {
	Observe(b *telemetry.Batch, replayed bool)
	// AppendSnapshot appends the snapshot to b.
	AppendSnapshot(b []byte) []byte
	// Restore is called before anything is observed, if there is a snapshot. An error stops the delivery.
	Restore(snapshot []byte) error
}

// A Delivery takes a cursor's frames through decoding, deduplication and the observers to a sink. Fields are set before
// Run and not changed.
type Delivery struct {
	Cursor    *Cursor
	Sink      telemetry.Sink // nil: the observers are all
	Observers []Observer     // of this cursor, always in the same order

	// Gate holds a frame back: it returns once f may pass, with the receive time up to which the frames behind f may pass
	// with it, or when ctx ends, with an error. Replayed frames are not held back. See [Behind].
	Gate func(ctx context.Context, f *telemetry.Frame) (until int64, err error)
	// Stages edit what was observed, in place and in order, before the sink sees it. They do no I/O and never block; one
	// drops records by shortening the slice, and they are counted.
	Stages []func(*telemetry.Batch)

	// Only are the span attributes that observers and sink ask for; nil: all.
	Only *telemetry.Attributes

	MaxBodyBytes int           // of a body after decompression (64 MiB)
	MaxBatch     int           // bytes of decompressed bodies after which a Write goes out (4 MiB)
	CommitEvery  time.Duration // 1 s; without a sink as much longer for each MiB of state, ten times at most
	Logger       *slog.Logger  // hears once that the sink is away and once that it is back; nil is the queue's

	mu        sync.Mutex
	followers []*Cursor // the first of them gets what was decoded
	caught    chan struct{}
	started   bool
	passed    bookmark // after the last frame that has gone through
}

const (
	defaultBody     = 64 << 20
	defaultBatch    = 4 << 20
	framesPerRound  = 16
	deliveryReading = 1 << 20
)

// CaughtUp returns a channel that is closed once the delivery has passed where the lane ended when Run began.
func (d *Delivery) CaughtUp() <-chan struct{} { return d.catchUp() }

func (d *Delivery) catchUp() chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.caught == nil {
		d.caught = make(chan struct{})
	}
	return d.caught
}

// Run delivers until ctx ends (then it returns nil) or the queue is closed. It may be called once.
//
// Every frame is decoded, freed of repeats (see [Marks]), observed, and written to the sink until that takes it. The
// position, the marks and the observers' snapshots are committed together, at most each CommitEvery and at the end. A
// crash, or a stop in the middle of a Write, repeats what was not committed, with the same UIDs. A frame that cannot be
// decoded, that makes an observer panic or that the sink calls permanent is quarantined and passed by.
func (d *Delivery) Run(ctx context.Context) error {
	r, err := newRound(d)
	if err != nil {
		return fmt.Errorf("cannot deliver %s to %s: %w", d.Cursor.Signal(), d.Cursor.Name(), err)
	}
	p := newProgress(d.Cursor, d.CommitEvery, RetryOptions{Name: d.Cursor.Name(), Logger: r.logger}, r.state)
	p.passed, p.inward = d.pass, d.Sink == nil
	d.pass(d.Cursor.at)
	defer d.Cursor.giveBack()
	gated, stop := d.Cursor.whileOpen(ctx)
	defer stop()
	target, caught := d.Cursor.lane.end(), d.catchUp()
	for {
		if caught != nil && d.Cursor.at.position >= target {
			close(caught)
			caught = nil
		}
		frames, err := p.next(ctx, deliveryReading, framesPerRound)
		for err == nil && len(frames) > 0 {
			var n int
			if n, err = p.pass(gated, d.Gate, frames); err == nil {
				err = r.deliver(ctx, frames[:n])
			}
			if err == nil {
				p.finishUpTo(frames, n)
				p.commitIfDue()
				frames = frames[n:]
			}
		}
		switch {
		case errors.Is(err, ErrClosed):
			return ErrClosed
		case err != nil:
			if r.abandon() {
				p.commit()
			}
			if ctx.Err() != nil {
				return nil
			}
			if gated.Err() != nil {
				return ErrClosed
			}
			return err
		}
	}
}

// abandon takes back what an unfinished round has done to the state, and reports whether it could: what observers have
// seen cannot be unseen, so with them the state of the last commit holds.
func (r *round) abandon() bool {
	if r.unfinished && len(r.d.Observers) > 0 {
		return false
	}
	if r.unfinished {
		r.marks.rollback()
	}
	return true
}

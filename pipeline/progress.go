package pipeline

import (
	"context"
	"errors"
	"time"

	"github.com/braidhq/braid/telemetry"
)

const defaultCommitEvery = time.Second

// A progress is how Delivery and Forward move through a lane: rounds of frames, and commits of the rounds that are
// done, at most each so often, when the lane is idle, and at the end.
type progress struct {
	c     *Cursor
	every time.Duration
	state func() []byte // to commit; nil: none
	// passed hears of every place up to which all is done; nil: nobody does.
	passed func(bookmark)

	done    bookmark // after the last round that is done
	dirty   bool
	last    time.Time // of the last commit
	inward  bool      // what is read again after a crash has no effect outside
	size    int       // of the state that it has stored, if inward
	failing bool      // commits do
	faults  backoff   // of reading
}

func newProgress(c *Cursor, every time.Duration, o RetryOptions, state func() []byte) *progress {
	if every <= 0 {
		every = defaultCommitEvery
	}
	o.Name = "the queue's disk"
	return &progress{c: c, every: every, state: state, done: c.at, last: time.Now(), faults: newBackoff(o)}
}

// next returns the frames of the next round, or none when there was nothing for a while and it is time to look around.
func (p *progress) next(ctx context.Context, maxBytes, maxFrames int) (frames []telemetry.Frame, err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	err = p.faults.until(ctx, func() (err error) {
		frames, err = p.c.poll(maxBytes, maxFrames)
		if errors.Is(err, ErrClosed) {
			return telemetry.Permanent(err)
		}
		return err
	})
	if err != nil || len(frames) > 0 {
		return frames, err
	}
	if p.c.at != p.done { // something corrupt at the end was passed by
		p.finish()
	}
	if !p.dirty {
		return nil, p.c.wait(ctx, nil)
	}
	timer := time.NewTimer(p.interval() - time.Since(p.last))
	defer timer.Stop()
	err = p.c.wait(ctx, timer.C)
	p.commitIfDue()
	return nil, err
}

// finish marks the round as done.
func (p *progress) finish() { p.finishAt(p.c.at) }

func (p *progress) finishAt(at bookmark) {
	p.done, p.dirty = at, true
	if p.passed != nil {
		p.passed(at)
	}
}

// finishUpTo marks the first n of the frames that were read last as done.
func (p *progress) finishUpTo(frames []telemetry.Frame, n int) {
	at := p.c.at
	if n < len(frames) {
		at = bookmark{
			position: frames[n].Position, ordinal: at.ordinal - uint64(len(frames)-n), stamp: frames[n-1].ReceivedUnixNano,
		}
	}
	p.finishAt(at)
}

// pass waits until the gate lets the first of frames pass and returns how many may pass with it. What is done is
// committed meanwhile.
func (p *progress) pass(ctx context.Context, gate func(context.Context, *telemetry.Frame) (int64, error), frames []telemetry.Frame) (int, error) {
	replayed := 0
	for replayed < len(frames) && p.c.Replayed(frames[replayed].Position) {
		replayed++
	}
	if gate == nil {
		return len(frames), nil
	}
	if replayed > 0 {
		return replayed, nil
	}
	until, err := p.knock(ctx, gate, &frames[0])
	if err != nil {
		return 0, err
	}
	n := 1
	for n < len(frames) && frames[n].ReceivedUnixNano <= until {
		n++
	}
	return n, nil
}

func (p *progress) knock(ctx context.Context, gate func(context.Context, *telemetry.Frame) (int64, error), f *telemetry.Frame) (int64, error) {
	if p.dirty {
		soon, cancel := context.WithDeadline(ctx, p.last.Add(p.interval()))
		until, err := gate(soon, f)
		cancel()
		if err == nil || soon.Err() == nil || ctx.Err() != nil {
			return until, err
		}
		p.commitIfDue()
	}
	return gate(ctx, f)
}

// maxInterval bounds how many times longer than every commits lie apart.
const maxInterval = 10

// interval is how far apart commits lie: a large state is stored less often, and more is read again after a crash. That is for
// observers alone: with a sink it would be sent again.
func (p *progress) interval() time.Duration {
	return p.every * time.Duration(min(1+p.size>>20, maxInterval))
}

func (p *progress) commitIfDue() {
	if p.dirty && time.Since(p.last) >= p.interval() {
		p.commit()
	}
}

// commit stores what is done. A failure is no reason to stop: the frames stay and the next commit is as good.
func (p *progress) commit() {
	if !p.dirty {
		return
	}
	var state []byte
	if p.state != nil {
		state = p.state()
		if p.inward {
			p.size = len(state)
		}
	}
	p.last = time.Now()
	err := p.c.commit(p.done, state)
	if (err != nil) != p.failing {
		p.failing = err != nil
		if err != nil {
			p.c.q.options.Logger.Error("a cursor cannot be committed", "cursor", p.c.name, "lane", p.c.Signal().String(), "err", err)
		} else {
			p.c.q.options.Logger.Info("a cursor can be committed again", "cursor", p.c.name, "lane", p.c.Signal().String())
		}
	}
	p.dirty = err != nil
}

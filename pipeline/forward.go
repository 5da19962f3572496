package pipeline

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// ForwardOptions of [Forward]; the zero value will do.
type ForwardOptions struct {
	MaxBytes    int           // of bodies in one Append (1 MiB)
	CommitEvery time.Duration // 1 s
	Logger      *slog.Logger  // hears once that next is away and once that it is back; nil is the queue's
}

// Forward hands the cursor's frames on as they came until ctx ends (then it returns nil), with this queue's id and the
// frame's position as Origin and Sequence, so that the next hop knows a repeat. It sends again what next does not take;
// a frame that next calls [telemetry.Permanent] is quarantined and passed by.
func Forward(ctx context.Context, c *Cursor, next telemetry.Appender, o ForwardOptions) error {
	if o.Logger == nil {
		o.Logger = c.q.options.Logger
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = defaultNextBytes
	}
	r := RetryOptions{Name: c.name, Logger: o.Logger}
	f := forwarding{next: next, c: c, backoff: newBackoff(r)}
	p := newProgress(c, o.CommitEvery, r, nil)
	defer p.commit()
	for {
		frames, err := p.next(ctx, o.MaxBytes, maxNextFrames)
		if err == nil {
			err = f.send(ctx, frames)
		}
		switch {
		case ctx.Err() != nil && err != nil:
			return nil
		case errors.Is(err, ErrClosed):
			return ErrClosed
		case err != nil:
			return err
		case len(frames) > 0:
			p.finish()
			p.commitIfDue()
		}
	}
}

type forwarding struct {
	next    telemetry.Appender
	c       *Cursor
	backoff backoff
}

// send returns nil when every frame is taken or quarantined, else why ctx has ended.
func (f *forwarding) send(ctx context.Context, frames []telemetry.Frame) error {
	if len(frames) == 0 {
		return nil
	}
	for i := range frames {
		frames[i].Origin, frames[i].Sequence = f.c.q.id, frames[i].Position
	}
	disk.Point("delivery.before-write")
	err := f.backoff.until(ctx, func() error { return f.next.Append(ctx, frames) })
	disk.Point("delivery.after-write")
	if !telemetry.IsPermanent(err) {
		return err
	}
	if len(frames) == 1 {
		f.c.quarantine(&frames[0], err)
		return nil
	}
	for i := range frames {
		if err := f.send(ctx, frames[i:i+1]); err != nil {
			return err
		}
	}
	return nil
}

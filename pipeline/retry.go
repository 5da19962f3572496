package pipeline

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/braidhq/braid/telemetry"
)

const (
	firstBackoff  = 100 * time.Millisecond
	longestWait   = 30 * time.Second
	longestWished = 10 * time.Minute // what a peer's Retry-After may ask for
)

// RetryOptions of [Retry] and [Forward].
type RetryOptions struct {
	Name   string       // of the sink, in the log
	Logger *slog.Logger // hears once that it is away and once that it is back; nil is silence
}

// Retry returns a sink that sends to next again until it takes the batches, says [telemetry.Permanent], or ctx ends.
// It waits 100 ms after the first failure and twice as long after each further one, 30 s at most, with jitter, or what
// [telemetry.Throttled] asks for. It is for one goroutine at a time.
func Retry(next telemetry.Sink, o RetryOptions) telemetry.Sink {
	return &retrySink{next: next, backoff: newBackoff(o)}
}

type retrySink struct {
	next    telemetry.Sink
	backoff backoff
}

// Write implements [telemetry.Sink].
func (r *retrySink) Write(ctx context.Context, batches []*telemetry.Batch) error {
	return r.backoff.until(ctx, func() error { return r.next.Write(ctx, batches) })
}

// A backoff tries again with growing waits, and tells when somebody goes away and comes back.
type backoff struct {
	name   string
	logger *slog.Logger
	away   time.Time // since when; zero: there
}

func newBackoff(o RetryOptions) backoff {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return backoff{name: o.Name, logger: o.Logger}
}

// until calls try until it returns nil or a permanent error, which it returns, or until ctx has ended.
func (b *backoff) until(ctx context.Context, try func() error) error {
	for wait := firstBackoff; ; wait = min(2*wait, longestWait) {
		err := try()
		if err == nil || telemetry.IsPermanent(err) {
			b.back()
			return err
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%w (the last answer of %s: %w)", ctx.Err(), b.name, err)
		}
		b.gone(err)
		pause := wait/2 + rand.N(wait/2+1)
		if after, ok := telemetry.RetryAfter(err); ok && after > 0 {
			pause = min(after, longestWished)
			pause += rand.N(pause/8 + 1) // the others were told the same
		}
		if serr := sleep(ctx, pause); serr != nil {
			return fmt.Errorf("%w (the last answer of %s: %w)", serr, b.name, err)
		}
	}
}

func (b *backoff) gone(err error) {
	if b.away.IsZero() {
		b.away = time.Now()
		b.logger.Warn("away", "name", b.name, "err", err)
	}
}

func (b *backoff) back() {
	if !b.away.IsZero() {
		b.logger.Info("back", "name", b.name, "after", time.Since(b.away).Round(time.Millisecond))
		b.away = time.Time{}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

package reckon

import (
	"context"
	"fmt"
	"time"
)

// A Reckoner reads back until everything has arrived.
type Reckoner struct {
	API            *API
	Written        *Tally
	Namespace, Job string
	From           time.Time
	Terms          Terms
	Follower       *Follower
	Patience       time.Duration // how long things may take to arrive
	Poll           time.Duration // between readings; slow readings make it longer
	Settle         time.Duration // before the last: what was read is then decided, and what was kept is stored
	Progress       func(text string)
}

// Reckon reads everything back, again and again until nothing is missing or patience is at its end, and then once
// more: what comes late and twice shall not escape. It returns the last reckoning; an error says that none could be
// made.
func (r *Reckoner) Reckon(ctx context.Context) (*Reckoning, error) {
	start := time.Now()
	deadline := start.Add(r.Patience)
	last := false
	for begin := start; ; begin = time.Now() {
		got, err := r.read(ctx)
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		late := begin.After(deadline)
		switch {
		case err != nil && late:
			return nil, fmt.Errorf("cannot read back what was stored: %w", err)
		case err == nil && (last || late):
			return got, nil
		case err != nil:
			r.Progress(fmt.Sprintf("cannot read back yet: %v", err))
		case got.Missing && begin.Sub(start) > r.Settle: // that the first come too early is nothing to speak of
			r.Progress("not all has arrived yet: " + got.Broken[0])
		}
		pause := max(r.Poll, 2*time.Since(begin))
		if last = err == nil && !got.Missing; last {
			pause = max(pause, r.Settle)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// read makes one reckoning of what is there now; an aggregator that does not answer at all fails it after a while.
func (r *Reckoner) read(ctx context.Context) (*Reckoning, error) {
	ctx, cancel := context.WithTimeout(ctx, r.Patience+2*time.Minute)
	defer cancel()
	var seen Observations
	var err error
	if seen.Exemplars, err = r.API.Exemplars(ctx, r.From); err != nil {
		return nil, err
	}
	found, err := r.API.Read(ctx, r.Written, seen.Exemplars, r.Namespace, r.Job, r.From)
	if err != nil {
		return nil, err
	}
	if seen.Calls, err = r.API.Calls(ctx); err != nil {
		return nil, err
	}
	if seen.Late, err = r.API.Late(ctx); err != nil {
		return nil, err
	}
	seen.Followed = r.Follower.Seen()
	seen.P50, seen.P99 = r.Follower.Percentiles()
	return Compare(r.Written, found, &seen, &r.Terms), nil
}

package reckon

import (
	"context"
	"slices"
	"sync"
	"time"
)

// overlap is how far before the newest line seen a follower asks again after its stream broke off, and how long it
// remembers at least what it has seen.
const overlap = 5 * time.Minute

// A Follower reads the live tail and notes for each line how long after its event time it came. Every line counts, those
// that waited for an aggregator that was away too.
type Follower struct {
	api       *API
	namespace string
	start     time.Time
	now       func() time.Time
	retry     time.Duration

	mu     sync.Mutex
	newest time.Time          // event time of the newest line
	recent [2]map[string]bool // uids: of the current period, and of the one before
	turned time.Time          // event time at which the current period began
	delays []time.Duration
}

// NewFollower returns a follower of lines since start.
func NewFollower(api *API, namespace string, start time.Time) *Follower {
	return &Follower{
		api: api, namespace: namespace, start: start, now: time.Now, retry: 100 * time.Millisecond,
		newest: start, turned: start, recent: [2]map[string]bool{{}, {}},
	}
}

// Run follows until ctx ends, over however many breaks of the stream.
func (f *Follower) Run(ctx context.Context) {
	for ctx.Err() == nil {
		// Whatever the error: the aggregator may be away, which is what --chaos is about. Lines that never come are
		// found by the reckoning.
		_ = f.api.Logs(ctx, f.namespace, f.from(), true, f.see)
		timer := time.NewTimer(f.retry)
		select {
		case <-ctx.Done():
			timer.Stop()
		case <-timer.C:
		}
	}
}

func (f *Follower) from() time.Time {
	f.mu.Lock()
	defer f.mu.Unlock()
	if from := f.newest.Add(-overlap); from.After(f.start) {
		return from
	}
	return f.start
}

func (f *Follower) see(l *LogLine) {
	now := f.now()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.recent[0][l.UID] || f.recent[1][l.UID] {
		return
	}
	f.recent[0][l.UID] = true
	f.delays = append(f.delays, now.Sub(l.Time))
	if l.Time.After(f.newest) {
		f.newest = l.Time
	}
	// What is dropped is older than a whole period, and so older than any new request asks for.
	if f.newest.Sub(f.turned) > 2*overlap {
		f.recent[0], f.recent[1] = map[string]bool{}, f.recent[0]
		f.turned = f.newest
	}
}

// Seen returns how many distinct lines have come.
func (f *Follower) Seen() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.delays)
}

// Percentiles returns the median and the 99th percentile of the delays by nearest rank, 0 if no line has come.
func (f *Follower) Percentiles() (p50, p99 time.Duration) {
	f.mu.Lock()
	sorted := slices.Clone(f.delays)
	f.mu.Unlock()
	if len(sorted) == 0 {
		return 0, 0
	}
	slices.Sort(sorted)
	rank := func(percent int) time.Duration { return sorted[(len(sorted)*percent+99)/100-1] }
	return rank(50), rank(99)
}

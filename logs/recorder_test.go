package logs

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A line is what a test compares: everything that identifies and makes up a record.
type line struct {
	file     telemetry.FileID
	stream   telemetry.Stream
	position int64
	body     string
	unixNano int64
	flags    telemetry.LogFlags
	resource *telemetry.Resource
}

// A recorder is a sink that keeps copies, scribbles over what it was lent, and fails when it is told to.
type recorder struct {
	mu      sync.Mutex
	lines   []line
	writes  int
	changed chan struct{}
	fail    func(write int) error // asked before a write is taken
	late    func(write int) error // asked after it was taken: the answer is lost
}

func newRecorder() *recorder {
	return &recorder{changed: make(chan struct{}, 1)}
}

// A position is what a store deduplicates by.
type position struct {
	file   telemetry.FileID
	stream telemetry.Stream
	at     int64
}

func (r *recorder) Write(ctx context.Context, batches []*telemetry.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	r.writes++ // one Write at a time
	if r.fail != nil {
		if err := r.fail(r.writes); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, b := range batches {
		for i := range b.Logs {
			l := &b.Logs[i]
			if l.Position <= b.From || l.Position > b.To || l.UID != telemetry.FileUID(b.FileID, l.Position) {
				return fmt.Errorf("BUG: record at %d of batch (%d, %d]", l.Position, b.From, b.To)
			}
			r.lines = append(r.lines, line{b.FileID, l.Stream, l.Position, string(l.Body), l.UnixNano, l.Flags, b.Resource})
			clear(l.Body)
			*l = telemetry.Log{}
		}
	}
	select {
	case r.changed <- struct{}{}:
	default:
	}
	if r.late != nil {
		if err := r.late(r.writes); err != nil {
			return err
		}
	}
	return nil
}

// snapshot returns what was recorded so far.
func (r *recorder) snapshot() []line {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]line(nil), r.lines...)
}

const patience = 60 * time.Second

// await waits until cond holds of what was recorded.
func (r *recorder) await(t *testing.T, what string, cond func([]line) bool) []line {
	t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if got := r.snapshot(); cond(got) {
			return got
		}
		select {
		case <-r.changed:
		case <-tick.C:
		case <-deadline:
			t.Fatalf("gave up waiting for %s: have %d lines", what, len(r.snapshot()))
		}
	}
}

// start runs a source until the returned function is called, which waits for its end.
func start(t *testing.T, o Options, sink telemetry.Sink) (stop func()) {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return startSource(t, s, sink)
}

func startSource(t *testing.T, s *Source, sink telemetry.Sink) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, sink) }()
	return func() {
		t.Helper()
		cancel()
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
}

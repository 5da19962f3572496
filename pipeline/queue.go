package pipeline

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// A Queue is the durable queue in one directory. Its left side is [Queue.Append], its right side are its cursors.
// All methods may be called concurrently.
type Queue struct {
	options Options
	id      telemetry.QueueID
	lock    io.Closer
	lanes   [len(telemetry.Signals)]*lane
	metrics *metrics
	jail    jail

	stamp atomic.Int64 // the newest received stamp
	clock stamper      // hands the stamps out
	full  atomic.Bool  // the disk has no space

	suspended atomic.Bool // no segment goes

	// The committer's own.
	ids       *ids
	group     []*request
	committed time.Time // when it began with the last group

	arrived chan struct{} // something waits
	closing chan struct{}
	stopped chan struct{} // the committer has ended

	requests sync.Pool // *request, with their channels, for the next callers

	mu      sync.Mutex
	waiting []*request
	closed  bool
	broken  error
}

var _ telemetry.Appender = (*Queue)(nil)

func laneIndex(s telemetry.Signal) int { return int(s) - int(telemetry.Logs) }

func (q *Queue) lane(s telemetry.Signal) *lane {
	if s < telemetry.Logs || s > telemetry.Samples {
		panic("BUG: there is no lane of " + s.String())
	}
	return q.lanes[laneIndex(s)]
}

// ID returns the queue's id, which it keeps for the life of its directory.
func (q *Queue) ID() telemetry.QueueID { return q.id }

// Err says why the queue is unhealthy: a write or sync has failed in this run (its senders have been told, and later
// ones go to a new segment), or the disk is full, which ends with the next append that succeeds.
func (q *Queue) Err() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.broken != nil {
		return q.broken
	}
	if q.full.Load() {
		return fmt.Errorf("the disk of %s is full", q.options.Dir)
	}
	return nil
}

// Close refuses new frames, syncs those that wait, ends every cursor's Next with [ErrClosed] and unlocks the directory.
func (q *Queue) Close() error {
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrClosed
	}
	q.closed = true
	q.mu.Unlock()
	close(q.closing)
	<-q.stopped
	var errs []error
	for _, l := range q.lanes {
		for _, c := range l.opened() {
			c.Close()
		}
		l.trimming.Lock() // a Commit may still be trimming
		if l.writer.file != nil {
			errs = append(errs, l.writer.file.Close())
		}
		l.trimming.Unlock()
	}
	q.metrics.unregister(q.options.Registerer)
	return errors.Join(append(errs, q.lock.Close())...)
}

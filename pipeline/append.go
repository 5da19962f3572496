package pipeline

import (
	"context"
	"fmt"
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// A request is one Append on its way through the committer.
type request struct {
	frames     []telemetry.Frame // the caller's; given back with done
	size       int64
	lanes      uint8 // bit i: lane i has to sync
	duplicates []int // indexes of the frames that are repeats, growing
	taken      bool  // by the committer; guarded by Queue.mu
	err        error
	done       chan struct{}
}

// Append implements [telemetry.Appender]: nil means that every frame is synced to disk or is a byte-identical repeat of
// one received in the last ten minutes. It sets the ID of frames that have none, and ReceivedUnixNano is its own stamp
// whatever the caller has set.
//
// A lane or disk without room answers an error marked by [telemetry.Throttled]; frames that no lane can take are
// [telemetry.Permanent]. When ctx ends before the frames are being written they are withdrawn; after that Append
// returns only once it is done with them, which is as long as a sync may take.
func (q *Queue) Append(ctx context.Context, frames []telemetry.Frame) error {
	if len(frames) == 0 {
		return nil
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	r, ok := q.requests.Get().(*request)
	if !ok {
		r = &request{done: make(chan struct{}, 1)}
	}
	defer func() {
		*r = request{done: r.done, duplicates: r.duplicates[:0]}
		q.requests.Put(r)
	}()
	r.frames = frames
	if err := r.prepare(); err != nil {
		return err
	}
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return ErrClosed
	}
	q.waiting = append(q.waiting, r)
	q.mu.Unlock()
	select {
	case q.arrived <- struct{}{}:
	default:
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if q.withdraw(r) {
			return ctx.Err()
		}
		<-r.done
	}
	return r.err
}

// prepare does on the caller's goroutine what the committer need not.
func (r *request) prepare() error {
	for i := range r.frames {
		f := &r.frames[i]
		if f.Signal < telemetry.Logs || f.Signal > telemetry.Samples {
			return telemetry.Permanent(fmt.Errorf("%w: it has %s", ErrInvalid, f.Signal))
		}
		if len(f.Tenant) > maxTenant || frameSize(f) > maxFrame {
			return telemetry.Permanent(fmt.Errorf("%w: %d bytes of body for a tenant of %d bytes", ErrInvalid, len(f.Body), len(f.Tenant)))
		}
		if f.ID == [16]byte{} {
			f.Hash()
		}
		r.size += frameSize(f)
	}
	return nil
}

func (r *request) isDuplicate(i int) bool {
	_, ok := slices.BinarySearch(r.duplicates, i)
	return ok
}

// withdraw takes r back if the committer has not begun with it.
func (q *Queue) withdraw(r *request) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if r.taken {
		return false
	}
	i := slices.Index(q.waiting, r)
	q.waiting = slices.Delete(q.waiting, i, i+1)
	return true
}

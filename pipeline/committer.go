package pipeline

import (
	"fmt"
	"sync"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// maxGroup bounds the bytes of one group, so that the first of a crowd does not wait for the last.
const maxGroup = 32 << 20

// run is the committer: the one goroutine that writes. Whatever arrives during one group's sync, or within the sync window,
// is the next group.
func (q *Queue) run() {
	defer close(q.stopped)
	for {
		select {
		case <-q.arrived:
		case <-q.closing:
			q.drain()
			return
		}
		q.drain()
	}
}

func (q *Queue) drain() {
	for {
		q.pace()
		group := q.take()
		if len(group) == 0 {
			return
		}
		q.commit(group)
	}
}

// pace waits until the last group is a sync window old, if there is something for the next one. So a sender that comes alone
// never waits, and a crowd shares its syncs: each costs a trip to the disk, and threads that sleep and wake, however little
// it writes.
func (q *Queue) pace() {
	wait := q.options.SyncWindow - time.Since(q.committed)
	if wait <= 0 || !q.hasWaiting() {
		return
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-q.closing:
	}
}

func (q *Queue) hasWaiting() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting) > 0
}

// take moves requests from the waiting list into a group.
func (q *Queue) take() []*request {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.group = q.group[:0]
	n, size := 0, int64(0)
	for n < len(q.waiting) && (n == 0 || size < maxGroup) {
		q.waiting[n].taken = true
		size += q.waiting[n].size
		n++
	}
	q.group = append(q.group, q.waiting[:n]...)
	rest := copy(q.waiting, q.waiting[n:])
	clear(q.waiting[rest:])
	q.waiting = q.waiting[:rest]
	return q.group
}

// commit writes a group, syncs every segment it has touched, and answers.
func (q *Queue) commit(group []*request) {
	q.committed = time.Now()
	stamp := q.beginGroup()
	q.ids.advance(stamp)
	for _, r := range group {
		r.err = q.write(r, stamp)
	}
	q.syncTouched()
	for _, r := range group {
		for i, l := range q.lanes {
			if r.lanes&(1<<i) != 0 && l.writer.err != nil && r.err == nil {
				r.err = q.answer(l.writer.err)
			}
		}
	}
	for _, l := range q.lanes {
		q.note(l)
		l.settle()
	}
	q.endGroup()
	for _, r := range group {
		q.metrics.appended(r)
		r.done <- struct{}{}
	}
	clear(group)
}

// write puts the frames of one request into their lanes, all or none as far as room goes.
func (q *Queue) write(r *request, stamp int64) error {
	if err := q.admit(r); err != nil {
		return err
	}
	for i := range r.frames {
		f := &r.frames[i]
		l := q.lane(f.Signal)
		r.lanes |= 1 << laneIndex(f.Signal)
		if q.ids.has(f.ID) {
			r.duplicates = append(r.duplicates, i) // it is safe when the lane's sync succeeds, so this request waits for it too
			continue
		}
		if err := l.write(f, stamp); err != nil {
			return q.answer(err)
		}
		q.ids.add(f.ID, stamp)
	}
	return nil
}

// admit asks every lane for room.
func (q *Queue) admit(r *request) error {
	var need [len(telemetry.Signals)]int64
	for i := range r.frames {
		if f := &r.frames[i]; !q.ids.has(f.ID) {
			need[laneIndex(f.Signal)] += frameSize(f)
		}
	}
	for i, l := range q.lanes {
		if need[i] == 0 {
			continue
		}
		if need[i] > l.maxBytes-2*segmentHeader {
			return telemetry.Permanent(fmt.Errorf("%w: %d bytes will never fit into the lane of %d", ErrInvalid, need[i], l.maxBytes))
		}
		if l.bytes()+l.pending()+need[i] > l.maxBytes-segmentHeader && !q.makeRoom(l, need[i]) {
			return telemetry.Throttled(fmt.Errorf("cannot append %s: %w", l.signal, ErrFull), fullRetryAfter)
		}
	}
	return nil
}

// syncTouched syncs the lanes of the group side by side: the ack waits for the slowest, not for the sum.
func (q *Queue) syncTouched() {
	var wait sync.WaitGroup
	var last *lane
	for _, l := range q.lanes {
		if !l.writer.touched || l.writer.err != nil || l.writer.seg == nil {
			continue
		}
		if last != nil {
			wait.Go(last.syncGroup(q))
		}
		last = l
	}
	if last != nil {
		last.syncGroup(q)()
	}
	wait.Wait()
}

func (l *lane) syncGroup(q *Queue) func() {
	return func() {
		begin := time.Now()
		l.writer.err = l.sync()
		q.metrics.fsync.Observe(time.Since(begin).Seconds())
	}
}

// note keeps the queue's health after a lane's group: a full disk mends itself, everything else stays.
func (q *Queue) note(l *lane) {
	err := l.writer.err
	if err == nil {
		if l.writer.touched && q.full.CompareAndSwap(true, false) {
			q.options.Logger.Info("the disk has space again", "dir", q.options.Dir)
		}
		return
	}
	for _, id := range l.writer.ids {
		q.ids.remove(id)
	}
	if isFull(err) {
		if q.full.CompareAndSwap(false, true) {
			q.options.Logger.Error("the disk is full: nothing is taken until there is space", "dir", q.options.Dir, "err", err)
		}
		return
	}
	q.options.Logger.Error("the queue's disk has failed", "lane", l.signal.String(), "err", err)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.broken = err
}

// answer turns a lane's failure into what the sender is told.
func (q *Queue) answer(err error) error {
	if isFull(err) {
		return telemetry.Throttled(err, spaceRetryAfter)
	}
	return err
}

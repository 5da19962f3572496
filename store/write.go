package store

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// A logWriter gives lines their place in the order of arrival. Its lock is held from the choice of a sequence until its
// batch is committed, so that sequences become visible in their order: a follower that has read up to one of them
// misses none before it.
type logWriter struct {
	mu   sync.Mutex
	last sequence // of the line that came last
}

// A write is what one call of Write puts into Pebble.
type write struct {
	*Store
	batch    *pebble.Batch
	pending  map[*stream]int64 // streams put into batch, with the use they say
	repeated bool              // a line was there already: what stored it must be synced too
	logs     int
	spans    int
	key, val []byte

	operations map[*operation]int64 // put into batch, with the use they say
	idx, mark  []byte
}

// Write implements telemetry.Sink for all signals. Lines and spans are one Pebble batch, synced once at the end.
// While the disk has too little room it returns [ErrFull], to be tried again.
func (s *Store) Write(ctx context.Context, batches []*telemetry.Batch) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.enter() {
		return ErrClosed
	}
	defer s.users.Done()
	disk.Point("store.write.before")
	var logs, spans, samples bool
	for _, b := range batches {
		logs, spans, samples = logs || len(b.Logs) > 0, spans || len(b.Spans) > 0, samples || len(b.Samples) > 0
	}
	if logs || spans || samples {
		if err := s.room(); err != nil {
			return err
		}
	}
	if samples {
		if err := s.writeSamples(ctx, batches); err != nil {
			return err
		}
	}
	if logs || spans {
		if err := s.writeRecords(batches, logs); err != nil {
			return fmt.Errorf("cannot store records: %w", err)
		}
	}
	disk.Point("store.write.after")
	return nil
}

func (s *Store) writeRecords(batches []*telemetry.Batch, logs bool) (err error) {
	w := write{Store: s, batch: s.db.NewBatch(), pending: map[*stream]int64{}, operations: map[*operation]int64{}}
	defer func() { err = errors.Join(err, w.batch.Close()) }()
	var before sequence
	if logs {
		s.logs.mu.Lock()
		defer s.logs.mu.Unlock()
		before = s.logs.last
	}
	for _, b := range batches {
		if err = w.add(b); err != nil {
			break
		}
	}
	if err == nil {
		err = w.sync()
	}
	if err != nil {
		if logs {
			s.logs.last = before
		}
		return err
	}
	for st, use := range w.pending {
		s.streams.confirm(st, use)
	}
	for op, use := range w.operations {
		s.operations.confirm(op, use)
	}
	s.metrics.records.WithLabelValues(telemetry.Logs.String()).Add(float64(w.logs))
	s.metrics.records.WithLabelValues(telemetry.Spans.String()).Add(float64(w.spans))
	if logs {
		s.wakeFollowers()
	}
	return nil
}

func (w *write) sync() error {
	if w.batch.Empty() && w.repeated {
		return w.db.LogData(nil, pebble.Sync)
	}
	return w.batch.Commit(pebble.Sync)
}

func (w *write) add(b *telemetry.Batch) error {
	if len(b.Logs)+len(b.Spans) == 0 {
		return nil
	}
	received := b.ReceivedUnixNano
	if received == 0 {
		received = w.now().UnixNano()
	}
	st, put := w.streams.touch(b.Tenant, b.Resource, received)
	if _, done := w.pending[st]; put && !done {
		use, err := w.streams.put(w.batch, st)
		if err != nil {
			return err
		}
		w.pending[st] = use
	}
	for i := range b.Logs {
		if err := w.addLog(b, i, st.id, received); err != nil {
			return err
		}
	}
	for i := range b.Spans {
		if err := w.addSpan(b, i, st, received); err != nil {
			return err
		}
	}
	w.logs += len(b.Logs)
	w.spans += len(b.Spans)
	return nil
}

func (w *write) addLog(b *telemetry.Batch, i int, stream uint64, received int64) error {
	l := &b.Logs[i]
	k := logKey{stream: stream, at: eventTime(l, received), uid: l.UID}
	seq := sequence{w.Store.logs.last.generation, b.FramePosition, uint32(b.FirstIndex + i)}
	if k.uid.IsZero() { // from no queue: the place in the frame is all there is to tell it by
		k.uid = telemetry.QueueUID(telemetry.QueueID{}, b.FramePosition, b.FirstIndex+i)
	}
	if !w.Store.logs.last.before(seq) {
		known, err := w.known(seq, k)
		if err != nil {
			return err
		}
		if known {
			w.repeated = true
			w.metrics.repeated.Inc()
			return nil
		}
		seq.generation++
	}
	w.Store.logs.last = seq
	w.key, w.val = k.append(w.key[:0]), appendLog(w.val[:0], l, k.at)
	if err := w.batch.Set(w.key, w.val, nil); err != nil {
		return err
	}
	a := arrival{received: received, key: k, trace: l.TraceID}
	w.key, w.val = seq.append(w.key[:0]), a.append(w.val[:0])
	if err := w.batch.Set(w.key, w.val, nil); err != nil {
		return err
	}
	if l.TraceID.IsZero() {
		return nil
	}
	w.key = appendTraceKey(w.key[:0], l.TraceID, k)
	return w.batch.Set(w.key, nil, nil)
}

// known reports whether the line at k already has the place seq, or any place if the queue began anew. What this call
// has added so far is committed first, so that it is looked at too.
func (w *write) known(seq sequence, k logKey) (bool, error) {
	if !w.batch.Empty() {
		if err := w.batch.Commit(pebble.NoSync); err != nil {
			return false, err
		}
		if err := w.batch.Close(); err != nil {
			return false, err
		}
		w.batch, w.repeated = w.db.NewBatch(), true
	}
	value, closer, err := w.db.Get(seq.append(w.key[:0]))
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	a, err := parseArrival(value)
	if err := errors.Join(err, closer.Close()); err != nil {
		return false, err
	}
	return a.key == k, nil
}

func (w *write) addSpan(b *telemetry.Batch, i int, st *stream, received int64) error {
	span := &b.Spans[i]
	w.key = appendSpanKey(w.key[:0], span, st.id)
	w.val = appendSpan(w.val[:0], span, &b.Scope)
	if err := w.batch.Set(w.key, w.val, nil); err != nil {
		return err
	}
	if err := w.index(w.key, span); err != nil {
		return err
	}
	w.val = append(appendTime(append(w.val[:0], expiryPrefix), received), w.key[1:]...)
	if err := w.batch.Set(w.val, nil, nil); err != nil {
		return err
	}
	return w.addOperation(st, span, received)
}

// eventTime is the time a line is ordered by: its own, else when it was observed, else when it was received.
func eventTime(l *telemetry.Log, received int64) int64 {
	switch {
	case l.UnixNano != 0:
		return l.UnixNano
	case l.ObservedUnixNano != 0:
		return l.ObservedUnixNano
	}
	return received
}

// wakeFollowers tells all of them that lines have been committed.
func (s *Store) wakeFollowers() {
	s.wakeMu.Lock()
	defer s.wakeMu.Unlock()
	close(s.wake)
	s.wake = make(chan struct{})
}

// woken returns a channel that is closed at the next commit.
func (s *Store) woken() <-chan struct{} {
	s.wakeMu.Lock()
	defer s.wakeMu.Unlock()
	return s.wake
}

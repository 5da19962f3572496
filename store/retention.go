package store

import (
	"errors"
	"time"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
)

// expireEvery is how often expired records are deleted; expireBatch is how many at a time.
const (
	expireEvery = 5 * time.Minute
	expireBatch = 1000
)

// retain deletes expired records until the store is closed. An error is the engine's, which reports it itself; the
// next round tries again.
func (s *Store) retain() {
	defer s.users.Done()
	tick := time.NewTicker(expireEvery)
	defer tick.Stop()
	for {
		select {
		case <-s.closing:
			return
		case <-tick.C:
			_ = s.expire(s.now().Add(-s.retention).UnixNano())
		}
	}
}

// expire deletes the lines and spans that were received before cutoff, and the streams that none of them used since.
// Point deletes by the order of arrival, rather than ranges of event time, because a line may be much older than its
// arrival.
func (s *Store) expire(cutoff int64) error {
	if err := s.expireLogs(cutoff); err != nil {
		return err
	}
	if err := s.expireSpans(cutoff); err != nil {
		return err
	}
	if err := s.operations.expire(s.db, cutoff); err != nil {
		return err
	}
	left, err := s.streams.expire(s.db, cutoff)
	if err == nil {
		s.metrics.streams.Set(float64(left))
	}
	return err
}

func (s *Store) expireLogs(cutoff int64) error {
	return s.expireRange(sequencePrefix, telemetry.Logs, func(b *pebble.Batch, key, value []byte) (bool, error) {
		a, err := parseArrival(value)
		if err != nil || a.received >= cutoff {
			return false, err
		}
		if err := b.Delete(a.key.append(nil), nil); err != nil {
			return false, err
		}
		if a.trace.IsZero() {
			return true, nil
		}
		return true, b.Delete(appendTraceKey(nil, a.trace, a.key), nil)
	})
}

func (s *Store) expireSpans(cutoff int64) error {
	return s.expireRange(expiryPrefix, telemetry.Spans, func(b *pebble.Batch, key, _ []byte) (bool, error) {
		if len(key) != 1+8+spanKeyBytes-1 {
			return false, errCorrupt
		}
		if readTime(key[1:]) >= cutoff {
			return false, nil
		}
		span := append([]byte{spanPrefix}, key[9:]...)
		if err := b.Delete(appendIndexKey(nil, span), nil); err != nil {
			return false, err
		}
		return true, b.Delete(span, nil)
	})
}

// expireRange gives the entries of an index, in order, to remove, which deletes what the entry points to, until that
// reports that an entry stays.
func (s *Store) expireRange(prefix byte, signal telemetry.Signal, remove func(b *pebble.Batch, key, value []byte) (bool, error)) error {
	expired := s.metrics.expired.WithLabelValues(signal.String())
	for {
		select {
		case <-s.closing:
			return nil
		default:
		}
		n, err := s.expireSome(prefix, remove)
		if err != nil {
			return err
		}
		expired.Add(float64(n))
		if n < expireBatch {
			return nil
		}
	}
}

func (s *Store) expireSome(prefix byte, remove func(b *pebble.Batch, key, value []byte) (bool, error)) (n int, err error) {
	it, err := s.db.NewIter(&pebble.IterOptions{LowerBound: []byte{prefix}, UpperBound: []byte{prefix + 1}})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	b := s.db.NewBatch()
	defer func() { err = errors.Join(err, b.Close()) }()
	var last []byte
	for ok := it.First(); ok && n < expireBatch; ok = it.Next() {
		gone, err := remove(b, it.Key(), it.Value())
		if err != nil {
			return 0, err
		}
		if !gone {
			break
		}
		last = append(last[:0], it.Key()...)
		n++
	}
	if n == 0 {
		return 0, it.Error()
	}
	if err := b.DeleteRange([]byte{prefix}, append(last, 0), nil); err != nil {
		return 0, err
	}
	return n, b.Commit(pebble.NoSync)
}

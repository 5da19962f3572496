package store

import (
	"context"
	"errors"

	"github.com/cockroachdb/pebble/v2"
)

// How much a follower takes up at a time, before it yields any of it.
const (
	followLines = 512
	followBytes = 1 << 20
)

// An arrived is a matching line that a follower has taken up.
type arrived struct {
	stream *stream
	key    logKey
	value  []byte
}

// follow yields the lines that came after last, in their order, until ctx or the store ends. Each round asks for the
// next wake-up first and reads second, so that a commit between the two is seen by one of them.
func (a *answer) follow(ctx context.Context, last sequence) error {
	a.store.metrics.follows.Inc()
	defer a.store.metrics.follows.Dec()
	var page []arrived
	var arena []byte
	for {
		woken := a.store.woken()
		var more bool
		var err error
		page, arena, more, err = a.take(ctx, &last, page[:0], arena[:0])
		if err != nil {
			return err
		}
		for i := range page {
			if err := a.give(ctx, page[i].stream, page[i].key, page[i].value); err != nil {
				return err
			}
		}
		if more {
			continue
		}
		select {
		case <-woken:
		case <-ctx.Done():
			return ctx.Err()
		case <-a.store.closing:
			return ErrClosed
		}
	}
}

// take reads the lines after last and moves last on. No iterator stays open while they are yielded.
func (a *answer) take(ctx context.Context, last *sequence, page []arrived, arena []byte) (_ []arrived, _ []byte, more bool, err error) {
	it, err := a.store.db.NewIter(&pebble.IterOptions{
		LowerBound: append(last.append(nil), 0), UpperBound: []byte{sequencePrefix + 1},
	})
	if err != nil {
		return page, arena, false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	seen := 0
	for ok := it.First(); ok; ok = it.Next() {
		if len(page) == followLines || len(arena) > followBytes {
			return page, arena, true, nil
		}
		if seen++; seen%checkEvery == 0 {
			if err := a.store.alive(ctx); err != nil {
				return page, arena, false, err
			}
		}
		if *last, err = parseSequence(it.Key()); err != nil {
			return page, arena, false, err
		}
		arr, err := parseArrival(it.Value())
		if err != nil {
			return page, arena, false, err
		}
		st := a.filter.find(a.store.streams, arr.key.stream)
		if st == nil || !a.filter.matchTime(arr.key.at) {
			continue
		}
		start := len(arena)
		if arena, err = a.value(arr.key, arena); err != nil {
			return page, arena, false, err
		}
		if len(arena) > start {
			page = append(page, arrived{st, arr.key, arena[start:len(arena):len(arena)]})
		}
	}
	return page, arena, false, it.Error()
}

// value appends the stored line if it matches and has not expired.
func (a *answer) value(k logKey, arena []byte) ([]byte, error) {
	value, closer, err := a.store.db.Get(k.append(nil))
	if errors.Is(err, pebble.ErrNotFound) {
		return arena, nil
	}
	if err != nil {
		return arena, err
	}
	match, err := a.filter.matchValue(value)
	if match {
		arena = append(arena, value...)
	}
	return arena, errors.Join(err, closer.Close())
}

package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/braidhq/braid/telemetry"
)

// errLimit ends an answer that has reached its limit.
var errLimit = errors.New("limit reached")

// Logs implements query.Logs: it yields the stored lines that match q by event time and uid, and with q.Follow goes on
// with the lines that are stored from then on, in the order of their arrival. The two parts meet exactly: a line is
// yielded once, however slowly yield returns, unless its retention ends first. Following ends with ctx, whose error is
// returned, or with [ErrClosed].
// Previous asks for containers that have ended, so nothing is followed then.
func (s *Store) Logs(ctx context.Context, q telemetry.LogQuery, yield func(*telemetry.LogRecord) error) error {
	if !s.enter() {
		return ErrClosed
	}
	defer s.users.Done()
	a := &answer{store: s, filter: newFilter(q), yield: yield, left: q.Limit}
	last, err := a.history(ctx)
	if err == nil && q.Follow && !q.Previous {
		err = a.follow(ctx, last)
	}
	if errors.Is(err, errLimit) {
		return nil
	}
	return err
}

// An answer is one call of Logs.
type answer struct {
	store  *Store
	filter *filter
	yield  func(*telemetry.LogRecord) error
	left   int // lines up to the limit; 0: no limit
	record telemetry.LogRecord
}

// history yields what is stored now and returns the place of the line that came last.
func (a *answer) history(ctx context.Context) (last sequence, err error) {
	snapshot := a.store.db.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	if last, err = lastSequence(snapshot); err != nil {
		return last, err
	}
	f := a.filter
	matching := a.store.streams.match(f.matchStream)
	if f.q.Previous {
		if matching, err = previous(snapshot, matching); err != nil {
			return last, err
		}
	}
	if !f.q.TraceID.IsZero() {
		if f, matching, err = narrowToTrace(snapshot, f, matching); err != nil {
			return last, err
		}
	}
	var cursors []*cursor
	if f.q.Tail > 0 {
		cursors, err = a.store.tail(ctx, snapshot, f, matching)
	} else {
		for _, st := range matching {
			cursors = append(cursors, newCursor(st, f, false))
		}
	}
	if err != nil {
		return last, err
	}
	m, err := a.store.merge(ctx, snapshot, f, cursors, false)
	if err != nil {
		return last, err
	}
	for {
		e, st, err := m.next(ctx)
		if err != nil || e == nil {
			return last, err
		}
		if err := a.give(ctx, st, e.key, e.value); err != nil {
			return last, err
		}
	}
}

// give yields one line.
func (a *answer) give(ctx context.Context, st *stream, k logKey, value []byte) error {
	if err := a.store.alive(ctx); err != nil {
		return err
	}
	a.record.Resource = st.resource
	if err := decodeLog(value, k, &a.record.Log); err != nil {
		return fmt.Errorf("cannot read line %s: %w", k.uid, err)
	}
	if err := a.yield(&a.record); err != nil {
		return err
	}
	if a.left > 0 {
		if a.left--; a.left == 0 {
			return errLimit
		}
	}
	return nil
}

// tail returns cursors that begin at the last q.Tail matching lines of each container.
func (s *Store) tail(ctx context.Context, from reader, f *filter, sts []*stream) ([]*cursor, error) {
	var all []*cursor
	for _, group := range byContainer(sts) {
		backward := make([]*cursor, len(group))
		for i, st := range group {
			backward[i] = newCursor(st, f, true)
		}
		m, err := s.merge(ctx, from, f, backward, true)
		if err != nil {
			return nil, err
		}
		var first *logKey
		for n := 0; n < f.q.Tail; n++ {
			e, _, err := m.next(ctx)
			if err != nil {
				return nil, err
			}
			if e == nil {
				break
			}
			k := e.key
			first = &k
		}
		if first == nil {
			continue
		}
		for _, st := range group {
			c := newCursor(st, f, false)
			c.narrow(*first)
			all = append(all, c)
		}
	}
	return all, nil
}

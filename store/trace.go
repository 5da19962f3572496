package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
)

// Trace implements query.Traces: the trace's spans by start and the lines that carry its id by event time; nil if
// nothing of it is stored for the tenant.
func (s *Store) Trace(ctx context.Context, tenant string, id telemetry.TraceID) (_ *telemetry.Trace, err error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.users.Done()
	snapshot := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	t := &telemetry.Trace{ID: id}
	if err := s.traceSpans(ctx, snapshot, tenant, t); err != nil {
		return nil, fmt.Errorf("cannot read the spans of trace %s: %w", id, err)
	}
	keys, err := traceLines(snapshot, id)
	if err != nil {
		return nil, fmt.Errorf("cannot read the lines of trace %s: %w", id, err)
	}
	for _, k := range keys {
		if err := s.alive(ctx); err != nil {
			return nil, err
		}
		st := s.streams.get(k.stream)
		if st == nil || st.tenant != tenant {
			continue
		}
		value, closer, err := snapshot.Get(k.append(nil))
		if errors.Is(err, pebble.ErrNotFound) {
			continue // expired
		}
		if err != nil {
			return nil, fmt.Errorf("cannot read line %s: %w", k.uid, err)
		}
		r := telemetry.LogRecord{Resource: st.resource}
		err = decodeLog(append([]byte(nil), value...), k, &r.Log)
		if err = errors.Join(err, closer.Close()); err != nil {
			return nil, fmt.Errorf("cannot read line %s: %w", k.uid, err)
		}
		t.Logs = append(t.Logs, r)
	}
	if len(t.Spans)+len(t.Logs) == 0 {
		return nil, nil
	}
	return t, nil
}

func (s *Store) traceSpans(ctx context.Context, from reader, tenant string, t *telemetry.Trace) error {
	prefix := append([]byte{spanPrefix}, t.ID[:]...)
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return err
	}
	defer it.Close()
	for ok := it.First(); ok; ok = it.Next() {
		if err := s.alive(ctx); err != nil {
			return err
		}
		var r telemetry.SpanRecord
		id, err := parseSpanKey(it.Key(), &r.Span)
		if err != nil {
			return err
		}
		if err := decodeSpan(it.Value(), &r.Span, &r.Scope); err != nil {
			return err
		}
		if st := s.streams.get(id); st != nil && st.tenant == tenant {
			r.Resource = st.resource
			t.Spans = append(t.Spans, r)
		}
	}
	return it.Error()
}

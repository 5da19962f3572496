package store

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
)

// operationSpans is how many of a stream's newest spans are looked at for the operations in some namespaces.
const operationSpans = 10_000

// Namespaces implements query.Logs and query.TraceSearch: the namespaces of which lines or spans are stored, by name. ""
// is none of them.
func (s *Store) Namespaces(_ context.Context, tenant string) ([]string, error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.users.Done()
	found := map[string]bool{}
	for _, st := range s.streams.match(func(st *stream) bool { return st.tenant == tenant && st.resource.Namespace != "" }) {
		found[st.resource.Namespace] = true
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// servicesIn is Services in some namespaces: those of the streams that have a span.
func (s *Store) servicesIn(ctx context.Context, tenant string, namespaces []string) (_ []string, err error) {
	snapshot := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	found := map[string]bool{}
	for _, st := range s.streams.match(func(st *stream) bool {
		return st.tenant == tenant && st.resource.Service != "" && inAny(namespaces, st.resource.Namespace)
	}) {
		if found[st.resource.Service] {
			continue
		}
		err := eachIndexed(ctx, s, snapshot, st, func([]byte, []byte) (bool, error) {
			found[st.resource.Service] = true
			return false, nil
		})
		if err != nil {
			return nil, fmt.Errorf("cannot list services: %w", err)
		}
	}
	return slices.Sorted(maps.Keys(found)), nil
}

// operationsIn is Operations in some namespaces. Spans of one kind whose names have the same mark are read once.
func (s *Store) operationsIn(ctx context.Context, tenant, service string, namespaces []string) (_ []telemetry.Operation, err error) {
	snapshot := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	type marked struct {
		name uint32
		kind byte
	}
	known, found := map[marked]bool{}, map[telemetry.Operation]bool{}
	var spanKey []byte
	for _, st := range s.streams.match(func(st *stream) bool {
		return st.tenant == tenant && st.resource.Service == service && inAny(namespaces, st.resource.Namespace)
	}) {
		seen := 0
		err := eachIndexed(ctx, s, snapshot, st, func(key, value []byte) (bool, error) {
			seen++
			m, err := parseMark(value)
			if err != nil || known[marked{m.name, key[41]}] {
				return seen < operationSpans, err
			}
			spanKey = appendIndexedSpan(spanKey[:0], key)
			name, ok, err := spanName(snapshot, spanKey)
			if ok {
				known[marked{m.name, key[41]}] = true
				found[telemetry.Operation{Name: name, Kind: telemetry.SpanKind(key[41])}] = true
			}
			return seen < operationSpans && len(found) < maxServiceOperations, err
		})
		if err != nil {
			return nil, fmt.Errorf("cannot list operations: %w", err)
		}
	}
	return slices.Collect(maps.Keys(found)), nil
}

func spanName(from *pebble.Snapshot, spanKey []byte) (name string, ok bool, err error) {
	stored, closer, err := from.Get(spanKey)
	if errors.Is(err, pebble.ErrNotFound) {
		return "", false, nil // expired, by a braid that knows no index
	}
	if err != nil {
		return "", false, err
	}
	var span telemetry.Span
	var scope telemetry.Scope
	err = decodeSpan(stored, &span, &scope)
	name = string([]byte(span.Name)) // which may alias what is lent
	return name, err == nil, errors.Join(err, closer.Close())
}

// eachIndexed goes over the span index of a stream, the newest first, until each has enough. Key and value are lent.
func eachIndexed(ctx context.Context, s *Store, from *pebble.Snapshot, st *stream, each func(key, value []byte) (more bool, err error)) (err error) {
	prefix := appendStreamPrefix(nil, st.id)
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: prefix, UpperBound: prefixEnd(prefix)})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	seen := 0
	for ok := it.Last(); ok; ok = it.Prev() {
		if seen++; seen%checkEvery == 0 {
			if err := s.alive(ctx); err != nil {
				return err
			}
		}
		if len(it.Key()) != indexKeyBytes {
			return fmt.Errorf("%w: span index % x", errCorrupt, it.Key())
		}
		more, err := each(it.Key(), it.Value())
		if err != nil || !more {
			return err
		}
	}
	return it.Error()
}

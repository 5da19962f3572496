package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

// A search looks for the newest traces that have a span for which a query holds.
type search struct {
	store    *Store
	from     *pebble.Snapshot
	q        telemetry.TraceQuery
	name     uint32
	limit    int
	earliest int64 // no span that starts before is wanted (any more)
	latest   int64 // nor one after

	newest map[telemetry.TraceID]int64 // start of the newest span that matches
	key    []byte
	attrs  []telemetry.Attr // of the stream's resource
}

// FindTraces implements query.TraceSearch: the ids of traces that match, those with the newest matching span first.
func (s *Store) FindTraces(ctx context.Context, q telemetry.TraceQuery) (_ []telemetry.TraceID, err error) {
	if !s.enter() {
		return nil, ErrClosed
	}
	defer s.users.Done()
	snapshot := s.db.NewSnapshot()
	defer func() { err = errors.Join(err, snapshot.Close()) }()
	f := &search{
		store: s, from: snapshot, q: q, name: nameMark(q.Operation), limit: q.Limit,
		earliest: math.MinInt64, latest: math.MaxInt64, newest: map[telemetry.TraceID]int64{},
	}
	if f.limit <= 0 {
		f.limit = telemetry.DefaultTraces
	}
	if q.FromUnixNano != 0 {
		f.earliest = q.FromUnixNano
	}
	if q.ToUnixNano != 0 {
		f.latest = q.ToUnixNano - 1
	}
	sts := s.streams.match(func(st *stream) bool {
		return st.tenant == q.Tenant && (q.Service == "" || st.resource.Service == q.Service) && inAny(q.Namespaces, st.resource.Namespace)
	})
	for _, st := range sts {
		if err := f.stream(ctx, st); err != nil {
			return nil, fmt.Errorf("cannot search for traces: %w", err)
		}
	}
	return f.best(), nil
}

// best returns the newest traces found, and remembers how new a span must be to matter beside them.
func (f *search) best() []telemetry.TraceID {
	ids := make([]telemetry.TraceID, 0, len(f.newest))
	for id := range f.newest {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b telemetry.TraceID) int {
		return cmp.Or(cmp.Compare(f.newest[b], f.newest[a]), bytes.Compare(a[:], b[:]))
	})
	if len(ids) >= f.limit {
		for _, id := range ids[f.limit:] {
			delete(f.newest, id)
		}
		ids = ids[:f.limit]
		f.earliest = max(f.earliest, f.newest[ids[f.limit-1]])
	}
	return ids
}

// stream goes over the spans of one stream from the newest backward, until it has found enough traces.
func (f *search) stream(ctx context.Context, st *stream) error {
	if f.latest < f.earliest {
		return nil
	}
	f.attrs = otlp.ResourceAttributes(f.attrs[:0], st.resource)
	lower := appendTime(appendStreamPrefix(nil, st.id), f.earliest)
	upper := prefixEnd(appendTime(appendStreamPrefix(nil, st.id), f.latest))
	it, err := f.from.NewIter(&pebble.IterOptions{LowerBound: lower, UpperBound: upper})
	if err != nil {
		return err
	}
	defer it.Close()
	found, seen := map[telemetry.TraceID]bool{}, 0
	for ok := it.Last(); ok && len(found) < f.limit; ok = it.Prev() {
		if seen++; seen%checkEvery == 0 {
			if err := f.store.alive(ctx); err != nil {
				return err
			}
		}
		key := it.Key()
		if len(key) != indexKeyBytes {
			return fmt.Errorf("%w: span index % x", errCorrupt, key)
		}
		id, start := telemetry.TraceID(key[17:33]), readTime(key[9:])
		if at, known := f.newest[id]; found[id] || (known && at >= start) {
			found[id] = true
			continue
		}
		match, err := f.match(key, it.Value())
		if err != nil {
			return err
		}
		if match {
			found[id], f.newest[id] = true, start
		}
	}
	f.best()
	return it.Error()
}

func appendStreamPrefix(b []byte, id uint64) []byte {
	b = appendStreamKey(b, id)
	b[len(b)-9] = indexPrefix
	return b
}

// match looks at what the index says of a span, and at the span itself only if that may match.
func (f *search) match(key, value []byte) (bool, error) {
	m, err := parseMark(value)
	if err != nil {
		return false, err
	}
	q := &f.q
	if (len(q.Kinds) > 0 && !slices.Contains(q.Kinds, telemetry.SpanKind(key[41]))) ||
		(len(q.Statuses) > 0 && !slices.Contains(q.Statuses, m.status)) ||
		(q.Operation != "" && m.name != f.name) ||
		(q.MinNano != 0 && m.duration < q.MinNano) || (q.MaxNano != 0 && m.duration > q.MaxNano) {
		return false, nil
	}
	f.key = appendIndexedSpan(f.key[:0], key)
	stored, closer, err := f.from.Get(f.key)
	if errors.Is(err, pebble.ErrNotFound) {
		return false, nil // expired, by a braid that knows no index
	}
	if err != nil {
		return false, err
	}
	defer closer.Close()
	if q.Operation == "" && len(q.Attrs) == 0 {
		return true, nil
	}
	var span telemetry.Span
	var scope telemetry.Scope
	if err := decodeSpan(stored, &span, &scope); err != nil {
		return false, err
	}
	if q.Operation != "" && span.Name != q.Operation {
		return false, nil
	}
	for _, want := range q.Attrs {
		if !hasText(span.Attrs, want) && !hasText(f.attrs, want) {
			return false, nil
		}
	}
	return true, nil
}

func hasText(attrs []telemetry.Attr, want telemetry.TextAttr) bool {
	return slices.ContainsFunc(attrs, func(a telemetry.Attr) bool { return a.Key == want.Key && text(a.Value) == want.Value })
}

// text is a value as a query spells it.
func text(v telemetry.Value) string {
	switch v.Kind {
	case telemetry.IntValue:
		return strconv.FormatInt(v.Int, 10)
	case telemetry.BoolValue:
		return strconv.FormatBool(v.Int != 0)
	case telemetry.FloatValue:
		return strconv.FormatFloat(v.Float, 'g', -1, 64)
	case telemetry.BytesValue:
		return base64.StdEncoding.EncodeToString([]byte(v.Str))
	}
	return v.Str
}

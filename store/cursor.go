package store

import (
	"container/heap"
	"context"
	"math"

	"github.com/cockroachdb/pebble/v2"

	"github.com/braidhq/braid/telemetry"
)

// How many matching lines, and bytes of them, the cursors of one merge hold at a time, and how many keys are looked at
// between two looks at the context.
const (
	mergeLines  = 1 << 13
	refillBytes = 256 << 10
	checkEvery  = 1 << 10
)

// An entry is one line that a cursor holds.
type entry struct {
	key   logKey
	value []byte // empty in a reverse cursor
}

// A cursor goes over the matching lines of one stream by time and uid, forward or backward. It holds a few lines and
// no iterator, so that a reader who stops reading pins no files.
type cursor struct {
	stream  *stream
	lower   []byte // what is left: lower <= key < upper
	upper   []byte
	reverse bool
	buf     []entry
	arena   []byte
	next    int
	done    bool // nothing is left behind buf
}

func newCursor(st *stream, f *filter, reverse bool) *cursor {
	c := &cursor{
		stream: st, reverse: reverse,
		lower: logKey{stream: st.id, at: f.from}.append(nil),
		upper: logKey{stream: st.id, at: f.to}.append(nil),
	}
	if f.to == math.MaxInt64 {
		c.upper = prefixEnd(c.upper[:9])
	}
	return c
}

func (c *cursor) head() *entry { return &c.buf[c.next] }

// refill reads up to n matching lines. Without any, the cursor is at its end.
func (c *cursor) refill(ctx context.Context, s *Store, from reader, f *filter, n int) error {
	c.buf, c.arena, c.next = c.buf[:0], c.arena[:0], 0
	if c.done {
		return nil
	}
	it, err := from.NewIter(&pebble.IterOptions{LowerBound: c.lower, UpperBound: c.upper})
	if err != nil {
		return err
	}
	defer it.Close()
	first, next := it.First, it.Next
	if c.reverse {
		first, next = it.Last, it.Prev
	}
	seen := 0
	ok := first()
	for ; ok && len(c.buf) < n && len(c.arena) < refillBytes; ok = next() {
		if seen++; seen%checkEvery == 0 {
			if err := s.alive(ctx); err != nil {
				return err
			}
		}
		if err := c.take(it.Key(), it.Value(), f); err != nil {
			return err
		}
	}
	if !ok {
		c.done = true
		return it.Error()
	}
	if c.reverse {
		c.upper = append(c.upper[:0], it.Key()...)
		c.upper = append(c.upper, 0) // the key itself is left
	} else {
		c.lower = append(c.lower[:0], it.Key()...)
	}
	return nil
}

// take copies one line if it matches.
func (c *cursor) take(key, value []byte, f *filter) error {
	match, err := f.matchValue(value)
	if err != nil || !match {
		return err
	}
	k, err := parseLogKey(key)
	if err != nil {
		return err
	}
	e := entry{key: k}
	if !c.reverse {
		start := len(c.arena)
		c.arena = append(c.arena, value...) // growth leaves earlier entries on the old array, which they keep alive
		e.value = c.arena[start:len(c.arena):len(c.arena)]
	}
	c.buf = append(c.buf, e)
	return nil
}

// A merge goes over the lines of several streams in one order.
type merge struct {
	store   *Store
	from    reader
	filter  *filter
	refill  int
	reverse bool
	heap    []*cursor
}

// merge starts over cursors that have not been read yet.
func (s *Store) merge(ctx context.Context, from reader, f *filter, cursors []*cursor, reverse bool) (*merge, error) {
	m := &merge{store: s, from: from, filter: f, reverse: reverse}
	m.refill = min(max(mergeLines/max(len(cursors), 1), 16), 512)
	for _, c := range cursors {
		if err := s.alive(ctx); err != nil {
			return nil, err
		}
		if err := c.refill(ctx, s, from, f, m.refill); err != nil {
			return nil, err
		}
		if len(c.buf) > 0 {
			m.heap = append(m.heap, c)
		}
	}
	heap.Init(m)
	return m, nil
}

// next returns the next line, valid until the call after, and its stream; nil at the end.
func (m *merge) next(ctx context.Context) (*entry, *stream, error) {
	for len(m.heap) > 0 {
		c := m.heap[0]
		if c.next < len(c.buf) {
			e := c.head()
			c.next++
			if c.next < len(c.buf) {
				heap.Fix(m, 0)
			}
			return e, c.stream, nil
		}
		if err := c.refill(ctx, m.store, m.from, m.filter, m.refill); err != nil {
			return nil, nil, err
		}
		if len(c.buf) == 0 {
			heap.Pop(m)
		} else {
			heap.Fix(m, 0)
		}
	}
	return nil, nil, nil
}

// The heap's order; a cursor that must be refilled before its order is known comes first.
func (m *merge) Len() int { return len(m.heap) }

func (m *merge) Less(i, j int) bool {
	a, b := m.heap[i], m.heap[j]
	if a.next >= len(a.buf) {
		return b.next < len(b.buf)
	}
	if b.next >= len(b.buf) {
		return false
	}
	if m.reverse {
		return b.head().key.before(a.head().key)
	}
	return a.head().key.before(b.head().key)
}

func (m *merge) Swap(i, j int) { m.heap[i], m.heap[j] = m.heap[j], m.heap[i] }
func (m *merge) Push(any)      { panic("BUG: a merge does not grow") }

func (m *merge) Pop() any {
	c := m.heap[len(m.heap)-1]
	m.heap = m.heap[:len(m.heap)-1]
	return c
}

// narrow leaves only lines at or after the given one, of whatever stream.
func (c *cursor) narrow(k logKey) {
	bound := logKey{stream: c.stream.id, at: k.at, uid: k.uid}
	if c.stream.id < k.stream { // same time and uid, but an earlier stream: before k
		bound.uid = nextUID(k.uid)
	}
	c.lower = bound.append(c.lower[:0])
}

// nextUID returns the smallest uid above u. The largest of all is no uid that anything draws.
func nextUID(u telemetry.UID) telemetry.UID {
	for i := len(u) - 1; i >= 0; i-- {
		u[i]++
		if u[i] != 0 {
			return u
		}
	}
	return u
}

package correlate

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/telemetry"
)

// IndexOptions of [Index].
type IndexOptions struct {
	Registerer prometheus.Registerer // nil: unregistered
	// An entry lives Wait + Late from the trace's first record on, in receive time. 0: 10 seconds and 5 minutes.
	Wait, Late time.Duration
	MaxEntries int // 0: 1,000,000; the oldest entry gives way to a new one
}

const (
	defaultWait       = 10 * time.Second
	defaultLate       = 5 * time.Minute
	defaultMaxEntries = 1_000_000
)

// EntryFlags are what is known of a trace's records.
type EntryFlags uint8

const (
	// ErrorSpan: a span has the status error.
	ErrorSpan EntryFlags = 1 << iota
	// ErrorLine: a line has the severity error or a higher one.
	ErrorLine
	// RootSpan: a span has no parent.
	RootSpan
)

// An Entry is what the index knows of a trace. Counts stop at their largest value.
type Entry struct {
	FirstReceivedUnixNano int64
	Spans, Lines          uint32
	Flags                 EntryFlags
}

// Index knows the traces of the last minutes. Its methods are safe for concurrent use.
type Index struct {
	life int64
	max  int

	mu      sync.Mutex
	entries map[telemetry.TraceID]Entry
	order   fifo  // the ids of all entries, by when they came
	now     int64 // the latest receive time seen
	peak    int   // how many entries the map has room for, at least

	self indexMetrics
}

// NewIndex returns an empty index.
func NewIndex(o IndexOptions) *Index {
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.Late <= 0 {
		o.Late = defaultLate
	}
	if o.MaxEntries <= 0 {
		o.MaxEntries = defaultMaxEntries
	}
	x := &Index{
		life: int64(o.Wait + o.Late), max: o.MaxEntries, entries: map[telemetry.TraceID]Entry{},
		now: math.MinInt64, self: newIndexMetrics(),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(x.self.entries, x.self.evicted, x.self.expired)
	}
	return x
}

// Observe takes in the spans and lines of b, replayed or not: the index is rebuilt by replay.
func (x *Index) Observe(b *telemetry.Batch, _ bool) {
	if len(b.Spans) == 0 && len(b.Logs) == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.now = max(x.now, b.ReceivedUnixNano)
	x.expire()
	for i := range b.Spans {
		s := &b.Spans[i]
		var flags EntryFlags
		if s.Status == telemetry.StatusError {
			flags = ErrorSpan
		}
		if s.ParentID.IsZero() {
			flags |= RootSpan
		}
		x.add(s.TraceID, b.ReceivedUnixNano, 1, 0, flags)
	}
	for i := range b.Logs {
		l := &b.Logs[i]
		var flags EntryFlags
		if l.Severity >= telemetry.SeverityError {
			flags = ErrorLine
		}
		x.add(l.TraceID, b.ReceivedUnixNano, 0, 1, flags)
	}
	x.self.entries.Set(float64(len(x.entries)))
}

func (x *Index) add(id telemetry.TraceID, received int64, spans, lines uint32, flags EntryFlags) {
	if id.IsZero() {
		return
	}
	e, known := x.entries[id]
	if !known {
		if x.now-received >= x.life { // a lane that lags behind the others: it would go at once
			x.self.expired.Inc()
			return
		}
		if len(x.entries) >= x.max {
			delete(x.entries, x.order.pop())
			x.self.evicted.Inc()
		}
		x.order.push(id)
		e.FirstReceivedUnixNano = received
		x.peak = max(x.peak, len(x.entries)+1)
	}
	e.FirstReceivedUnixNano = min(e.FirstReceivedUnixNano, received)
	e.Spans = addUpTo(e.Spans, spans)
	e.Lines = addUpTo(e.Lines, lines)
	e.Flags |= flags
	x.entries[id] = e
}

func addUpTo(n, more uint32) uint32 {
	if n > math.MaxUint32-more {
		return math.MaxUint32
	}
	return n + more
}

// minPeak is below what size a map is not worth being replaced by a smaller one.
const minPeak = 1 << 14

// expire removes the entries whose life is over. An entry behind a younger one, as lanes that run apart make them, goes
// with that one. Maps do not shrink, so one that has become far too large is replaced.
func (x *Index) expire() {
	for x.order.len() > 0 {
		id := x.order.front()
		if x.alive(x.entries[id]) {
			break
		}
		x.order.pop()
		delete(x.entries, id)
		x.self.expired.Inc()
	}
	if x.peak > minPeak && len(x.entries) < x.peak/4 {
		smaller := make(map[telemetry.TraceID]Entry, len(x.entries))
		for id, e := range x.entries {
			smaller[id] = e
		}
		x.entries, x.peak = smaller, len(smaller)
	}
}

func (x *Index) alive(e Entry) bool { return x.now-e.FirstReceivedUnixNano < x.life }

// Lookup returns what is known of a trace.
func (x *Index) Lookup(id telemetry.TraceID) (Entry, bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	e, ok := x.entries[id]
	if !ok || !x.alive(e) {
		return Entry{}, false
	}
	return e, true
}

// Snapshot returns nothing: the index is rebuilt by replay.
func (x *Index) Snapshot() []byte { return nil }

// Restore takes the empty snapshot only.
func (x *Index) Restore(snapshot []byte) error {
	if len(snapshot) > 0 {
		return fmt.Errorf("%w: the trace index has none, and this one has %d bytes", ErrSnapshot, len(snapshot))
	}
	return nil
}

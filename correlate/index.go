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
	Rules      *Rules                // whose facts are kept; nil: none are
	// What is received before Wait after a trace's first span counts, lines and exemplars from Late before it on. 0: 10
	// seconds and 5 minutes.
	Wait, Late time.Duration
	MaxEntries int // 0: 5,000,000; facts of further traces are refused and counted
	// Watermarks are the receive times up to which each lane was observed and the decider has decided: what lies before
	// all of them by Late goes. Without any, the newest records of the lanes that have shown some stand for them.
	Watermarks []func() int64
}

const (
	defaultWait       = 10 * time.Second
	defaultLate       = 5 * time.Minute
	defaultMaxEntries = 5_000_000
	// parts is into how many spans of receive time Late is cut. Within one a fact is kept with its first occurrence only.
	parts = 4
)

// An Index holds the facts about the traces of the last minutes: which rules something has made hold, and when that was
// first received. A trace about which there is nothing to say costs nothing. It observes the lanes of logs, spans and
// samples, each by a goroutine of its own; its methods are safe for concurrent use.
//
// A fact is kept with the receive time of its first occurrence in each part (a quarter of Late) of receive time. So what it
// says of a trace does not depend on how the lanes were interleaved, on when anything expires, or on where a replay began.
type Index struct {
	rules            *Rules
	wait, late, part int64
	max              int
	watermarks       []func() int64

	mu          sync.Mutex
	generations []*generation // by number, oldest first
	newest      [3]int64      // receive time by lane
	entries     int
	durations   durations

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
	if o.Rules == nil {
		o.Rules = &Rules{}
	}
	x := &Index{
		rules: o.Rules, wait: int64(o.Wait), late: int64(o.Late), part: max(1, int64(o.Late)/parts), max: o.MaxEntries,
		watermarks: o.Watermarks, durations: durations{rules: o.Rules.quantiles}, self: newIndexMetrics(),
	}
	for i := range x.newest {
		x.newest[i] = math.MinInt64
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(x.self.entries, x.self.refused, x.self.expired, x.self.overflow)
	}
	return x
}

// Hold is for how long before the decider's committed place the lanes have to be replayed for the index to say the same
// again.
func (x *Index) Hold() time.Duration {
	hold := x.late + x.part
	if len(x.durations.rules) > 0 {
		hold = max(hold, x.part+(windows+1)*windowNanos)
	}
	return time.Duration(hold)
}

// Attributes are the span attributes that Observe looks at.
func (x *Index) Attributes() (keys []string) {
	for i := range x.rules.attributes {
		keys = append(keys, x.rules.attributes[i].key)
	}
	return keys
}

// Observe takes in the facts of b, replayed or not: the index is rebuilt by replay.
func (x *Index) Observe(b *telemetry.Batch, _ bool) {
	x.expire(b)
	switch {
	case len(b.Spans) > 0:
		x.spans(b)
	case len(b.Logs) > 0:
		x.lines(b)
	case len(b.Samples) > 0:
		x.samples(b)
	}
}

func (x *Index) spans(b *telemetry.Batch) {
	r := x.rules
	ofResource := r.ofResource(b.Resource)
	var op operation
	if b.Resource != nil {
		op.service = b.Resource.Service
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range b.Spans {
		s := &b.Spans[i]
		held := ofResource
		if s.Status == telemetry.StatusError {
			held |= r.errors
		}
		nanos := max(0, s.EndUnixNano-s.StartUnixNano)
		for i := range r.slow {
			if nanos > r.slow[i].above {
				held |= r.slow[i].bit
			}
		}
		for i := range r.attributes {
			if a := &r.attributes[i]; held&a.bit == 0 && a.in(s.Attrs) {
				held |= a.bit
			}
		}
		if len(r.quantiles) > 0 {
			op.name = s.Name
			held |= x.durations.observe(op, nanos, b.ReceivedUnixNano)
		}
		if held != 0 {
			x.add(s.TraceID, held, b.ReceivedUnixNano)
		}
	}
	x.self.overflow.Add(float64(x.durations.overflow))
	x.durations.overflow = 0
}

func (x *Index) lines(b *telemetry.Batch) {
	if x.rules.lines == 0 {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range b.Logs {
		if l := &b.Logs[i]; l.Severity >= telemetry.SeverityError {
			x.add(l.TraceID, x.rules.lines, b.ReceivedUnixNano)
		}
	}
}

func (x *Index) samples(b *telemetry.Batch) {
	if x.rules.exemplars == 0 {
		return
	}
	for i := range b.Samples {
		for j := range b.Samples[i].Exemplars {
			if id, ok := ParseTraceID(exemplarTrace(&b.Samples[i].Exemplars[j])); ok {
				x.mu.Lock()
				x.add(id, x.rules.exemplars, b.ReceivedUnixNano)
				x.mu.Unlock()
			}
		}
	}
}

// ParseTraceID reads 32 hexadecimal digits. It does not allocate.
func ParseTraceID(s string) (id telemetry.TraceID, ok bool) {
	if len(s) != 2*len(id) {
		return id, false
	}
	for i := range id {
		hi, lo := digit(s[2*i]), digit(s[2*i+1])
		if hi > 15 || lo > 15 {
			return telemetry.TraceID{}, false
		}
		id[i] = hi<<4 | lo
	}
	return id, true
}

func digit(c byte) byte {
	switch {
	case c >= '0' && c <= '9':
		return c - '0'
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10
	}
	return 255
}

// add keeps that the rules held are made to hold by something received then.
func (x *Index) add(id telemetry.TraceID, held uint64, received int64) {
	if id.IsZero() {
		return
	}
	g := x.generation(floorDiv(received, x.part))
	at, known := g.heads[id]
	if !known && x.entries >= x.max {
		x.self.refused.Inc()
		return
	}
	for next := at; next != 0 && held != 0; {
		f := g.fact(next)
		held &^= f.held
		next = f.next
	}
	if held == 0 {
		return
	}
	g.heads[id] = g.push(fact{received, held, at})
	if !known {
		x.entries++
		x.self.entries.Set(float64(x.entries))
	}
}

// Facts returns the bits of the rules that something has made hold for a trace whose first span was received at t: by spans
// from t on, by lines and exemplars from t − Late on, all before t + Wait. It means what it says only once every lane was
// observed up to t + Wait. (At its lower end the window begins with the part of receive time that it lies in.)
func (x *Index) Facts(id telemetry.TraceID, t int64) (held uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	first, own, end := floorDiv(t-x.late, x.part), floorDiv(t, x.part), t+x.wait
	early := x.rules.lines | x.rules.exemplars
	for _, g := range x.generations {
		if g.number < first || g.number*x.part >= end {
			continue
		}
		for next := g.heads[id]; next != 0; {
			f := g.fact(next)
			if f.received < end {
				if g.number >= own {
					held |= f.held
				} else {
					held |= f.held & early
				}
			}
			next = f.next
		}
	}
	return held
}

// generation returns the one of that number. There are few, and the last is asked for most.
func (x *Index) generation(number int64) *generation {
	i := len(x.generations)
	for i > 0 && x.generations[i-1].number >= number {
		if i--; x.generations[i].number == number {
			return x.generations[i]
		}
	}
	g := &generation{number: number, heads: map[telemetry.TraceID]uint32{}}
	x.generations = append(x.generations, nil)
	copy(x.generations[i+1:], x.generations[i:])
	x.generations[i] = g
	return g
}

// expire lets go of the generations that no decision to come asks for. They go whole: nothing is looked through, and no map
// is copied to become smaller.
func (x *Index) expire(b *telemetry.Batch) {
	lane := 2
	if len(b.Spans) > 0 {
		lane = 1
	} else if len(b.Logs) > 0 {
		lane = 0
	}
	x.mu.Lock()
	before := x.newest[lane]
	x.newest[lane] = max(before, b.ReceivedUnixNano)
	crossed := before == math.MinInt64 || floorDiv(before, x.part) != floorDiv(x.newest[lane], x.part)
	x.mu.Unlock()
	if !crossed {
		return
	}
	low := x.low() // without mu: watermarks have locks of their own
	x.mu.Lock()
	defer x.mu.Unlock()
	for len(x.generations) > 0 && x.generations[0].number < low {
		n := len(x.generations[0].heads)
		x.entries -= n
		x.self.expired.Add(float64(n))
		x.generations[0] = nil
		x.generations = x.generations[1:]
	}
	x.self.entries.Set(float64(x.entries))
}

// low returns the number of the first generation that a decision to come may ask for.
func (x *Index) low() int64 {
	passed := int64(math.MaxInt64)
	for _, w := range x.watermarks {
		passed = min(passed, w())
	}
	if len(x.watermarks) == 0 {
		x.mu.Lock()
		for _, newest := range x.newest {
			if newest != math.MinInt64 {
				passed = min(passed, newest-x.wait-x.late)
			}
		}
		x.mu.Unlock()
	}
	if passed < math.MinInt64+x.late {
		return math.MinInt64
	}
	return floorDiv(passed-x.late, x.part)
}

// AppendSnapshot appends nothing: the index is rebuilt by replay.
func (x *Index) AppendSnapshot(b []byte) []byte { return b }

// Restore takes the empty snapshot only.
func (x *Index) Restore(snapshot []byte) error {
	if len(snapshot) > 0 {
		return fmt.Errorf("%w: the trace index has none, and this one has %d bytes", ErrSnapshot, len(snapshot))
	}
	return nil
}

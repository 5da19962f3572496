package correlate

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/telemetry"
)

// DeciderOptions of [Decider].
type DeciderOptions struct {
	Registerer prometheus.Registerer // nil: unregistered
	Index      *Index                // with the rules and windows
	Verdicts   *Verdicts
	// KeepAll counts what the rules say and keeps every trace all the same.
	KeepAll bool
	// Readers are the receive times up to which those have come that ask [Decider.Dropped]. What they have not passed is
	// remembered, an hour at most; without any, for as long as a trace lasts.
	Readers []func() int64
}

// longestMemory is how far behind the decider a reader may be and still be told what was dropped.
const longestMemory = int64(time.Hour)

// A Decider decides once of every trace, at its first span, whether it is kept, and appends those to the verdict log.
//
// It is a sink and an observer of one delivery, on a cursor of its own on the span lane that holds [Decider.Hold]. Write
// decides, so nil means that the verdicts are synced; Observe takes in what is replayed. A frame received at t may reach it
// only once every lane that the index observes has been observed up to t + Wait: that is what the delivery's gate is for.
// Its snapshot goes with the cursor: after a crash it decides again, from the same facts, what lies behind the cursor, and
// so writes the same verdicts.
type Decider struct {
	index    *Index
	rules    *Rules
	verdicts *Verdicts
	keepAll  bool
	readers  []func() int64
	lines    *LateLines // nil: nobody has asked for it

	mu       sync.RWMutex
	seen     seen
	budgets  Budgets
	alone    Budgets // what each limited share would have spent alone
	counts   DeciderCounts
	pending  []Verdict                      // decided, not in the log yet
	unsaved  map[telemetry.TraceID]struct{} // those of pending
	replay   bool                           // nothing was decided since Restore
	restored []byte
}

// DeciderCounts are what a decider has counted since its cursor began.
type DeciderCounts struct {
	Traces, Kept uint64 // decided, and of them kept
	// By rule, in the order of [Rules.Names]: kept traces for which it held, and traces that it alone would have kept.
	RuleKept, RuleAlone []uint64

	Spans, LateSpans uint64 // LateSpans: received at t + Wait or later, so they had no say
	// Spans without a trace id belong to nothing and are dropped. The others are decided like any: without a span id, with
	// an end before the start (they lasted no time), and of a trace that begins soon after the end of another of its id.
	NoTraceID, NoSpanID, EndBeforeStart, ReusedTraceIDs uint64
}

// NewDecider returns a decider that has decided nothing.
func NewDecider(o DeciderOptions) *Decider {
	x := o.Index
	d := &Decider{
		index: x, rules: x.rules, verdicts: o.Verdicts, keepAll: o.KeepAll, readers: o.Readers,
		seen: seen{life: x.wait + x.late, part: x.part}, unsaved: map[telemetry.TraceID]struct{}{},
	}
	d.counts = d.newCounts()
	if o.Registerer != nil {
		o.Registerer.MustRegister(d)
	}
	return d
}

func (d *Decider) newCounts() DeciderCounts {
	n := len(d.rules.names)
	return DeciderCounts{RuleKept: make([]uint64, n), RuleAlone: make([]uint64, n)}
}

// Hold is for how long its cursor has to hold frames.
func (d *Decider) Hold() time.Duration { return time.Duration(d.seen.hold()) }

// Lines returns the observer of the lane of logs that counts the error lines which came too late. decided is the receive
// time up to which all traces are decided: the watermark of the decider's delivery. It may be called once, before the
// decider is collected.
func (d *Decider) Lines(decided func() int64) *LateLines {
	d.lines = &LateLines{d: d, decided: decided}
	return d.lines
}

// expire forgets what neither a span received then nor a reader asks for.
func (d *Decider) expire(received int64) {
	low := received
	for _, r := range d.readers {
		low = min(low, max(r(), received-longestMemory))
	}
	d.seen.expire(low)
}

// Observe takes in what is replayed; what is not goes to Write.
func (d *Decider) Observe(b *telemetry.Batch, replayed bool) {
	if !replayed {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.expire(b.ReceivedUnixNano)
	for i := range b.Spans {
		if id := b.Spans[i].TraceID; !id.IsZero() {
			d.seen.span(id, b.ReceivedUnixNano)
		}
	}
}

// Write implements [telemetry.Sink]: it decides the traces that begin in batches. After an error the same batches are
// written again: what was decided stays decided, and is appended then.
func (d *Decider) Write(_ context.Context, batches []*telemetry.Batch) error {
	d.decide(batches)
	n, err := d.verdicts.Append(d.pending)
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range d.pending[:n] {
		delete(d.unsaved, d.pending[i].Trace)
	}
	d.pending = d.pending[:copy(d.pending, d.pending[n:])]
	return err
}

func (d *Decider) decide(batches []*telemetry.Batch) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.replay, d.restored = false, nil
	for _, b := range batches {
		d.expire(b.ReceivedUnixNano)
		c := Candidate{ReceivedUnixNano: b.ReceivedUnixNano}
		if b.Resource != nil {
			c.Service = b.Resource.Service
		}
		var last telemetry.TraceID
		var t int64
		for i := range b.Spans {
			s := &b.Spans[i]
			d.inspect(s)
			if s.TraceID.IsZero() {
				continue
			}
			if s.TraceID != last { // one after the other they are often of one trace
				var begins, again bool
				last = s.TraceID
				t, begins, again = d.seen.span(last, b.ReceivedUnixNano)
				if begins {
					c.Trace = last
					d.trace(&c)
				}
				d.counts.ReusedTraceIDs += uint64(count(again))
			}
			d.counts.LateSpans += uint64(count(b.ReceivedUnixNano >= t+d.index.wait))
		}
	}
}

func (d *Decider) inspect(s *telemetry.Span) {
	d.counts.Spans++
	switch {
	case s.TraceID.IsZero():
		d.counts.NoTraceID++
	case s.SpanID.IsZero():
		d.counts.NoSpanID++
	}
	if s.EndUnixNano < s.StartUnixNano {
		d.counts.EndBeforeStart++
	}
}

// trace decides c.
func (d *Decider) trace(c *Candidate) {
	c.Facts = d.index.Facts(c.Trace, c.ReceivedUnixNano)
	held, kept := d.rules.Decide(c, &d.budgets)
	d.counts.Traces++
	if kept {
		d.counts.Kept++
	}
	if kept || d.keepAll {
		d.pending = append(d.pending, Verdict{c.Trace, c.ReceivedUnixNano, held})
		d.unsaved[c.Trace] = struct{}{}
	}
	limited := uint64(0)
	for i := range d.rules.shares {
		s := &d.rules.shares[i]
		limited |= s.bit
		if d.alone.take(i, s, c) {
			d.counts.RuleAlone[bitNumber(s.bit)]++
		}
	}
	for i := range d.counts.RuleKept {
		bit := uint64(1) << i
		if held&bit == 0 {
			continue
		}
		d.counts.RuleAlone[i] += uint64(count(limited&bit == 0))
		d.counts.RuleKept[i] += uint64(count(kept))
	}
}

// Dropped reports whether a line or exemplar received then belongs to a trace that was decided and is not kept. It is asked
// once what was received until then + Wait is decided, and a trace that begins later has no say: so readers are told the
// same, however far behind they are. Of traces that began more than Wait + Late before the decider's place, and before its
// readers', it knows nothing.
func (d *Decider) Dropped(id telemetry.TraceID, receivedUnixNano int64) bool {
	latest := receivedUnixNano + d.index.wait
	d.mu.RLock()
	known := false
	for _, p := range d.seen.parts {
		t, ok := p.traces[id]
		known = known || ok && t <= latest && receivedUnixNano <= t+d.seen.life
	}
	if _, unsaved := d.unsaved[id]; unsaved { // the log is about to say that it is kept
		known = false
	}
	d.mu.RUnlock()
	return known && !d.verdicts.has(id, receivedUnixNano-d.seen.life, latest)
}

// Counts returns a copy of what was counted.
func (d *Decider) Counts() DeciderCounts {
	d.mu.RLock()
	defer d.mu.RUnlock()
	c := d.counts
	c.RuleKept = append([]uint64(nil), c.RuleKept...)
	c.RuleAlone = append([]uint64(nil), c.RuleAlone...)
	return c
}

// deciderVersion is the first byte of a decider's snapshot. Version 1: the verdict log's length, the counts, of each rule
// its name and counts, the budgets, those that shares would have spent alone, and the odd traces. Numbers are varints.
const deciderVersion = 1

// AppendSnapshot appends what goes with the cursor to b. During a replay that is what it was restored from.
func (d *Decider) AppendSnapshot(b []byte) []byte {
	d.mu.RLock()
	defer d.mu.RUnlock()
	if d.replay {
		return append(b, d.restored...)
	}
	b = appendUvarint(append(b, deciderVersion), int(d.verdicts.Length()))
	for _, n := range d.counts.numbers() {
		b = appendUvarint(b, int(*n))
	}
	b = appendUvarint(b, len(d.rules.names))
	for i, name := range d.rules.names {
		b = appendString(b, name)
		b = appendUvarint(b, int(d.counts.RuleKept[i]))
		b = appendUvarint(b, int(d.counts.RuleAlone[i]))
	}
	b = d.budgets.append(b, d.rules)
	b = d.alone.append(b, d.rules)
	return d.seen.append(b)
}

// numbers are the counts that are not by rule.
func (c *DeciderCounts) numbers() []*uint64 {
	return []*uint64{
		&c.Traces, &c.Kept, &c.Spans, &c.LateSpans, &c.NoTraceID, &c.NoSpanID, &c.EndBeforeStart, &c.ReusedTraceIDs,
	}
}

// Restore takes a snapshot, and cuts off the verdicts that were appended after it. Rules that are new since then begin at
// zero, those that are gone are dropped.
func (d *Decider) Restore(snapshot []byte) error {
	if len(snapshot) == 0 {
		return nil
	}
	if snapshot[0] != deciderVersion {
		return fmt.Errorf("%w: the decider's has version %d and this braid reads %d", ErrSnapshot, snapshot[0], deciderVersion)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	in := decoder{b: snapshot[1:]}
	length := in.uvarint()
	counts := d.newCounts()
	for _, n := range counts.numbers() {
		*n = in.uvarint()
	}
	for left := in.uvarint(); left > 0 && !in.bad; left-- {
		name, kept, alone := in.string(), in.uvarint(), in.uvarint()
		for i := range d.rules.names {
			if d.rules.names[i] == name {
				counts.RuleKept[i], counts.RuleAlone[i] = kept, alone
			}
		}
	}
	var budgets, alone Budgets
	budgets.read(&in, d.rules)
	alone.read(&in, d.rules)
	fresh := seen{life: d.seen.life, part: d.seen.part}
	fresh.read(&in)
	if in.bad || len(in.b) > 0 {
		return fmt.Errorf("%w: the decider's is damaged", ErrSnapshot)
	}
	d.counts, d.seen, d.budgets, d.alone, d.pending = counts, fresh, budgets, alone, d.pending[:0]
	clear(d.unsaved)
	d.replay, d.restored = true, append([]byte(nil), snapshot...)
	return d.verdicts.Truncate(length)
}

package traces

import (
	"time"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
)

// candidates are spans of a series that may become its exemplars. A verdict comes some seconds after a span, so the
// latest span alone would be overwritten before its trace is decided, always, in a busy series: there are a few places,
// taken in turn, and each is held for the whole ExemplarHold before it is taken again.
type candidates struct {
	place [4]candidate
	taken int64 // receive time of the last candidate
	next  uint8 // place to be taken
	used  bool
	// milli is of the last exemplar that was handed out; they must not go back in time.
	milli int64
}

type candidate struct {
	trace    telemetry.TraceID // zero: none, or handed out
	span     telemetry.SpanID
	nanos    int64
	received int64
}

// consider takes in s if a place is free.
func (c *candidates) consider(s *telemetry.Span, nanos, received, hold int64) {
	if c.used && received-c.taken < hold/int64(len(c.place)) || s.TraceID.IsZero() || s.SpanID.IsZero() {
		return
	}
	c.place[c.next] = candidate{s.TraceID, s.SpanID, nanos, received}
	c.next = (c.next + 1) % uint8(len(c.place))
	c.taken, c.used = received, true
}

// choose returns exemplars of those candidates whose traces are kept, the oldest first.
func (c *candidates) choose(kept func(telemetry.TraceID, int64) bool) (chosen []exemplar.Exemplar) {
	milli := c.milli
	for i := range c.place {
		p := &c.place[(int(c.next)+i)%len(c.place)]
		at := toMilli(p.received)
		if p.trace.IsZero() || at <= milli || !kept(p.trace, p.received) {
			continue
		}
		milli = at
		chosen = append(chosen, exemplar.Exemplar{
			Labels: labels.FromStrings("span_id", p.span.String(), "trace_id", p.trace.String()),
			Value:  float64(p.nanos) / float64(time.Second), Ts: at, HasTs: true,
		})
	}
	return chosen
}

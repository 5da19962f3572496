package reckon

import (
	"fmt"
	"time"

	"github.com/braidhq/braid/demo/ledger"
)

// A Trace is what the ledgers say of one trace.
type Trace struct {
	Spans int
	Ended time.Time // when the first of its spans ended: nothing of it can have come before
	Sent  time.Time // when the agent had acknowledged the last

	Reason string    // the first for which it is to be kept; "": there is none
	Left   time.Time // when that left the shop
	// Whether spans, and whether error lines are among the reasons.
	BySpan, ByLine bool
}

func (t *Trace) reason(text string, left time.Time) {
	if t.Reason == "" || left.Before(t.Left) {
		t.Reason, t.Left = text, left
	}
}

// surely reports whether what left the shop then came within a time of the first span: it did even if it came as late, and
// the span as early, as could be.
func (t *Trace) surely(left time.Time, within time.Duration, outages Outages) bool {
	return outages.latest(left).Before(t.Ended.Add(within))
}

// A traceReader gathers traces from ledgers.
type traceReader struct {
	traces  map[string]*Trace
	slow    time.Duration
	pending map[string]ledger.Entry // spans that ended and are not acknowledged, by id
}

func (r *traceReader) trace(id string) *Trace {
	t := r.traces[id]
	if t == nil {
		t = new(Trace)
		r.traces[id] = t
	}
	return t
}

func (r *traceReader) take(e *ledger.Entry) {
	switch e.Kind {
	case ledger.Log:
		if e.Error && e.TraceID != "" {
			t := r.trace(e.TraceID)
			t.reason("an error line", e.Time)
			t.ByLine = true
		}
	case ledger.Metrics:
		for _, id := range e.Traces {
			r.trace(id).reason("an exemplar", e.Time)
		}
	case ledger.Span:
		r.pending[e.SpanID] = *e
		t := r.trace(e.TraceID)
		t.Spans++
		if t.Ended.IsZero() || e.Time.Before(t.Ended) {
			t.Ended = e.Time
		}
	case ledger.Sent:
		for _, id := range e.Spans {
			if span, ended := r.pending[id]; ended {
				r.sent(&span, e.Time)
				delete(r.pending, id)
			}
		}
	}
}

func (r *traceReader) sent(span *ledger.Entry, at time.Time) {
	t := r.trace(span.TraceID)
	if at.After(t.Sent) {
		t.Sent = at
	}
	switch {
	case span.Error:
		t.reason("an error span", at)
	case span.Time.Sub(span.Start) > r.slow:
		t.reason("a slow span", at)
	default:
		return
	}
	t.BySpan = true
}

// end reports what is left over.
func (r *traceReader) end() error {
	if n := len(r.pending); n > 0 {
		return fmt.Errorf("the agent has never acknowledged %d spans that ended", n)
	}
	return nil
}

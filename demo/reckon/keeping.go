package reckon

import (
	"fmt"
	"math"
	"strings"
)

// An Exemplar is one that the store has, as GET /api/v1/query_exemplars answers it.
type Exemplar struct{ Name, Job, TraceID, SpanID string } // Name and Job of its series

// A Keeping counts traces.
type Keeping struct {
	Traces, Kept   int
	Rest, RestKept int // of these, those without a reason to be kept
	Late           int // not kept, though there was a reason: it may have come too late
}

// Late is what the aggregator says came when its trace had been decided: spans, and error lines of traces not kept.
type Late struct{ Spans, Lines int }

// traces compares the stored traces with what is promised of them.
func (r *Reckoning) traces(written, found *Tally, terms *Terms, late Late) {
	stored := make(map[string]int)
	for k := range written.Spans {
		stored[k.TraceID] += min(1, found.Spans[k])
	}
	var parts, unkept offenders
	var missed Late
	for id, t := range written.Traces {
		if t.Spans == 0 {
			continue // a line or an exemplar of no trace at all
		}
		n := stored[id]
		r.Traces++
		r.Kept += min(1, n)
		if t.Reason == "" {
			r.Rest++
			r.RestKept += min(1, n)
		}
		switch {
		case n > 0 && n < t.Spans && t.surely(t.Sent, terms.Wait+terms.Late, terms.Outages):
			parts.addf("%s has %d of %d", id, n, t.Spans)
		case n > 0 || t.Reason == "":
		case t.surely(t.Left, terms.Wait, terms.Outages):
			unkept.addf("%s had %s", id, t.Reason)
		default:
			r.Late++
			missed.count(t)
		}
	}
	if parts.n > 0 {
		r.brokenf(true, "%d traces are stored without some of their spans, one of them %s", parts.n, parts.first)
	}
	if unkept.n > 0 {
		r.brokenf(true, "%d traces are not kept though there was a reason in time, one of them %s", unkept.n, unkept.first)
	}
	if missed.Spans > late.Spans || missed.Lines > late.Lines {
		r.brokenf(true, "%d traces with an error or a slow span and %d with an error line are not kept, and the aggregator speaks of %d late spans and %d late lines",
			missed.Spans, missed.Lines, late.Spans, late.Lines)
	}
	if improbable(r.RestKept, r.Rest, terms.Share) {
		few := float64(r.RestKept) < terms.Share*float64(r.Rest)
		r.brokenf(few, "of %d traces without a reason %d are kept: that cannot be chance at a share of %g", r.Rest, r.RestKept, terms.Share)
	}
}

// count adds the least that must have been late of a trace that is not kept.
func (l *Late) count(t *Trace) {
	if t.BySpan {
		l.Spans++
	}
	if t.ByLine {
		l.Lines++
	}
}

// offenders are what breaks a promise: how many, and one to look at, the same in every reading.
type offenders struct {
	n     int
	first string
}

func (o *offenders) addf(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if o.n++; o.n == 1 || text < o.first {
		o.first = text
	}
}

// improbable reports whether k of n events of probability p, or a number still further off, are to be expected less often
// than once in 10⁹ runs, by Chernoff's bound.
func improbable(k, n int, p float64) bool {
	if n == 0 {
		return false
	}
	part := func(q, p float64) float64 {
		if q == 0 {
			return 0
		}
		return q * math.Log(q/p)
	}
	q := float64(k) / float64(n)
	divergence := part(q, p) + part(1-q, 1-p)
	return float64(n)*divergence > 9*math.Ln10
}

// exemplars looks for the spans that the stored exemplars name.
func (r *Reckoning) exemplars(found *Tally, stored []Exemplar, expected bool) {
	type span struct{ trace, span string }
	there := make(map[span]bool)
	for k := range found.Spans {
		there[span{k.TraceID, k.SpanID}], there[span{k.TraceID, ""}] = true, true
	}
	var dangling offenders
	scraped, made := 0, 0
	for _, e := range stored {
		r.Exemplars.Shipped++
		if strings.HasPrefix(e.Name, "traces_") {
			made++
		} else {
			scraped++
		}
		if there[span{e.TraceID, e.SpanID}] {
			r.Exemplars.Resolved++
		} else {
			dangling.addf("%+v", e)
		}
	}
	if dangling.n > 0 {
		r.brokenf(true, "%d exemplars name a trace or a span that is not stored, one of them %s", dangling.n, dangling.first)
	}
	if expected && (scraped == 0 || made == 0) {
		r.brokenf(true, "%d scraped exemplars and %d of span metrics are stored: there should be some of both", scraped, made)
	}
}

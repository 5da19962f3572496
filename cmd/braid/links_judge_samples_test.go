package main

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/braidhq/braid/telemetry"
)

// exemplars follows every stored exemplar into every store of spans, and looks for those that have to be there.
func (j *judgement) exemplars(name string, s *samplesFound) {
	found := map[int]int{}
	fromSpans := 0
	for _, l := range s.links {
		if l.scraped {
			found[l.n]++
		} else {
			fromSpans++
		}
		for _, store := range slices.Sorted(maps.Keys(j.seen.stores)) {
			j.resolve(name, store, &l)
		}
	}
	j.claim(fromSpans > 0, "span metrics have exemplars", "%s: there is none", name)
	j.claim(s.drops == 0, "counters never go down", "%s: they did %v times", name, s.drops)
	for _, e := range j.plan.marks {
		if e.trace == nil {
			j.claim(found[e.n] == 0, "an exemplar of no trace is taken off", "%s: exemplar %d names trace %q: %s", name, e.n, e.text, j.plan.unknown[e.text])
			continue
		}
		j.claim(found[e.n] <= 1, "sent once, stored once", "%s: exemplar %d: %d times", name, e.n, found[e.n])
		// One that comes before its trace has to be given up where the trace comes late.
		if e.trace.follows(e.by, false) && e.by.sent > e.trace.first().acked && j.everywhere(e.trace) {
			j.claim(found[e.n] == 1, "an exemplar of a stored trace is stored", "%s: exemplar %d of trace %s is not, sent %d ms after the trace's first span", name, e.n, e.text, (e.by.sent-e.trace.first().acked)/1e6)
		}
	}
}

func (j *judgement) everywhere(t *plannedTrace) bool {
	for _, s := range j.seen.stores {
		if s.has(t) == 0 {
			return false
		}
	}
	return true
}

// resolve claims that l leads to a span that is stored, of the service that its series is about.
func (j *judgement) resolve(name, store string, l *link) {
	const rule = "every stored exemplar resolves"
	var trace telemetry.TraceID
	var span telemetry.SpanID
	if !readID(trace[:], l.trace) || !readID(span[:], l.span) {
		j.claim(false, rule, "%s: %s has an exemplar of trace %q, span %q", name, l.series, l.trace, l.span)
		return
	}
	j.claim(j.seen.stores[store].spans[trace][span] > 0, rule, "%s: %s has an exemplar of trace %s, span %s, which is not in %s", name, l.series, trace, span, store)
	for _, t := range j.lives[trace] {
		for _, p := range t.spans {
			if p.id == span {
				j.claim(strings.HasSuffix(l.service, "-"+string(rune('0'+p.service))), rule, "%s: %s has an exemplar of another service's span, %s of trace %s", name, l.series, span, trace)
			}
		}
	}
}

func readID(id []byte, text string) bool {
	n, err := hex.Decode(id, []byte(text[:min(len(text), 2*len(id))]))
	return err == nil && n == len(id) && len(text) == 2*len(id)
}

// calls compares what the span metrics have counted with what was sent.
func (j *judgement) calls() {
	sent := map[string]float64{}
	for _, t := range j.plan.traces {
		for _, p := range t.spans {
			sent[j.plan.service(p.service)]++
		}
	}
	for _, p := range j.plan.nameless {
		sent[j.plan.service(p.service)]++
	}
	sent[j.plan.service(0)] += float64(j.plan.notSpans)
	for _, where := range slices.Sorted(maps.Keys(j.seen.calls)) {
		calls := j.seen.calls[where]
		for service, n := range sent {
			j.claim(calls[service] == n, "calls_total is what was sent", "%s: %v of %s, %v were sent", where, calls[service], service, n)
		}
		j.claim(len(calls) == len(sent), "calls_total is what was sent", "%s: there are %d services of %d", where, len(calls), len(sent))
	}
}

// A bound is between what is sure and what may be.
type bound struct{ low, high int }

func (b *bound) add(t timing) {
	if t == inTime {
		b.low++
	}
	if t <= perhaps {
		b.high++
	}
}

// counters compares what the aggregator says that it has done with what was sent, and with what is stored.
func (j *judgement) counters() {
	const rule = "nothing is unaccounted for"
	exact := map[string]int{"spans": len(j.plan.nameless) + j.plan.notSpans, "no_trace_id": len(j.plan.nameless) + j.plan.notSpans}
	bounds := map[string]*bound{"late": {}, "late_lines": {}, "reused": {}, "errors": {}, "slow": {}, "pay": {}, "error_lines": {}, "exemplars": {}}
	for _, t := range j.plan.traces {
		if len(t.spans) == 0 {
			continue
		}
		exact["traces"]++
		if t.life > 0 {
			bounds["reused"].high++
			bounds["exemplars"].high++ // the span metrics' own, of the trace before, may name it
			if begun := t.first(); begun.acked-j.lives[t.id][0].first().sent < int64(linkWait+linkLate+linkLate/4)-clockMargin {
				bounds["reused"].low++ // soon enough to be told from a trace that is merely new
			}
		}
		exact["spans"] += len(t.spans)
		for _, s := range t.spans {
			if s.id.IsZero() {
				exact["no_span_id"]++
			}
			if s.end < s.start {
				exact["end_before_start"]++
			}
			bounds["late"].add(tooLate - t.decided(s.by))
		}
		for _, l := range t.lines {
			if l.severity >= telemetry.SeverityError && !j.everywhere(t) {
				bounds["late_lines"].add(tooLate - t.decided(l.by))
			}
		}
		for name, n := range t.reasons() {
			switch {
			case n[inTime] > 0:
				bounds[name].add(inTime)
			case n[perhaps] > 0:
				bounds[name].add(perhaps)
			}
		}
	}
	for _, p := range j.plan.nameless {
		if p.id.IsZero() {
			exact["no_span_id"]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(exact)) {
		got, there := j.seen.counts[name]
		j.claim(there && got == float64(exact[name]), rule, "%s: the aggregator says %v, it is %d", name, got, exact[name])
	}
	for _, name := range slices.Sorted(maps.Keys(bounds)) {
		got, there := j.seen.counts[name]
		b := bounds[name]
		j.claim(there && got >= float64(b.low) && got <= float64(b.high), rule, "%s: the aggregator says %v, it is between %d and %d", name, got, b.low, b.high)
	}
	for _, name := range slices.Sorted(maps.Keys(j.seen.stores)) {
		kept := 0
		for _, t := range j.plan.traces {
			kept += min(1, j.seen.stores[name].has(t))
		}
		j.claim(j.seen.counts["kept"] == float64(kept), rule, "kept: the aggregator says %v, %s has %d", j.seen.counts["kept"], name, kept)
	}
}

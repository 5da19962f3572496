package main

import (
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// sentPlan is a small plan that was sent as it was planned.
func sentPlan() *linkPlan {
	p := newLinkPlan(1, "links1", linkSize{traces: 5000, lasts: 20 * time.Second, huge: 100, special: 6})
	p.origin = time.Unix(1_700_000_000, 0)
	at := func(due time.Duration) *shipment {
		sent := p.origin.Add(due).UnixNano()
		return &shipment{sent, sent + int64(5*time.Millisecond)}
	}
	for _, t := range p.traces {
		for _, s := range t.spans {
			if s.name == "again" {
				s.due = time.Duration(t.life) * (linkWait + linkLate + 5*time.Second)
			}
			s.shipped(at(s.due))
		}
	}
	for _, s := range p.nameless {
		s.shipped(at(s.due))
	}
	for _, l := range p.lines {
		l.shipped(at(l.due))
	}
	for _, e := range p.marks {
		e.shipped(at(e.due))
	}
	return p
}

// A linkModel is an aggregator that received everything when it was sent, and made no mistake.
type linkModel struct{ plan *linkPlan }

func (m linkModel) keeps(t *plannedTrace) bool {
	if t.id[3]%10 == 0 {
		return true
	}
	for _, s := range t.spans {
		if (s.failed || s.pay || s.end-s.start > 2*time.Second) && m.counts(t, s.by) {
			return true
		}
	}
	for _, l := range t.lines {
		if l.severity >= telemetry.SeverityError && m.counts(t, l.by) {
			return true
		}
	}
	for _, e := range t.marks {
		if m.counts(t, e.by) {
			return true
		}
	}
	return false
}

func (m linkModel) counts(t *plannedTrace, by *shipment) bool {
	return by.sent < t.first().sent+int64(linkWait)
}

func (m linkModel) store() *shelved {
	s := newShelved()
	for _, t := range m.plan.traces {
		for _, p := range t.spans {
			if m.keeps(t) {
				s.addSpan(t.id.String(), p.id.String())
			}
		}
	}
	for _, l := range m.plan.lines {
		if t := l.trace; t != nil && !m.keeps(t) && l.severity < telemetry.SeverityWarn && l.by.sent >= t.first().sent-int64(linkWait) {
			continue
		}
		s.lines[l.n]++
		if l.trace != nil && l.span != nil {
			s.link(l.trace.id.String(), l.n, l.span.id.String())
		} else if l.trace != nil {
			s.link(l.trace.id.String(), l.n, "")
		}
	}
	return s
}

func (m linkModel) samples() *samplesFound {
	s := &samplesFound{}
	for _, e := range m.plan.marks {
		if e.trace != nil && m.keeps(e.trace) {
			s.links = append(s.links, link{"scraped", m.plan.service(e.service), true, e.n, e.text, e.span.String()})
		}
	}
	for _, t := range m.plan.traces[:100] {
		if p := t.spans[0]; m.keeps(t) {
			s.links = append(s.links, link{"latency", m.plan.service(p.service), false, 0, t.id.String(), p.id.String()})
		}
	}
	return s
}

func (m linkModel) evidence() *evidence {
	e := &evidence{
		stores:  map[string]*shelved{"a": m.store(), "b": m.store()},
		samples: map[string]*samplesFound{"a": m.samples(), "p": m.samples()},
		calls:   map[string]map[string]float64{"a": {}, "p": {}}, counts: map[string]float64{},
	}
	span := func(p *plannedSpan) {
		e.counts["spans"]++
		for _, calls := range e.calls {
			calls[m.plan.service(p.service)]++
		}
		if p.id.IsZero() {
			e.counts["no_span_id"]++
		}
		if p.end < p.start {
			e.counts["end_before_start"]++
		}
	}
	for _, t := range m.plan.traces {
		e.counts["traces"]++
		e.counts["reused"] += float64(t.life)
		if m.keeps(t) {
			e.counts["kept"]++
		}
		for _, p := range t.spans {
			span(p)
			if !m.counts(t, p.by) {
				e.counts["late"]++
			}
		}
		for _, l := range t.lines {
			if l.severity >= telemetry.SeverityError && !m.keeps(t) && !m.counts(t, l.by) {
				e.counts["late_lines"]++
			}
		}
		for name, n := range t.reasons() {
			if n[inTime]+n[perhaps] > 0 {
				e.counts[name]++
			}
		}
	}
	for _, p := range m.plan.nameless {
		span(p)
	}
	for range m.plan.notSpans {
		span(&plannedSpan{id: telemetry.SpanID{1}})
	}
	e.counts["no_trace_id"] = float64(len(m.plan.nameless) + m.plan.notSpans)
	return e
}

func TestTheJudgeOfLinksHasNothingToSayOfWhatIsRight(t *testing.T) {
	j := judge(sentPlan(), linkModel{sentPlan()}.evidence())
	if report := j.report(); report != "" {
		t.Error(report)
	}
	for _, rule := range linkRules {
		if j.claims[rule] == 0 {
			t.Errorf("nothing is claimed of %q", rule)
		}
	}
}

// find returns a stored trace, or one that is not, for which is says true.
func (m linkModel) find(t *testing.T, stored bool, is func(*plannedTrace) bool) *plannedTrace {
	t.Helper()
	i := slices.IndexFunc(m.plan.traces, func(x *plannedTrace) bool { return m.keeps(x) == stored && x.life == 0 && is(x) })
	if i < 0 {
		t.Fatal("there is no such trace")
	}
	return m.plan.traces[i]
}

// A linkFault is what the judge has to notice, and under which rule.
type linkFault struct {
	fault func(*evidence)
	rule  string
}

func anyTrace(*plannedTrace) bool { return true }

// isQuiet says of a line that it follows its trace, and that its trace alone decides about it.
func isQuiet(l *plannedLine) bool {
	return l.severity < telemetry.SeverityWarn && l.span != nil && l.by.sent > l.trace.first().acked && l.trace.follows(l.by, true)
}

func hasQuiet(x *plannedTrace) bool { return slices.ContainsFunc(x.lines, isQuiet) }

func quietLine(x *plannedTrace) *plannedLine { return x.lines[slices.IndexFunc(x.lines, isQuiet)] }

func (e *evidence) both(do func(*shelved)) { do(e.stores["a"]); do(e.stores["b"]) }

// spanFaults are in what is stored of traces.
func (m linkModel) spanFaults(t *testing.T) map[string]linkFault {
	return map[string]linkFault{
		"a span is missing": {func(e *evidence) {
			x := m.find(t, true, anyTrace)
			e.both(func(s *shelved) { delete(s.spans[x.id], x.spans[0].id) })
		}, "a stored trace has all its spans"},
		"a late span is missing": {func(e *evidence) {
			late := func(p *plannedSpan) bool { return p.by.sent > p.trace.first().acked+int64(linkWait) }
			x := m.find(t, true, func(x *plannedTrace) bool { return slices.ContainsFunc(x.spans, late) })
			e.both(func(s *shelved) { delete(s.spans[x.id], x.spans[slices.IndexFunc(x.spans, late)].id) })
		}, "a stored trace has all its spans"},
		"a span is there twice": {func(e *evidence) {
			x := m.find(t, true, anyTrace)
			e.stores["b"].spans[x.id][x.spans[0].id]++
		}, "sent once, stored once"},
		"a span nobody has sent": {func(e *evidence) { e.stores["b"].addSpan("0123456789abcdef0123456789abcdef", "0123456789abcdef") }, "sent once, stored once"},
		"one store has a trace more": {func(e *evidence) {
			x := m.find(t, false, anyTrace)
			for _, p := range x.spans {
				e.stores["b"].addSpan(x.id.String(), p.id.String())
			}
		}, "both store the same traces"},
		"what was worth keeping is dropped by both": {func(e *evidence) {
			x := m.find(t, true, func(x *plannedTrace) bool { v, _ := x.kept(); return v == inTime })
			e.both(func(s *shelved) { delete(s.spans, x.id) })
		}, "a reason in time keeps the trace"},
		"an exemplar of a trace in one store only": {func(e *evidence) {
			delete(e.stores["b"].spans, m.find(t, true, func(x *plannedTrace) bool { return len(x.marks) > 0 }).id)
		}, "every stored exemplar resolves"},
		"a span is not accounted for": {func(e *evidence) { e.counts["spans"]-- }, "nothing is unaccounted for"},
		"all are kept": {func(e *evidence) {
			for _, x := range m.plan.traces {
				if !m.keeps(x) && x.life == 0 {
					e.both(func(s *shelved) { s.addSpan(x.id.String(), x.spans[0].id.String()) })
				}
			}
		}, "the share"},
	}
}

// lineFaults are in what is stored of lines.
func (m linkModel) lineFaults(t *testing.T) map[string]linkFault {
	return map[string]linkFault{
		"a line is missing": {func(e *evidence) {
			x := m.find(t, true, hasQuiet)
			e.both(func(s *shelved) { delete(s.lines, quietLine(x).n); delete(s.linked[x.id], quietLine(x).n) })
		}, "a stored trace has all its lines"},
		"a line is missing in one store":  {func(e *evidence) { delete(e.stores["b"].lines, quietLine(m.find(t, true, hasQuiet)).n) }, "both store the same lines"},
		"a line of a dropped trace stays": {func(e *evidence) { e.both(func(s *shelved) { s.lines[quietLine(m.find(t, false, hasQuiet)).n]++ }) }, "lines follow their trace"},
		"a warning is dropped": {func(e *evidence) {
			i := slices.IndexFunc(m.plan.lines, func(l *plannedLine) bool { return l.severity >= telemetry.SeverityWarn })
			e.both(func(s *shelved) { delete(s.lines, i) })
		}, "nothing drops what warns, or has no trace"},
		"a line is not found by its trace": {func(e *evidence) { x := m.find(t, true, hasQuiet); delete(e.stores["a"].linked[x.id], quietLine(x).n) }, "a line is found by its trace"},
		"a line is shown below no span": {func(e *evidence) {
			x := m.find(t, true, hasQuiet)
			e.stores["a"].linked[x.id][quietLine(x).n] = telemetry.SpanID{}
		}, "a line is found by its trace"},
		"a line is there twice": {func(e *evidence) { e.stores["a"].lines[slices.Min(slices.Collect(maps.Keys(e.stores["a"].lines)))]++ }, "sent once, stored once"},
	}
}

// sampleFaults are in samples and in what the aggregator says.
func (m linkModel) sampleFaults(t *testing.T) map[string]linkFault {
	return map[string]linkFault{
		"a dangling exemplar": {func(e *evidence) {
			x := m.find(t, false, anyTrace)
			e.samples["p"].links = append(e.samples["p"].links, link{"latency", m.plan.service(x.spans[0].service), false, 0, x.id.String(), x.spans[0].id.String()})
		}, "every stored exemplar resolves"},
		"an exemplar of another's span": {func(e *evidence) { e.samples["p"].links[0].service = "links1-x" }, "every stored exemplar resolves"},
		"an exemplar without ids":       {func(e *evidence) { e.samples["p"].links[0].span = "" }, "every stored exemplar resolves"},
		"an exemplar that was taken off": {func(e *evidence) {
			x := m.find(t, true, func(x *plannedTrace) bool {
				return len(x.marks) > 0 && x.marks[0].by.sent > x.first().acked
			})
			e.samples["p"].links = slices.DeleteFunc(e.samples["p"].links, func(l link) bool { return l.scraped && l.n == x.marks[0].n })
		}, "an exemplar of a stored trace is stored"},
		"span metrics without exemplars": {func(e *evidence) {
			e.samples["a"].links = slices.DeleteFunc(e.samples["a"].links, func(l link) bool { return !l.scraped })
		}, "span metrics have exemplars"},
		"a call is counted twice":           {func(e *evidence) { e.calls["p"][m.plan.service(2)]++ }, "calls_total is what was sent"},
		"a service is not counted":          {func(e *evidence) { delete(e.calls["a"], m.plan.service(2)) }, "calls_total is what was sent"},
		"a counter goes down":               {func(e *evidence) { e.samples["a"].drops = 1 }, "counters never go down"},
		"a late line is not counted":        {func(e *evidence) { e.counts["late_lines"] = 0 }, "nothing is unaccounted for"},
		"a late span is not counted":        {func(e *evidence) { e.counts["late"] = 0 }, "nothing is unaccounted for"},
		"a verdict is not accounted for":    {func(e *evidence) { e.counts["kept"]++ }, "nothing is unaccounted for"},
		"a late error line is said to keep": {func(e *evidence) { e.counts["error_lines"] += 50 }, "nothing is unaccounted for"},
		"nothing counts":                    {func(e *evidence) { clear(e.counts) }, "nothing is unaccounted for"},
		"what cannot be read":               {func(e *evidence) { e.stores["a"].wonder("what is this") }, "unreadable"},
	}
}

// A link may break in many ways, and each is noticed.
func TestTheJudgeOfLinksNoticesEveryFault(t *testing.T) {
	m := linkModel{sentPlan()}
	for _, faults := range []map[string]linkFault{m.spanFaults(t), m.lineFaults(t), m.sampleFaults(t)} {
		for name, f := range faults {
			e := m.evidence()
			f.fault(e)
			if j := judge(m.plan, e); len(j.complaints[f.rule]) == 0 {
				t.Errorf("%s: no complaint of %q, but\n%s", name, f.rule, j.report())
			}
		}
	}
}

package main

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// Evidence is what was found in the stores, through their own interfaces.
type evidence struct {
	stores  map[string]*shelved // of lines and spans, by the exporter's name
	samples map[string]*samplesFound
	calls   map[string]map[string]float64 // traces_spanmetrics_calls_total by where it was read, and by service
	counts  map[string]float64            // the aggregator's own counters, by a short name; of those that are there
}

// shelved is what one store of lines and spans has.
type shelved struct {
	spans  map[telemetry.TraceID]map[telemetry.SpanID]int // how often each is there
	lines  map[int]int                                    // by number
	linked map[telemetry.TraceID]map[int]telemetry.SpanID // the lines that are found by following the trace id
	odd    []string                                       // what is of this run and cannot be read
}

// samplesFound is what one store of samples has.
type samplesFound struct {
	links []link
	drops float64 // how often a counter of calls went down
}

// A link is a stored exemplar.
type link struct {
	series  string
	service string
	scraped bool
	n       int // of a scraped one
	trace   string
	span    string
}

// clockMargin is what the clocks of sender and aggregator may differ by: they are one clock, read twice.
const clockMargin = int64(20 * time.Millisecond)

// A judgement compares evidence with what was planned and sent. It knows nothing of how the aggregator decides: a thing
// was received at some moment between its sending and its acknowledgement, and what follows from that for sure is
// claimed. What may be so or not is claimed of sums only.
type judgement struct {
	plan *linkPlan
	seen *evidence

	lives      map[telemetry.TraceID][]*plannedTrace
	complaints map[string][]string
	claims     map[string]int // how many claims of each kind there were
}

func judge(plan *linkPlan, seen *evidence) *judgement {
	j := &judgement{plan, seen, map[telemetry.TraceID][]*plannedTrace{}, map[string][]string{}, map[string]int{}}
	for _, t := range plan.traces {
		j.lives[t.id] = append(j.lives[t.id], t)
	}
	for _, name := range slices.Sorted(maps.Keys(seen.stores)) {
		s := seen.stores[name]
		for _, odd := range s.odd {
			j.complain("unreadable", "%s: %s", name, odd)
		}
		j.known(name, s)
		for _, t := range plan.traces {
			j.whole(name, s, t)
		}
		j.linesOf(name, s)
		j.share(name, s)
	}
	j.alike()
	for _, name := range slices.Sorted(maps.Keys(seen.samples)) {
		j.exemplars(name, seen.samples[name])
	}
	j.calls()
	j.counters()
	return j
}

func (j *judgement) complain(rule, format string, args ...any) {
	j.complaints[rule] = append(j.complaints[rule], fmt.Sprintf(format, args...))
}

// claim counts a claim, and complains unless it holds.
func (j *judgement) claim(holds bool, rule, format string, args ...any) {
	if j.claims[rule]++; !holds {
		j.complain(rule, format, args...)
	}
}

// report is the complaints, a few of each kind; "" is none.
func (j *judgement) report() string {
	var b strings.Builder
	for _, rule := range slices.Sorted(maps.Keys(j.complaints)) {
		all := j.complaints[rule]
		fmt.Fprintf(&b, "%s: %d\n", rule, len(all))
		for _, text := range all[:min(5, len(all))] {
			fmt.Fprintf(&b, "    %s\n", text)
		}
	}
	return b.String()
}

// first is when the first span of t was received, between two moments.
func (t *plannedTrace) first() *shipment {
	if t.began == nil {
		t.began = &shipment{math.MaxInt64, math.MaxInt64}
		for _, s := range t.spans {
			t.began.sent, t.began.acked = min(t.began.sent, s.by.sent), min(t.began.acked, s.by.acked)
		}
	}
	return t.began
}

// A timing says whether something came in time.
type timing int

const (
	inTime timing = iota
	perhaps
	tooLate
)

// decided says whether what went by has come before t was decided.
func (t *plannedTrace) decided(by *shipment) timing {
	first := t.first()
	switch {
	case by.sent < first.acked-int64(linkLate)+clockMargin:
		return perhaps // too early to count, perhaps
	case by.acked < first.sent+int64(linkWait)-clockMargin:
		return inTime
	case by.sent > first.acked+int64(linkWait)+clockMargin:
		return tooLate
	}
	return perhaps
}

// follows reports whether what went by surely follows the verdict on t. Lines and exemplars may come before the spans.
func (t *plannedTrace) follows(by *shipment, early bool) bool {
	first := t.first()
	from, to := first.sent, first.sent+int64(linkWait+linkLate)-clockMargin
	if early {
		from = first.acked - int64(linkLate) + clockMargin
	}
	return by.sent >= from && by.acked < to
}

// reasons are what speaks for keeping t, by the names of the rules, and how many of each came when.
func (t *plannedTrace) reasons() map[string][3]int {
	found := map[string][3]int{}
	add := func(rule string, by *shipment) {
		n := found[rule]
		n[t.decided(by)]++
		found[rule] = n
	}
	for _, s := range t.spans {
		if s.failed {
			add("errors", s.by)
		}
		if s.pay {
			add("pay", s.by)
		}
		if s.end-s.start > 2*time.Second {
			add("slow", s.by)
		}
	}
	for _, l := range t.lines {
		if l.severity >= telemetry.SeverityError {
			add("error_lines", l.by)
		}
	}
	for _, e := range t.marks {
		add("exemplars", e.by)
	}
	return found
}

// kept says whether t has to be kept for sure, perhaps, or for no other reason than the share.
func (t *plannedTrace) kept() (verdict timing, any bool) {
	verdict = tooLate
	for _, n := range t.reasons() {
		any = true
		for when := inTime; when < verdict; when++ {
			if n[when] > 0 {
				verdict = when
			}
		}
	}
	return verdict, any
}

// has reports how many of the spans of t are there.
func (s *shelved) has(t *plannedTrace) (n int) {
	found := s.spans[t.id]
	for _, p := range t.spans {
		if found[p.id] > 0 {
			n++
		}
	}
	return n
}

// known complains of what nobody has sent, and of what is there twice.
func (j *judgement) known(name string, s *shelved) {
	for id, spans := range s.spans {
		sent := map[telemetry.SpanID]bool{}
		for _, t := range j.lives[id] {
			for _, p := range t.spans {
				sent[p.id] = true
			}
		}
		for span, n := range spans {
			j.claim(sent[span] && n == 1, "sent once, stored once", "%s: span %s of trace %s: %d times", name, span, id, n)
		}
	}
	for n, times := range s.lines {
		j.claim(n >= 0 && n < len(j.plan.lines) && times == 1, "sent once, stored once", "%s: line %d: %d times", name, n, times)
	}
}

// whole looks at one trace: all of it or nothing is stored, and all if there was a reason in time.
func (j *judgement) whole(name string, s *shelved, t *plannedTrace) {
	if len(t.spans) == 0 {
		return
	}
	n := s.has(t)
	verdict, _ := t.kept()
	if verdict == inTime {
		j.claim(n > 0, "a reason in time keeps the trace", "%s: trace %s is not stored: %v", name, t.id, t.reasons())
	}
	if n == 0 {
		return
	}
	for _, p := range t.spans {
		if t.follows(p.by, false) {
			j.claim(s.spans[t.id][p.id] > 0, "a stored trace has all its spans", "%s: trace %s has %d of %d spans and lacks %s of %s, sent %v after the first",
				name, t.id, n, len(t.spans), p.id, p.name, time.Duration(p.by.sent-t.first().sent))
		}
	}
}

// linesOf looks at every line: those that nothing may drop, those of stored traces, and those of dropped ones.
func (j *judgement) linesOf(name string, s *shelved) {
	for _, l := range j.plan.lines {
		stored := s.lines[l.n] > 0
		if l.trace == nil || l.severity >= telemetry.SeverityWarn {
			j.claim(stored, "nothing drops what warns, or has no trace", "%s: line %d of severity %s is not stored", name, l.n, l.severity)
		}
		if l.trace == nil {
			continue
		}
		t := l.trace
		if at, linked := s.linked[t.id][l.n]; linked || stored && s.has(t) > 0 {
			j.claim(stored && linked && (l.span == nil && at.IsZero() || l.span != nil && (at == l.span.id || s.spans[t.id][l.span.id] == 0)),
				"a line is found by its trace", "%s: line %d of trace %s: stored %v, linked %v, below span %s", name, l.n, t.id, stored, linked, at)
		}
		switch kept := s.has(t) > 0; {
		case kept && t.follows(l.by, true):
			j.claim(stored, "a stored trace has all its lines", "%s: trace %s lacks line %d, sent %v after the first span", name, t.id, l.n, time.Duration(l.by.sent-t.first().sent))
		case !kept && l.severity < telemetry.SeverityWarn && t.follows(l.by, true) && l.by.sent > t.first().acked-int64(linkWait)+clockMargin:
			j.claim(!stored, "lines follow their trace", "%s: line %d is stored, trace %s was dropped", name, l.n, t.id)
		}
	}
}

// share looks at the traces that only the share can keep: one in ten of those without any reason, and of those whose
// reason came too late. Six standard deviations are allowed.
func (j *judgement) share(name string, s *shelved) {
	for _, late := range []bool{false, true} {
		n, kept := 0, 0
		for _, t := range j.plan.traces {
			if verdict, any := t.kept(); verdict == tooLate && any == late && len(t.spans) > 0 && t.life == 0 {
				n++
				kept += min(1, s.has(t))
			}
		}
		if n >= 50 {
			off := math.Abs(float64(kept)-linkShare*float64(n)) / math.Sqrt(float64(n)*linkShare*(1-linkShare))
			j.claim(off < 6, "the share", "%s: %d of %d traces are kept (with a reason that came too late: %v)", name, kept, n, late)
		}
	}
}

// linkShare is the share of traces that are kept without a reason.
const linkShare = 0.1

// alike compares the stores of lines and spans with each other.
func (j *judgement) alike() {
	names := slices.Sorted(maps.Keys(j.seen.stores))
	for _, name := range names[1:] {
		a, b := j.seen.stores[names[0]], j.seen.stores[name]
		for _, t := range j.plan.traces {
			if here, there := a.has(t), b.has(t); here > 0 || there > 0 {
				j.claim(here == there, "both store the same traces", "trace %s: %d spans in %s and %d in %s", t.id, here, names[0], there, name)
			}
		}
		for _, l := range j.plan.lines {
			if here, there := a.lines[l.n], b.lines[l.n]; here > 0 || there > 0 {
				j.claim(here == there, "both store the same lines", "line %d of severity %s: %d times in %s and %d in %s; %s", l.n, l.severity, here, names[0], there, name, l.where())
			}
		}
	}
}

// where says when a line was sent, beside its trace.
func (l *plannedLine) where() string {
	if l.trace == nil || len(l.trace.spans) == 0 {
		return "it has no trace"
	}
	first := l.trace.first()
	return fmt.Sprintf("received %v to %v after the first span", time.Duration(l.by.sent-first.acked), time.Duration(l.by.acked-first.sent))
}

package main

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// The windows of the link test: a trace is decided after linkWait, and what comes within linkLate of that follows it.
const (
	linkWait     = 3 * time.Second
	linkLate     = 32 * time.Second
	linkServices = 10
)

// A linkPlan is everything that the link test sends, and the truth about it: each thing knows the request it went in.
type linkPlan struct {
	run    string // in the names of services, data streams and series, so that nothing else is counted with it
	origin time.Time
	traces []*plannedTrace // every life of every trace id
	lines  []*plannedLine  // by number
	marks  []*plannedExemplar

	spansOf     [linkServices][]*plannedSpan // what each service sends, by when it is due
	linesOf     [linkServices][]*plannedLine
	exemplarsOf [linkServices][]*plannedExemplar
	huge        []*plannedSpan    // of one trace, sent by itself
	returning   []*plannedTrace   // even: the first life of an id, odd: its second
	nameless    []*plannedSpan    // without a trace id
	notSpans    int               // spans whose ids have a length that no id has; they have no trace either
	unknown     map[string]string // trace ids that exemplars name and that no span has, and why
}

func (p *linkPlan) service(i int) string { return fmt.Sprintf("%s-%d", p.run, i) }

// A plannedTrace is one life of a trace id.
type plannedTrace struct {
	id    telemetry.TraceID
	life  int
	spans []*plannedSpan
	lines []*plannedLine
	marks []*plannedExemplar
	began *shipment // once all is sent: see first
}

// A shipment says when a request was first sent and when it was acknowledged, by the clock that the aggregator stamps
// with. It was received at some moment between.
type shipment struct{ sent, acked int64 }

type plannedSpan struct {
	trace      *plannedTrace // nil: no trace id
	id, parent telemetry.SpanID
	service    int
	name       string
	kind       telemetry.SpanKind
	failed     bool
	pay        bool   // http.route is /pay
	load       string // an attribute of this size
	attrs      int    // so many more
	start, end time.Duration
	due        time.Duration
	by         *shipment
}

type plannedLine struct {
	n        int
	trace    *plannedTrace // nil: no trace id
	span     *plannedSpan  // nil: no span id
	service  int
	severity telemetry.Severity
	due      time.Duration
	by       *shipment
}

type plannedExemplar struct {
	n       int // its value, by which it is known again
	trace   *plannedTrace
	text    string // the trace id as it is sent
	span    telemetry.SpanID
	service int
	due     time.Duration
	by      *shipment
}

func (s *plannedSpan) when() time.Duration     { return s.due }
func (s *plannedSpan) shipped(by *shipment)    { s.by = by }
func (l *plannedLine) when() time.Duration     { return l.due }
func (l *plannedLine) shipped(by *shipment)    { l.by = by }
func (e *plannedExemplar) when() time.Duration { return e.due }
func (e *plannedExemplar) shipped(by *shipment) {
	e.by = by
}

// A linkSize says how much is planned.
type linkSize struct {
	traces  int
	lasts   time.Duration // during which traces begin
	huge    int           // spans of the huge trace
	special int           // of each kind of what is malformed
}

// A planner makes a plan of one source of chance.
type planner struct {
	*linkPlan
	r    *rand.Rand
	size linkSize
}

func newLinkPlan(seed uint64, run string, size linkSize) *linkPlan {
	p := &planner{linkPlan: &linkPlan{run: run, unknown: map[string]string{}}, r: rand.New(rand.NewPCG(seed, 1)), size: size}
	for range size.traces {
		p.trace()
	}
	p.hugeTrace()
	for i := range size.special {
		p.returningTrace(i)
		p.malformed(i)
		p.unknownExemplars(i)
	}
	for range size.traces / 20 {
		p.line(nil, nil, p.upTo(size.lasts), []telemetry.Severity{telemetry.SeverityInfo, telemetry.SeverityError}[p.r.IntN(2)])
	}
	for i := range linkServices {
		slices.SortStableFunc(p.spansOf[i], func(a, b *plannedSpan) int { return cmp.Compare(a.due, b.due) })
		slices.SortStableFunc(p.linesOf[i], func(a, b *plannedLine) int { return cmp.Compare(a.due, b.due) })
		slices.SortStableFunc(p.exemplarsOf[i], func(a, b *plannedExemplar) int { return cmp.Compare(a.due, b.due) })
	}
	return p.linkPlan
}

func (p *planner) upTo(d time.Duration) time.Duration { return time.Duration(p.r.Int64N(int64(d))) }

// between draws from [from, to).
func (p *planner) between(from, to time.Duration) time.Duration { return from + p.upTo(to-from) }

func (p *planner) spanID() (id telemetry.SpanID) {
	binary.BigEndian.PutUint64(id[:], p.r.Uint64()|1)
	return id
}

func (p *planner) newTrace() *plannedTrace {
	t := &plannedTrace{}
	binary.BigEndian.PutUint64(t.id[:], p.r.Uint64())
	binary.BigEndian.PutUint64(t.id[8:], p.r.Uint64()|1)
	p.traces = append(p.traces, t)
	return t
}

// add plans a span, of which one of a service is sent by it.
func (p *planner) add(t *plannedTrace, s *plannedSpan) *plannedSpan {
	s.trace = t
	t.spans = append(t.spans, s)
	p.spansOf[s.service] = append(p.spansOf[s.service], s)
	return s
}

// tree plans n spans from base on: servers, and clients that call them. Each is due some time after its end, so that
// they come in any order.
func (p *planner) tree(t *plannedTrace, base time.Duration, n int) {
	for i := range n {
		s := &plannedSpan{id: p.spanID(), kind: telemetry.SpanKindServer, service: p.r.IntN(linkServices), start: base}
		if i > 0 {
			parent := t.spans[p.r.IntN(i)]
			s.parent, s.start = parent.id, parent.start+p.upTo(20*time.Millisecond)
			if parent.kind == telemetry.SpanKindServer {
				s.kind, s.service = telemetry.SpanKindClient, parent.service
			}
		}
		s.name = fmt.Sprintf("%s /%d", s.kind, p.r.IntN(3))
		s.end = s.start + p.between(time.Millisecond, 300*time.Millisecond)
		s.due = s.end + p.upTo(700*time.Millisecond)
		if p.r.IntN(30) == 0 {
			s.due += p.upTo(2 * time.Second)
		}
		p.add(t, s)
	}
}

func (p *planner) any(t *plannedTrace) *plannedSpan { return t.spans[p.r.IntN(len(t.spans))] }

// line plans a line of t (nil: of no trace), which may name span.
func (p *planner) line(t *plannedTrace, span *plannedSpan, due time.Duration, severity telemetry.Severity) {
	l := &plannedLine{n: len(p.lines), trace: t, span: span, service: p.r.IntN(linkServices), severity: severity, due: max(0, due)}
	if span != nil {
		l.service = span.service
	}
	if t != nil {
		t.lines = append(t.lines, l)
	}
	p.lines = append(p.lines, l)
	p.linesOf[l.service] = append(p.linesOf[l.service], l)
}

// exemplar plans an exemplar that a scraped metric has of a span of t.
func (p *planner) exemplar(t *plannedTrace, due time.Duration) {
	s := p.any(t)
	e := &plannedExemplar{n: len(p.marks), trace: t, text: t.id.String(), span: s.id, service: s.service, due: max(0, due)}
	t.marks = append(t.marks, e)
	p.mark(e)
}

func (p *planner) mark(e *plannedExemplar) {
	p.marks = append(p.marks, e)
	p.exemplarsOf[e.service] = append(p.exemplarsOf[e.service], e)
}

// late is a time at which everything about a trace that began at base is late, and no more than 30 s.
func (p *planner) late(base time.Duration) time.Duration {
	return base + linkWait + p.between(1500*time.Millisecond, 27*time.Second)
}

// trace plans a trace. Of a thousand some 960 are ordinary; the others have something about them that is worth keeping,
// in time, too late, or at the edge between.
func (p *planner) trace() {
	t, base := p.newTrace(), p.upTo(p.size.lasts)
	p.tree(t, base, 2+p.r.IntN(5))
	p.ordinaryLines(t, base)
	soon := func() time.Duration { return base + p.upTo(time.Second) }
	edge := func() time.Duration { return base + linkWait + p.between(-time.Second, time.Second) }
	switch n := p.r.IntN(1000); {
	case n < 5:
		p.any(t).failed = true
		if n < 3 { // what names a kept trace much later is no less a link
			p.exemplar(t, p.late(base))
		}
	case n < 8:
		s := p.any(t)
		s.failed, s.due = true, p.late(base)
	case n < 10:
		s := p.any(t)
		s.end = s.start + p.between(2100*time.Millisecond, 9*time.Second)
	case n < 12:
		p.any(t).pay = true
	case n < 17:
		p.line(t, p.any(t), soon(), telemetry.SeverityError)
	case n < 19:
		p.line(t, nil, base-p.upTo(10*time.Second), telemetry.SeverityFatal)
	case n < 24:
		p.line(t, p.any(t), p.late(base), telemetry.SeverityError)
	case n < 26:
		p.line(t, p.any(t), edge(), telemetry.SeverityError)
	case n < 29:
		p.exemplar(t, soon())
	case n < 30:
		p.exemplar(t, base-p.upTo(8*time.Second))
	case n < 35:
		p.exemplar(t, p.late(base))
	case n < 36:
		p.exemplar(t, edge())
	case n < 46:
		p.any(t).due = p.late(base)
	}
}

// ordinaryLines plans up to four lines that are no reason to keep anything: before, during and after the spans.
func (p *planner) ordinaryLines(t *plannedTrace, base time.Duration) {
	for range p.r.IntN(5) {
		var span *plannedSpan
		if p.r.IntN(10) > 0 {
			span = p.any(t)
		}
		due := base + p.upTo(700*time.Millisecond)
		switch p.r.IntN(20) {
		case 0, 1, 2:
			due = base - p.upTo(4*time.Second)
		case 3, 4, 5:
			due = base + p.between(time.Second, 30*time.Second)
		}
		severity := telemetry.SeverityInfo
		switch p.r.IntN(10) {
		case 0:
			severity = telemetry.SeverityWarn
		case 1, 2:
			severity = telemetry.SeverityDebug
		}
		p.line(t, span, due, severity)
	}
}

// hugeTrace plans one trace with as many spans as many others together. An error in its first spans keeps it.
func (p *planner) hugeTrace() {
	t, base := p.newTrace(), p.size.lasts/3
	for i := range p.size.huge {
		at := base + time.Duration(i)*5*time.Second/time.Duration(p.size.huge)
		s := &plannedSpan{
			trace: t, id: p.spanID(), name: "step", kind: telemetry.SpanKindInternal, service: 3, failed: i == 0,
			start: at, end: at + time.Millisecond, due: at,
		}
		if i > 0 {
			s.parent = t.spans[0].id
		}
		t.spans, p.huge = append(t.spans, s), append(p.huge, s)
	}
	p.line(t, t.spans[0], base, telemetry.SeverityInfo)
}

// returningTrace plans a trace id that is used again long after its first trace. An error keeps the first of them, or
// the second, or neither.
func (p *planner) returningTrace(i int) {
	first := p.newTrace()
	second := &plannedTrace{id: first.id, life: 1}
	p.traces = append(p.traces, second)
	for life, t := range []*plannedTrace{first, second} {
		for range 3 {
			t.spans = append(t.spans, &plannedSpan{
				trace: t, id: p.spanID(), name: "again", kind: telemetry.SpanKindInternal, service: 7, end: time.Millisecond,
			})
		}
		t.spans[1].failed = i%3 == life
	}
	p.returning = append(p.returning, first, second)
}

// malformed plans one of each of what senders get wrong. An error keeps what has a trace id.
func (p *planner) malformed(i int) {
	at := p.upTo(p.size.lasts)
	plan := func(change func(*plannedSpan)) {
		t := p.newTrace()
		p.tree(t, at, 3)
		t.spans[0].failed = true
		change(t.spans[2])
	}
	plan(func(s *plannedSpan) { s.id = telemetry.SpanID{} })
	plan(func(s *plannedSpan) { s.start, s.end = s.end, s.start })
	if i%5 == 0 {
		plan(func(s *plannedSpan) { s.load = fmt.Sprintf("%0*d", 300<<10, i) })
		plan(func(s *plannedSpan) { s.attrs = 3000 })
	}
	s := &plannedSpan{id: p.spanID(), name: "nameless", kind: telemetry.SpanKindServer, service: p.r.IntN(linkServices), start: at, end: at + time.Second, due: at, failed: true}
	p.nameless = append(p.nameless, s)
	p.spansOf[s.service] = append(p.spansOf[s.service], s)
	p.notSpans++
}

// unknownExemplars plans exemplars that lead nowhere.
func (p *planner) unknownExemplars(i int) {
	for _, e := range []struct{ text, why string }{
		{fmt.Sprintf("%016x%016x", p.r.Uint64(), uint64(i+1)), "no span has it"},
		{fmt.Sprintf("%032x", 0), "it is no id"},
		{fmt.Sprintf("%016x", p.r.Uint64()|1), "it is half an id"},
		{fmt.Sprintf("no trace %d", i), "it is no hexadecimal number"},
	} {
		p.unknown[e.text] = e.why
		p.mark(&plannedExemplar{n: len(p.marks), text: e.text, span: p.spanID(), service: i % linkServices, due: p.upTo(p.size.lasts)})
	}
}

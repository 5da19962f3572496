package query

import (
	"cmp"
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// A Segment is a stretch of time in which the trace waited for one span and for nothing below it.
type Segment struct {
	StartNano    int64 `json:"start_unix_nano"`
	DurationNano int64 `json:"duration_ns"`
}

// A criticalPath says what a trace's root waited for at each moment: the segments follow each other without a gap from
// the root's start to its end. Going back from a span's end, the child that ended last is what was waited for, then,
// from that child's start, the one that had ended before it, and so on; between them the span itself was at work. What
// a child does outside its parent's time nobody waited for.
type criticalPath struct {
	spans    []*telemetry.SpanRecord
	below    [][]int
	segments [][]Segment
}

// newCriticalPath finds the path of spans, which are ordered by start. Its root is the first span without a parent, else
// the first whose parent is not stored. place has the index of the first span with an id.
func newCriticalPath(spans []*telemetry.SpanRecord, place map[telemetry.SpanID]int) *criticalPath {
	p := &criticalPath{spans: spans, below: make([][]int, len(spans)), segments: make([][]Segment, len(spans))}
	root := -1
	for i, s := range spans {
		parent, stored := place[s.ParentID]
		switch {
		case s.ParentID.IsZero() && (root < 0 || !spans[root].ParentID.IsZero()):
			root = i
		case s.ParentID.IsZero():
		case stored:
			p.below[parent] = append(p.below[parent], i)
		case root < 0:
			root = i
		}
	}
	if root >= 0 { // nothing below a span that has no stored parent is in a ring
		p.walk(root, spans[root].StartUnixNano, spans[root].EndUnixNano)
	}
	for _, segments := range p.segments {
		slices.Reverse(segments)
	}
	return p
}

// walk goes back over the time from..to, in which span i was waited for.
func (p *criticalPath) walk(i int, from, to int64) {
	slices.SortStableFunc(p.below[i], func(a, b int) int { return cmp.Compare(p.spans[b].EndUnixNano, p.spans[a].EndUnixNano) })
	at := to
	for _, child := range p.below[i] {
		start, end := max(p.spans[child].StartUnixNano, from), min(p.spans[child].EndUnixNano, to)
		if end > at || end <= start {
			continue
		}
		p.add(i, end, at)
		p.walk(child, start, end)
		at = start
	}
	p.add(i, from, at)
}

func (p *criticalPath) add(i int, from, to int64) {
	if from < to {
		p.segments[i] = append(p.segments[i], Segment{from, to - from})
	}
}

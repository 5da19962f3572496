package main

import (
	"cmp"
	"slices"
	"time"

	"github.com/braidhq/braid/query"
)

// A traceItem is a span with what lies below it, or a line.
type traceItem struct {
	at     time.Time
	span   *query.SpanView // nil: a line
	line   *query.LogLine
	below  []*traceItem
	nearby bool // a line that is here by pod and time only
	// orphan says that the span names a parent that is not in the trace.
	orphan bool
}

// traceTree hangs every span below its parent and every line below its span, by time. Spans without a parent, with an
// unknown one, or in a ring of parents are at the top: none is left out, and none is shown twice.
func traceTree(v *query.TraceView) []*traceItem {
	items := make([]*traceItem, len(v.Spans))
	byID := make(map[string]*traceItem, len(v.Spans))
	for i := range v.Spans {
		s := &v.Spans[i]
		items[i] = &traceItem{at: s.Start, span: s}
		if byID[s.SpanID] == nil {
			byID[s.SpanID] = items[i]
		}
		for j := range s.Logs {
			items[i].below = append(items[i].below, newLineItem(&s.Logs[j]))
		}
	}
	var top []*traceItem
	for _, item := range items {
		parent := byID[item.span.ParentID]
		if parent == nil || inRing(item, byID) {
			item.orphan = parent == nil && item.span.ParentID != ""
			top = append(top, item)
			continue
		}
		parent.below = append(parent.below, item)
	}
	for _, item := range items {
		sortItems(item.below)
	}
	sortItems(top)
	return top
}

func newLineItem(l *query.LogLine) *traceItem {
	at := l.Time
	if at.IsZero() {
		at = l.Observed
	}
	return &traceItem{at: at, line: l}
}

// inRing reports whether following the parents of item leads back to it.
func inRing(item *traceItem, byID map[string]*traceItem) bool {
	for p, steps := byID[item.span.ParentID], 0; p != nil && steps <= len(byID); steps++ {
		if p == item || p.span.SpanID == item.span.SpanID {
			return true
		}
		p = byID[p.span.ParentID]
	}
	return false
}

// sortItems orders by time; of what begins at one instant, lines come first.
func sortItems(items []*traceItem) {
	slices.SortStableFunc(items, func(a, b *traceItem) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(b2i(a.span != nil), b2i(b.span != nil)))
	})
}

func b2i(b bool) int {
	if b {
		return 1
	}
	return 0
}

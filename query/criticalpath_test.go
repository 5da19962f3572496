package query_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/braidhq/braid/query"
	"github.com/braidhq/braid/telemetry"
)

// parseTrace reads spans of the form "name<parent from-to"; names are single letters and the span ids.
func parseTrace(t *testing.T, text string) *telemetry.Trace {
	t.Helper()
	trace := &telemetry.Trace{ID: telemetry.TraceID{1}}
	for _, field := range strings.Split(text, ", ") {
		var s telemetry.SpanRecord
		id, times, _ := strings.Cut(field, " ")
		if _, err := fmt.Sscanf(times, "%d-%d", &s.StartUnixNano, &s.EndUnixNano); err != nil {
			t.Fatalf("%q: %v", field, err)
		}
		s.Name, s.SpanID[0] = id[:1], id[0]
		if len(id) == 3 {
			s.ParentID[0] = id[2]
		}
		trace.Spans = append(trace.Spans, s)
	}
	return trace
}

func criticalText(v *query.TraceView) string {
	var spans []string
	for _, s := range v.Spans {
		text := s.Name
		for _, c := range s.Critical {
			text += fmt.Sprintf(" %d-%d", c.StartNano, c.StartNano+c.DurationNano)
		}
		if len(s.Critical) > 0 {
			spans = append(spans, text)
		}
	}
	return strings.Join(spans, ", ")
}

func TestCriticalPath(t *testing.T) {
	for _, c := range []struct{ name, trace, want string }{
		{"alone", "a 10-90", "a 10-90"},
		{"of no length", "a 10-10", ""},
		{"one after the other", "a 0-100, b<a 10-40, c<a 50-90", "a 0-10 40-50 90-100, b 10-40, c 50-90"},
		{"side by side: the last to end", "a 0-100, b<a 10-60, c<a 20-90", "a 0-20 90-100, c 20-90"},
		{"fork and join, twice", "a 0-100, b<a 0-30, c<a 0-40, d<a 40-70, e<a 40-100", "c 0-40, e 40-100"},
		{"deep", "a 0-100, b<a 10-90, c<b 20-80, d<c 30-70", "a 0-10 90-100, b 10-20 80-90, c 20-30 70-80, d 30-70"},
		{"nobody waits for what goes on after the parent", "a 0-50, b<a 40-90", "a 0-40, b 40-50"},
		{"nor for what starts after it", "a 0-50, b<a 60-90", "a 0-50"},
		{"a clock that is behind", "a 10-50, b<a 0-30", "b 10-30, a 30-50"},
		{"a child that ends before it starts", "a 0-50, b<a 30-20", "a 0-50"},
		{"a root that ends before it starts", "a 50-0, b<a 10-20", ""},
		{"an orphan is no root beside a root", "o<x 0-10, a 20-50, b<a 30-40", "a 20-30 40-50, b 30-40"},
		{"an orphan without one", "b<o 30-40, o<x 20-50", "o 20-30 40-50, b 30-40"},
		{"a ring", "r<s 0-100, s<r 0-90, a 10-20", "a 10-20"},
		{"nothing but a ring", "r<s 0-100, s<r 0-90", ""},
		{"its own parent", "a<a 0-100", ""},
		{"one id twice", "a 0-100, a<a 10-90, b<a 20-80", "a 0-10 90-100, a 10-90"}, // both others are below the first
	} {
		if got := criticalText(query.NewTraceView(parseTrace(t, c.trace))); got != c.want {
			t.Errorf("%s: %s\n got %s\nwant %s", c.name, c.trace, got, c.want)
		}
	}
}

// Whatever the spans are, the segments cover the root's time once.
func TestCriticalPathHasNoGap(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		trace := parseTrace(t, "A 100-200")
		for i := range 1 + rng.IntN(30) {
			var s telemetry.SpanRecord
			s.SpanID[0], s.ParentID[0] = byte('B'+i), byte('A'+rng.IntN(i+2))
			s.StartUnixNano = 80 + rng.Int64N(130)
			s.EndUnixNano = s.StartUnixNano + rng.Int64N(60) - 5
			trace.Spans = append(trace.Spans, s)
		}
		var all []query.Segment
		for _, s := range query.NewTraceView(trace).Spans {
			all = append(all, s.Critical...)
		}
		slices.SortFunc(all, func(a, b query.Segment) int { return int(a.StartNano - b.StartNano) })
		at := int64(100)
		for _, s := range all {
			if s.StartNano != at || s.DurationNano <= 0 {
				t.Fatalf("seed %d: a segment of %d ns at %d, after %d", seed, s.DurationNano, s.StartNano, at)
			}
			at += s.DurationNano
		}
		if at != 200 {
			t.Fatalf("seed %d: the path ends at %d", seed, at)
		}
	}
}

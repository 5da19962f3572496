package sink

import (
	"fmt"

	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/tally"
	"github.com/braidhq/braid/telemetry"
)

// Traces counts spans by trace, for what is sampled by trace.
type Traces struct {
	spans  int
	traces map[telemetry.TraceID]*tally.Tally
}

// Take is for [Take].Spans.
func (t *Traces) Take(batches []*telemetry.Batch) {
	if t.traces == nil {
		t.traces = map[telemetry.TraceID]*tally.Tally{}
	}
	for _, b := range batches {
		service := ""
		if b.Resource != nil {
			service = b.Resource.Service
		}
		for i := range b.Spans {
			s := &b.Spans[i]
			got := t.traces[s.TraceID]
			if got == nil {
				got = &tally.Tally{}
				t.traces[s.TraceID] = got
			}
			got.Add(tally.Span(service, s))
			t.spans++
		}
	}
}

// Len returns the number of spans.
func (t *Traces) Len() int { return t.spans }

// Kept counts, of the traces that were made, those of which something has come.
func (t *Traces) Kept() int { return len(t.traces) }

// A Rule says which traces must be kept, and the share of the others that is kept by chance.
type Rule struct {
	Must  func(input.Trace) bool
	Share float64
}

// Missing returns how many traces that must be kept are not there yet in full.
func (t *Traces) Missing(made map[telemetry.TraceID]input.Trace, rule Rule) int {
	missing := 0
	for id, trace := range made {
		if got := t.traces[id]; rule.Must(trace) && (got == nil || got.Len() < trace.Truth.Records) {
			missing++
		}
	}
	return missing
}

// Check returns nil if every trace that must be kept is there, of the others about the share, and each that is there
// whole, once and unchanged.
func (t *Traces) Check(made map[telemetry.TraceID]input.Trace, rule Rule) error {
	if n := t.Missing(made, rule); n > 0 {
		return fmt.Errorf("%d traces that must be kept are not there in full", n)
	}
	others, kept := 0, 0
	for id, trace := range made {
		got := t.traces[id]
		if !rule.Must(trace) {
			others++
			if got != nil {
				kept++
			}
		}
		if got == nil {
			continue
		}
		if err := got.Check(trace.Truth); err != nil {
			return fmt.Errorf("trace %s: %w", id, err)
		}
	}
	for id := range t.traces {
		if _, ok := made[id]; !ok {
			return fmt.Errorf("trace %s was never sent", id)
		}
	}
	if share := float64(kept) / float64(max(others, 1)); share < 0.8*rule.Share || share > 1.2*rule.Share {
		return fmt.Errorf("of the other traces %.1f %% are kept, not %.1f %%", 100*share, 100*rule.Share)
	}
	return nil
}

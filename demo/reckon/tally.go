package reckon

import (
	"errors"
	"fmt"
	"time"

	"github.com/braidhq/braid/demo/ledger"
)

// A LineKey is a log line's identity: where it came from and what it says.
type LineKey struct {
	Service, Stream string
	Sum             ledger.Sum
}

// Lines are those of one key. Every line of the shop is unique, so Count is 1 where all is well.
type Lines struct {
	Count   int
	TraceID string // of the first
}

// A SpanKey is a span's identity.
type SpanKey struct{ Service, TraceID, SpanID string }

// A SampleKey names the samples that are counted together: those of one metric name of one service.
type SampleKey struct{ Service, Name string }

// A Tally is what was written, or what was found.
type Tally struct {
	Lines   map[LineKey]Lines
	Spans   map[SpanKey]int
	Samples map[SampleKey]int64
	Traces  map[string]*Trace // by id; only of what was written
}

// NewTally returns an empty tally.
func NewTally() *Tally {
	return &Tally{Lines: map[LineKey]Lines{}, Spans: map[SpanKey]int{}, Samples: map[SampleKey]int64{}, Traces: map[string]*Trace{}}
}

// AddLine counts one line.
func (t *Tally) AddLine(k LineKey, traceID string) {
	l := t.Lines[k]
	if l.Count == 0 {
		l.TraceID = traceID
	}
	l.Count++
	t.Lines[k] = l
}

// Totals returns how many lines, spans and samples t counts.
func (t *Tally) Totals() (lines, spans int, samples int64) {
	for _, l := range t.Lines {
		lines += l.Count
	}
	for _, n := range t.Spans {
		spans += n
	}
	for _, n := range t.Samples {
		samples += n
	}
	return lines, spans, samples
}

// ReadLedgers makes the tally of what the services wrote; files are ledger files by service, and a span longer than slow
// is a reason to keep its trace. A ledger that cannot be read to its end fails it: without the whole truth nothing can be
// reckoned.
func ReadLedgers(files map[string]string, slow time.Duration) (*Tally, error) {
	t := NewTally()
	var errs []error
	for service, file := range files {
		traces := &traceReader{traces: t.Traces, slow: slow, pending: map[string]ledger.Entry{}}
		errs = append(errs, ledger.Read(file, func(e ledger.Entry) {
			traces.take(&e)
			switch e.Kind {
			case ledger.Log:
				t.AddLine(LineKey{service, e.Stream, e.Sum}, e.TraceID)
			case ledger.Span:
				t.Spans[SpanKey{service, e.TraceID, e.SpanID}]++
			case ledger.Metrics:
				for name, n := range e.Names {
					t.Samples[SampleKey{service, name}] += int64(n)
				}
			}
		}))
		if err := traces.end(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", file, err))
		}
	}
	return t, errors.Join(errs...)
}

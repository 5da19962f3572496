package correlate

import "github.com/braidhq/braid/telemetry"

// KeepSpans is a stage of exporters: it drops the spans whose trace is not kept, and those that belong to none. The
// exporter must lie behind the decider.
func (v *Verdicts) KeepSpans(b *telemetry.Batch) {
	kept := b.Spans[:0]
	var last telemetry.TraceID // one after the other they are often of one trace
	keep := false
	for i := range b.Spans {
		if id := b.Spans[i].TraceID; id != last {
			last, keep = id, !id.IsZero() && v.Kept(id, b.ReceivedUnixNano)
		}
		if !keep {
			continue
		}
		if len(kept) < i {
			b.Spans[len(kept)] = b.Spans[i]
		}
		kept = b.Spans[:len(kept)+1]
	}
	b.Spans = kept
}

// FollowTrace is a stage of exporters of logs: it drops the lines of severity trace, debug and info whose trace was decided
// and is not kept. A line whose trace has shown no span is shipped, and so is one without a severity. The exporter must lie
// behind the decider by Wait, so that a line has had as long as a span to find its trace.
func (d *Decider) FollowTrace(b *telemetry.Batch) {
	kept := b.Logs[:0]
	for i := range b.Logs {
		l := &b.Logs[i]
		if l.Severity > 0 && l.Severity < telemetry.SeverityWarn && !l.TraceID.IsZero() && d.Dropped(l.TraceID, b.ReceivedUnixNano) {
			continue
		}
		if len(kept) < i {
			b.Logs[len(kept)] = *l
		}
		kept = b.Logs[:len(kept)+1]
	}
	b.Logs = kept
}

// StripExemplars is a stage of exporters that want none.
func StripExemplars(b *telemetry.Batch) {
	for i := range b.Samples {
		b.Samples[i].Exemplars = nil
	}
}

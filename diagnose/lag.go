package diagnose

import (
	"fmt"
	"maps"
	"slices"

	"github.com/braidhq/braid/config"
)

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// Bounds in seconds: those of the alerts are lagProblem, decideProblem and writeProblem.
const (
	lagWarning    = 60
	lagProblem    = 300
	decideProblem = 120
	writeProblem  = 120
	standsStill   = 10
	failsStill    = 2 // of what is known to have failed
	sampledStill  = 30
)

// A backlog is what one cursor has not passed.
type backlog struct {
	signal, cursor string
	frames, bytes  row
	seconds        row
}

func (in *Input) backlogs() []backlog {
	var all []backlog
	for _, r := range in.rows(lagSeconds) {
		b := backlog{signal: r.label("signal"), cursor: r.label("cursor"), seconds: r}
		b.frames = in.total(inFlightFrames, "signal", b.signal, "cursor", b.cursor)
		b.bytes = in.total(lagBytes, "signal", b.signal, "cursor", b.cursor)
		all = append(all, b)
	}
	return all
}

// old is the age that both readings agree on: one frame that was read a moment ago is no lag.
func (b *backlog) old() float64 { return min(b.seconds.before, b.seconds.now) }

func (b *backlog) metric() string {
	return selector(lagSeconds, "signal", b.signal, "cursor", b.cursor)
}

func (b *backlog) waits() string {
	if b.frames.now == 1 {
		return fmt.Sprintf("1 frame (%s) has waited for %s", size(b.bytes.now), age(b.seconds.now))
	}
	return fmt.Sprintf("%s (%s) wait, the oldest for %s", plural(b.frames.now, "frame"), size(b.bytes.now), age(b.seconds.now))
}

// trend says where a backlog goes, and whether it shrinks.
func (in *Input) trend(b *backlog) (words string, shrinks bool) {
	out := in.passed(b)
	change := (b.frames.now - b.frames.before) / in.seconds()
	switch {
	case out == 0:
		return "nothing was passed between the two readings", false
	case change < 0:
		return fmt.Sprintf("at this pace it has caught up in %s", age(b.frames.now/-change)), true
	case change > 0:
		return fmt.Sprintf("it grows by %s frames a second", number(change)), false
	}
	return "it does not shrink", false
}

// passed returns how many frames a cursor has passed between the readings.
func (in *Input) passed(b *backlog) float64 {
	return in.total(outFrames, "signal", b.signal, "cursor", b.cursor).grown +
		in.total(droppedFrames, "signal", b.signal, "cursor", b.cursor).grown
}

// sampled reports whether traces are sampled: exporters of spans then wait for the decider by design.
func (in *Input) sampled() bool { return in.Second.Page.Has(decidedTraces) }

func lag(in *Input) []Finding {
	var found []Finding
	for _, b := range in.backlogs() {
		if b.old() < lagWarning || b.cursor == decideCursor || in.writesLate(&b) != nil {
			continue
		}
		words, shrinks := in.trend(&b)
		f := Finding{Severity: Warning, Metric: b.metric(), Do: in.remedy(&b)}
		if in.stuck(&b, lagWarning) || b.old() >= lagProblem && !shrinks {
			f.Severity = Problem
		}
		f.What = fmt.Sprintf("%s is behind on %s: %s, and %s.", reader(b.cursor), b.signal, b.waits(), words)
		found = append(found, f)
	}
	return found
}

func (in *Input) remedy(b *backlog) string {
	switch {
	case b.cursor == observeCursor:
		return "Give the aggregator CPU, or a faster disk for its queue (braid_pipeline_fsync_seconds): it counts more slowly than data comes."
	case b.cursor == agentCursor:
		return "See whether the aggregator runs, and what its own doctor says; the agent's log has the error (away)."
	case in.sampled() && b.signal != "samples":
		return "See the decider first, behind which this cursor waits by design for sampling.wait; then the exporter's backend, and the log for its error (away)."
	}
	return "See the exporter's backend: it is away or too slow; the log has its error (away)."
}

// stuck reports whether a cursor has let nothing pass for bound seconds although it might have.
func (in *Input) stuck(b *backlog, bound float64) bool {
	if in.sampled() && b.signal != "samples" {
		bound = sampledStill // sampling.wait, of which no metric tells, may be a part of it
	}
	return b.frames.before > 0 && b.frames.now > 0 && in.passed(b) == 0 && b.old() >= bound
}

func decider(in *Input) []Finding {
	var found []Finding
	for _, b := range in.backlogs() {
		if b.cursor != decideCursor || b.old() < lagWarning {
			continue
		}
		f := Finding{Severity: Warning, Metric: b.metric()}
		if b.old() >= decideProblem {
			f.Severity = Problem
		}
		words, _ := in.trend(&b)
		f.What = fmt.Sprintf("The sampling decider is behind: %s, sampling.wait included, and %s.", b.waits(), words)
		f.Do = "It goes no faster than the slowest observer: see their lag; if there is none, the disk of data_dir/verdicts is slow or full."
		found = append(found, f)
	}
	if r := in.total(indexRefused); r.now > 0 {
		severity, since := in.grew(r)
		found = append(found, Finding{
			severity, "", fmt.Sprintf("The trace index was full: %s about traces were not kept (%s), so a trace may have been dropped that a rule would have kept.", plural(r.now, "fact"), since),
			"Raise sampling.max_traces, or shorten sampling.late.", indexRefused,
		})
	}
	return found
}

// writesLate returns the series of the remote-write exporter that b keeps waiting, nil if it is no such exporter's or not
// late.
func (in *Input) writesLate(b *backlog) *row {
	if b.signal != "samples" || b.old() < writeProblem {
		return nil
	}
	for _, r := range in.rows(highestSent) {
		if cursorOf(r.label("exporter")) == b.cursor {
			return &r
		}
	}
	return nil
}

func remoteWrite(in *Input) []Finding {
	var found []Finding
	for _, b := range in.backlogs() {
		r := in.writesLate(&b)
		if r == nil {
			continue
		}
		what := fmt.Sprintf("Samples reach %s too late: %s", endpoint(r), b.waits())
		if r.now > 0 {
			what += fmt.Sprintf(", and the newest one sent was received %s ago", age(float64(in.clock().Unix())-r.now))
		} else {
			what += ", and none was sent since the start"
		}
		found = append(found, Finding{
			Problem, "", what + ".", "Look at the endpoint: it is away, answers 429 or 5xx, or is slow (braid_remote_storage_sent_batch_duration_seconds).",
			selector(highestSent, "exporter", r.label("exporter")),
		})
	}
	return found
}

// endpoint is the URL of a remote-write exporter, which may have a token in it.
func endpoint(r *row) string { return config.RedactURLs(r.label("url")) }

package correlate

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/value"

	"github.com/braidhq/braid/telemetry"
)

// ExemplarsOptions of [Exemplars].
type ExemplarsOptions struct {
	Registerer prometheus.Registerer // nil: unregistered
	// Kept and Dropped say of what was received then whether its trace is kept, or is known not to be: a verdict log's
	// KeptLine and a decider's Dropped, or those of [Traces].
	Kept, Dropped func(id telemetry.TraceID, receivedUnixNano int64) bool
	// Decided is the receive time up to which all traces are decided.
	Decided func() int64
	// Wait is how long a trace may take to show a span; Wait + Late is for how long it is known. 0: as verdicts have it.
	Wait, Late time.Duration
	MaxHeld    int // exemplars that wait at once. 0: 100,000
}

const defaultMaxHeld = 100_000

// Exemplars is a stage of one exporter of samples that lets an exemplar pass only if its trace is kept. Samples do not wait:
// an exemplar whose trace is not decided yet is taken off its sample and rides on a later one of the same series, in order.
// (Sending it alone was rejected: a receiver of remote-write 2.0 refuses a series without samples. Holding the sample back
// with it was rejected, too: alerts would be late by twice the decision wait.)
//
// It is an observer of the same cursor, which holds [Exemplars.Hold], so that what waits is taken in again by replay. A
// crash may send an exemplar twice; stores know it by its time.
type Exemplars struct {
	kept, dropped func(telemetry.TraceID, int64) bool
	decided       func() int64
	wait, life    int64
	max           int

	mu      sync.Mutex
	waiting map[string]*waitingExemplars // by the bytes of the series' labels
	held    int
	swept   int64
	key     []byte
	self    exemplarMetrics
}

// waitingExemplars are those of one series, in the order in which they came.
type waitingExemplars struct{ list []waitingExemplar }

type waitingExemplar struct {
	exemplar.Exemplar
	received int64
}

// NewExemplars returns an Exemplars with nothing waiting.
func NewExemplars(o ExemplarsOptions) *Exemplars {
	if o.MaxHeld <= 0 {
		o.MaxHeld = defaultMaxHeld
	}
	if o.Wait <= 0 {
		o.Wait = defaultWait
	}
	if o.Late <= 0 {
		o.Late = defaultLate
	}
	e := &Exemplars{
		kept: o.Kept, dropped: o.Dropped, decided: o.Decided, wait: int64(o.Wait), life: int64(o.Wait + o.Late), max: o.MaxHeld,
		waiting: map[string]*waitingExemplars{}, self: newExemplarMetrics(),
	}
	if o.Registerer != nil {
		o.Registerer.MustRegister(e.self.outcomes, e.self.held)
	}
	return e
}

// Hold is for how long the exporter's cursor has to hold frames: an exemplar waits for its verdict and for the next sample.
func (e *Exemplars) Hold() time.Duration { return time.Duration(2*e.wait) + time.Minute }

// An exemplarOutcome says what became of an exemplar.
type exemplarOutcome int

const (
	exemplarKept       exemplarOutcome = iota // shipped: its trace is kept
	exemplarUnlinked                          // shipped: it names no trace
	exemplarDropped                           // its trace is not kept
	exemplarUnknown                           // its trace has shown no span in time
	exemplarExpired                           // older than any verdict that is remembered: it was scraped again and again
	exemplarInvalid                           // its trace id is none
	exemplarRepeated                          // the same waits already
	exemplarOverflow                          // too many were waiting
	exemplarUnattached                        // its series had no further sample
	exemplarOutcomes
	exemplarWaits // none of the above: not decided yet
)

var exemplarOutcomeNames = [exemplarOutcomes]string{
	"kept", "unlinked", "dropped", "unknown", "expired", "invalid", "repeated", "overflow", "unattached",
}

// judge says what becomes of an exemplar now.
func (e *Exemplars) judge(x *exemplar.Exemplar, received, decided int64) exemplarOutcome {
	text := exemplarTrace(x)
	if text == "" {
		return exemplarUnlinked
	}
	id, ok := ParseTraceID(text)
	if !ok || id.IsZero() {
		return exemplarInvalid
	}
	switch {
	case e.kept(id, received):
		return exemplarKept
	case x.HasTs && x.Ts < (received-e.life)/int64(time.Millisecond):
		return exemplarExpired
	case e.dropped(id, received):
		return exemplarDropped
	case decided < received+e.wait:
		return exemplarWaits
	}
	return exemplarUnknown
}

// Stage lets pass what may, takes off what may not, and attaches what has waited.
func (e *Exemplars) Stage(b *telemetry.Batch) {
	decided := e.decided()
	e.mu.Lock()
	defer e.mu.Unlock()
	e.sweep(b.ReceivedUnixNano)
	for i := range b.Samples {
		s := &b.Samples[i]
		if len(s.Exemplars) == 0 && e.held == 0 {
			continue
		}
		e.key = s.Series.Labels.Bytes(e.key)
		w := e.waiting[string(e.key)]
		if w == nil {
			e.pass(s, b.ReceivedUnixNano, decided)
			continue
		}
		// Some of the series wait: the new ones queue up behind them, and the first go as far as they are decided.
		e.hold(w, s.Exemplars, b.ReceivedUnixNano, decided)
		if s.Exemplars = s.Exemplars[:0]; !value.IsStaleNaN(s.Value) {
			e.attach(w, s, decided)
		}
	}
}

// pass judges the exemplars of a series of which none waits. Those behind one that waits wait, too.
func (e *Exemplars) pass(s *telemetry.Sample, received, decided int64) {
	kept := s.Exemplars[:0]
	for i := range s.Exemplars {
		x := &s.Exemplars[i]
		outcome := e.judge(x, received, decided)
		if outcome == exemplarWaits {
			w := &waitingExemplars{}
			e.waiting[string(e.key)] = w
			e.hold(w, s.Exemplars[i:], received, decided)
			break
		}
		e.self.count(outcome)
		if outcome <= exemplarUnlinked {
			kept = append(kept, *x)
		}
	}
	s.Exemplars = kept
}

// hold appends copies of exemplars to what waits. The labels are lent.
func (e *Exemplars) hold(w *waitingExemplars, exemplars []exemplar.Exemplar, received, decided int64) {
	for i := range exemplars {
		x := &exemplars[i]
		if n := len(w.list); n > 0 && w.list[n-1].Equals(*x) {
			e.self.count(exemplarRepeated)
			continue
		}
		outcome := e.judge(x, received, decided)
		if outcome == exemplarWaits && e.held >= e.max {
			outcome = exemplarOverflow
		}
		if outcome > exemplarUnlinked && outcome != exemplarWaits {
			e.self.count(outcome)
			continue
		}
		copied := *x
		copied.Labels = x.Labels.Copy()
		w.list = append(w.list, waitingExemplar{copied, received})
		e.held++
	}
	e.self.held.Set(float64(e.held))
}

// attach moves to s what is decided, from the first on, and forgets the series if nothing is left.
func (e *Exemplars) attach(w *waitingExemplars, s *telemetry.Sample, decided int64) {
	n := 0
	for ; n < len(w.list); n++ {
		x := &w.list[n]
		outcome := e.judge(&x.Exemplar, x.received, decided)
		if outcome == exemplarWaits {
			break
		}
		e.self.count(outcome)
		if outcome <= exemplarUnlinked {
			s.Exemplars = append(s.Exemplars, x.Exemplar)
		}
	}
	e.held -= n
	e.self.held.Set(float64(e.held))
	if w.list = w.list[n:]; len(w.list) == 0 {
		delete(e.waiting, string(e.key))
	}
}

// sweep lets go of what waits for a sample that does not come, looking once in a quarter of its time.
func (e *Exemplars) sweep(received int64) {
	limit := int64(e.Hold())
	if received-e.swept < limit/4 {
		return
	}
	e.swept = received
	for key, w := range e.waiting {
		n := 0
		for n < len(w.list) && w.list[n].received < received-limit {
			e.self.count(exemplarUnattached)
			n++
		}
		e.held -= n
		if w.list = w.list[n:]; len(w.list) == 0 {
			delete(e.waiting, key)
		}
	}
	e.self.held.Set(float64(e.held))
}

// Observe takes in again what may have been waiting when the process ended.
func (e *Exemplars) Observe(b *telemetry.Batch, replayed bool) {
	if !replayed {
		return
	}
	decided := e.decided()
	e.mu.Lock()
	defer e.mu.Unlock()
	for i := range b.Samples {
		s := &b.Samples[i]
		if len(s.Exemplars) == 0 {
			continue
		}
		e.key = s.Series.Labels.Bytes(e.key)
		w := e.waiting[string(e.key)]
		if w == nil {
			w = &waitingExemplars{}
			e.waiting[string(e.key)] = w
		}
		e.hold(w, s.Exemplars, b.ReceivedUnixNano, decided)
	}
}

// AppendSnapshot appends nothing: what waits is taken in again by replay.
func (e *Exemplars) AppendSnapshot(b []byte) []byte { return b }

// Restore takes the empty snapshot, and ignores another.
func (e *Exemplars) Restore([]byte) error { return nil }

// exemplarTrace returns the text of the trace id that an exemplar names, "" if it names none.
func exemplarTrace(x *exemplar.Exemplar) string {
	if id := x.Labels.Get("trace_id"); id != "" {
		return id
	}
	return x.Labels.Get("traceID")
}

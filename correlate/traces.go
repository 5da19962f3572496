package correlate

import (
	"fmt"
	"sync"
	"time"

	"github.com/braidhq/braid/telemetry"
)

// Traces knows the traces of the last minutes where every trace is kept, so that there is nothing to decide: exemplars ask
// it. It observes the lane of spans, whose cursor holds [Traces.Hold], and is rebuilt by replay. Its methods are safe for
// concurrent use.
type Traces struct {
	wait, late int64

	mu   sync.RWMutex
	seen seen
}

// NewTraces returns a Traces that knows none. Wait and late mean what they mean for verdicts.
func NewTraces(wait, late time.Duration) *Traces {
	return &Traces{wait: int64(wait), late: int64(late), seen: seen{life: int64(wait + late), part: max(1, int64(late)/parts)}}
}

// Hold is for how long the cursor has to hold frames.
func (x *Traces) Hold() time.Duration { return time.Duration(x.seen.hold()) }

// Observe takes in the traces of b, replayed or not.
func (x *Traces) Observe(b *telemetry.Batch, _ bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.seen.expire(b.ReceivedUnixNano)
	var last telemetry.TraceID
	for i := range b.Spans {
		if id := b.Spans[i].TraceID; id != last {
			last = id
			x.seen.span(id, b.ReceivedUnixNano)
		}
	}
}

// Kept reports whether a line or exemplar received then belongs to a trace that has shown a span.
func (x *Traces) Kept(id telemetry.TraceID, received int64) bool {
	if id.IsZero() {
		return false
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	for _, p := range x.seen.parts {
		if t, ok := p.traces[id]; ok && t-x.late <= received && received <= t+x.seen.life {
			return true
		}
	}
	return false
}

// Dropped reports that no trace is.
func (x *Traces) Dropped(telemetry.TraceID, int64) bool { return false }

// AppendSnapshot appends nothing: it is rebuilt by replay.
func (x *Traces) AppendSnapshot(b []byte) []byte { return b }

// Restore takes the empty snapshot only.
func (x *Traces) Restore(snapshot []byte) error {
	if len(snapshot) > 0 {
		return fmt.Errorf("%w: the traces have none, and this one has %d bytes", ErrSnapshot, len(snapshot))
	}
	return nil
}

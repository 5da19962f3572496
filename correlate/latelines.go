package correlate

import (
	"fmt"
	"slices"
	"sync"

	"github.com/braidhq/braid/telemetry"
)

// maxLateLines is how many error lines wait for their traces' verdicts at once. The oldest give way: they count as in time.
const maxLateLines = 1 << 20

// LateLines counts the error lines that came when it was too late for them to have a say: at t + Wait or later, of a trace
// that is not kept. It observes the lane of logs; its lines wait until the decider has passed them.
type LateLines struct {
	d       *Decider
	decided func() int64 // receive time up to which all traces are decided

	mu      sync.Mutex
	waiting []lateLine // by receive time
	count   uint64
}

type lateLine struct {
	trace    telemetry.TraceID
	received int64
}

// Observe takes in the error lines of b.
func (l *LateLines) Observe(b *telemetry.Batch, replayed bool) {
	if replayed {
		return
	}
	l.mu.Lock()
	for i := range b.Logs {
		if line := &b.Logs[i]; line.Severity >= telemetry.SeverityError && !line.TraceID.IsZero() {
			l.waiting = append(l.waiting, lateLine{line.TraceID, b.ReceivedUnixNano})
		}
	}
	l.mu.Unlock()
	l.settle()
}

// settle counts what has been decided, and returns the count.
func (l *LateLines) settle() uint64 {
	decided := l.decided()
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for n < len(l.waiting) && l.waiting[n].received <= decided {
		if l.d.late(l.waiting[n].trace, l.waiting[n].received) {
			l.count++
		}
		n++
	}
	n = max(n, len(l.waiting)-maxLateLines)
	l.waiting = slices.Delete(l.waiting, 0, n)
	return l.count
}

// late reports whether something received then came too late for its trace, which is not kept.
func (d *Decider) late(id telemetry.TraceID, received int64) bool {
	d.mu.RLock()
	late := false
	for _, p := range d.seen.parts {
		t, ok := p.traces[id]
		late = late || ok && t+d.index.wait <= received && received <= t+d.seen.life
	}
	d.mu.RUnlock()
	return late && !d.verdicts.KeptLine(id, received)
}

// lateLinesVersion is the first byte of a snapshot. Version 1: the count, and of each line that waits its trace and receive
// time. Numbers are varints.
const lateLinesVersion = 1

// AppendSnapshot appends the count and what waits to b.
func (l *LateLines) AppendSnapshot(b []byte) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	b = appendUvarint(append(b, lateLinesVersion), int(l.count))
	b = appendUvarint(b, len(l.waiting))
	for i := range l.waiting {
		b = append(b, l.waiting[i].trace[:]...)
		b = appendVarint(b, l.waiting[i].received)
	}
	return b
}

// Restore takes a snapshot.
func (l *LateLines) Restore(snapshot []byte) error {
	if len(snapshot) == 0 {
		return nil
	}
	if snapshot[0] != lateLinesVersion {
		return fmt.Errorf("%w: that of late lines has version %d and this braid reads %d", ErrSnapshot, snapshot[0], lateLinesVersion)
	}
	in := decoder{b: snapshot[1:]}
	count := in.uvarint()
	var waiting []lateLine
	for left := in.uvarint(); left > 0 && !in.bad; left-- {
		waiting = append(waiting, lateLine{in.traceID(), in.varint()})
	}
	if in.bad || len(in.b) > 0 {
		return fmt.Errorf("%w: that of late lines is damaged", ErrSnapshot)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.count, l.waiting = count, waiting
	return nil
}

package tree

import (
	"bytes"
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// All is the Tail of a query that wants every line.
const All = -1

// A Query says which lines of an attempt are wanted.
type Query struct {
	// TraceID wants only lines that carry it; zero wants all.
	TraceID telemetry.TraceID
	// Tail wants only so many of the last of these; All wants all of them.
	Tail int
	// FromUnixNano wants only lines of that time or later, of those that Tail has left (the kubelet's order of the two).
	// A line without a time of its own has the time of the one before it.
	FromUnixNano int64
}

func (q *Query) wants(r *telemetry.LogRecord) bool {
	return q.TraceID.IsZero() || r.TraceID == q.TraceID
}

// last holds the last records that it was given.
type last struct {
	size    int
	records []telemetry.LogRecord // a ring; the bodies are its own
	next    int
	seen    int
}

func (l *last) add(r *telemetry.LogRecord) {
	l.seen++
	switch {
	case l.size == 0:
	case len(l.records) < l.size:
		own := *r
		own.Body = bytes.Clone(r.Body)
		l.records = append(l.records, own)
	default:
		body := append(l.records[l.next].Body[:0], r.Body...)
		l.records[l.next] = *r
		l.records[l.next].Body = body
		l.next = (l.next + 1) % l.size
	}
}

// all returns the records, oldest first.
func (l *last) all() []telemetry.LogRecord {
	return slices.Concat(l.records[l.next:], l.records[:l.next])
}

package correlate

import (
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// seen knows when the traces of the last minutes began. A trace begins with the first span of its id and lasts for life
// (Wait + Late) of receive time; the next span of that id after that begins another.
//
// It is rebuilt by replaying the span lane. A replay that begins in the middle of a trace takes a later span for its first.
// That does no harm to traces whose spans come together, as theirs are over before the replay is. The others, those with a
// span more than a part after the first, and those that follow another of the same id closely, are odd: they are stored
// with the cursor, and a replayed span of theirs finds them there. Hold is how far back the replay has to go for that to be
// right.
type seen struct {
	life, part int64
	parts      []*seenPart // by number, oldest first
	recent     [256]seenTrace
}

// A seenTrace is the latest trace of its id and when it began. A request has spans of one trace in several batches.
type seenTrace struct {
	id telemetry.TraceID
	t  int64
}

// A seenPart has the traces that began in one part of receive time, and those that were odd then.
type seenPart struct {
	number int64
	traces map[telemetry.TraceID]int64 // when they began
	odd    map[telemetry.TraceID]int64 // when they began, which may be long ago
}

// An odd trace began at t and was found to be odd in the part of that number.
type odd struct{ t, number int64 }

func (s *seen) hold() int64 { return s.life + 2*s.part }

// at returns the part of that number.
func (s *seen) at(number int64) *seenPart {
	i := len(s.parts)
	for i > 0 && s.parts[i-1].number >= number {
		if i--; s.parts[i].number == number {
			return s.parts[i]
		}
	}
	p := &seenPart{number: number, traces: map[telemetry.TraceID]int64{}}
	s.parts = slices.Insert(s.parts, i, p)
	return p
}

// latest returns when the latest trace of an id began.
func (s *seen) latest(id telemetry.TraceID) (t int64, ok bool) {
	for i := len(s.parts) - 1; i >= 0; i-- {
		if t, ok := s.parts[i].traces[id]; ok {
			return t, true
		}
	}
	return 0, false
}

func (s *seen) wasOdd(id telemetry.TraceID) bool {
	for _, p := range s.parts {
		if _, ok := p.odd[id]; ok {
			return true
		}
	}
	return false
}

func (p *seenPart) mark(id telemetry.TraceID, t int64) {
	if p.odd == nil {
		p.odd = map[telemetry.TraceID]int64{}
	}
	p.odd[id] = t
}

// span takes in a span and returns when its trace began, whether it has just begun, and whether that was soon after the end
// of another of the same id. In a replay the trace may be one that was stored and begins later.
func (s *seen) span(id telemetry.TraceID, received int64) (t int64, begins, again bool) {
	recent := &s.recent[id[len(id)-1]]
	if recent.id == id && received-recent.t <= s.part {
		return recent.t, false, false
	}
	t, begins, again = s.look(id, received)
	*recent = seenTrace{id, t}
	return t, begins, again
}

func (s *seen) look(id telemetry.TraceID, received int64) (t int64, begins, again bool) {
	before, known := s.latest(id)
	if known && received-before <= s.life {
		if received-before > s.part {
			s.at(floorDiv(received, s.part)).mark(id, before)
		}
		return before, false, false
	}
	p := s.at(floorDiv(received, s.part))
	if known || s.wasOdd(id) {
		p.mark(id, received)
	}
	p.traces[id] = received
	return received, true, known && received-before <= s.life+s.part
}

// expire forgets what a span received then, or later, does not ask for.
func (s *seen) expire(received int64) {
	low := floorDiv(received-s.hold(), s.part)
	n := 0
	for n < len(s.parts) && s.parts[n].number < low {
		n++
	}
	s.parts = slices.Delete(s.parts, 0, n)
}

// append adds the odd traces to a snapshot.
func (s *seen) append(b []byte) []byte {
	all := map[telemetry.TraceID]odd{}
	for _, p := range slices.Backward(s.parts) {
		for id, t := range p.odd {
			if _, there := all[id]; !there { // the newest mark is of the latest trace
				all[id] = odd{t, p.number}
			}
		}
	}
	b = appendUvarint(b, len(all))
	for id, o := range all {
		b = append(b, id[:]...)
		b = appendVarint(b, o.t)
		b = appendVarint(b, o.number)
	}
	return b
}

// read takes what append has added off d.
func (s *seen) read(d *decoder) {
	s.parts = nil
	clear(s.recent[:])
	for left := d.uvarint(); left > 0 && !d.bad; left-- {
		id := d.traceID()
		o := odd{d.varint(), d.varint()}
		s.at(floorDiv(o.t, s.part)).traces[id] = o.t
		s.at(o.number).mark(id, o.t)
	}
}

func (d *decoder) traceID() (id telemetry.TraceID) {
	if len(d.b) < len(id) {
		d.b, d.bad = nil, true
		return id
	}
	d.b = d.b[copy(id[:], d.b):]
	return id
}

package pipeline

import (
	"sync"

	"github.com/braidhq/braid/telemetry"
)

// spare are the decoders that a round has lent out, once they are back.
type spare struct {
	mu       sync.Mutex
	first    *decoder // whose interned series and resources all share
	decoders []*decoder
}

func (s *spare) get(only *telemetry.Attributes) *decoder {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.decoders); n > 0 {
		d := s.decoders[n-1]
		s.decoders = s.decoders[:n-1]
		return d
	}
	d := &decoder{only: only, first: s.first}
	if s.first == nil {
		s.first = d
	}
	return d
}

// maxSpare bounds what is kept of memory that was needed once.
const maxSpare = 2 * framesPerRound

func (s *spare) put(d *decoder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.decoders) < maxSpare || d == s.first {
		s.decoders = append(s.decoders, d)
	}
}

// hand offers the frames of a write that is over, as they were decoded, to the cursor that follows.
func (r *round) hand(frames []telemetry.Frame) {
	follower := r.d.follower()
	if follower == nil || r.sink == nil {
		return
	}
	for i := range frames {
		d := r.decoders[i]
		if !d.whole {
			continue // it judges that frame itself
		}
		r.decoders[i] = nil
		d.lent.Begin(func() { r.spare.put(d) })
		follower.fresh.offer(newFresh(&frames[i], &d.lent))
		d.lent.Release()
	}
}

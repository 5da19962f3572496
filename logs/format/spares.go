package format

// Spares are the side buffers that hold lines still open when their chunk's buffer is given up. Many decoders share
// one, so that thousands of idle files hold none. Not safe for concurrent use.
type Spares struct {
	free, lent [][]byte
}

const (
	spareSize  = 32 << 10
	sparesKept = 4 << 20 // bytes of free buffers
)

// Get returns an empty buffer with room for at least n bytes.
func (s *Spares) Get(n int) []byte {
	for i := len(s.free) - 1; i >= 0; i-- {
		if b := s.free[i]; cap(b) >= n {
			last := len(s.free) - 1
			s.free[i], s.free[last] = s.free[last], nil
			s.free = s.free[:last]
			return b[:0]
		}
	}
	return make([]byte, 0, max(n, spareSize))
}

// Lend remembers a buffer that a record aliases, until Release.
func (s *Spares) Lend(b []byte) { s.lent = append(s.lent, b) }

// Release takes back every lent buffer: the records that were emitted since the last Release are no longer valid.
func (s *Spares) Release() {
	total := 0
	for _, b := range s.free {
		total += cap(b)
	}
	for i, b := range s.lent {
		s.lent[i] = nil
		if total += cap(b); total <= sparesKept {
			s.free = append(s.free, b)
		}
	}
	s.lent = s.lent[:0]
}

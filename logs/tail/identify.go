package tail

import (
	"errors"
	"io"

	"github.com/braidhq/braid/logs/format"
)

// identify reads the identity of an attached file, and the time of its first line, if it has a complete line by now.
func (f *Follower) identify(a *Attempt, c *chainFile) error {
	if c.hasID {
		return nil
	}
	id, ok, err := ReadFileID(a.Container, &sequence{c: c})
	if err != nil || !ok {
		return err
	}
	c.id, c.hasID = id, true
	f.stateDirty = true
	head := make([]byte, headBytes(a.format))
	n, err := c.readAt(head, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	c.UnixNano = firstTime(a.format, head[:n])
	return nil
}

// identifyHeld gives every held file its identity that has got its first line since it was looked at: under another name
// (compressed, say) it must be known again.
func (f *Follower) identifyHeld(a *Attempt) {
	for _, c := range a.chain {
		if c.src != nil && !c.hasID {
			if err := f.identify(a, c); err != nil {
				f.problem("read", c.Path, err)
			}
		}
	}
}

// headBytes is how much of a file tells its first time: docker has it at the end of the line.
func headBytes(f format.Format) int {
	if f == format.Docker {
		return peekBytes
	}
	return 512
}

// A sequence reads a file from its beginning without moving anything else.
type sequence struct {
	c   *chainFile
	off int64
}

func (s *sequence) Read(p []byte) (int, error) {
	n, err := s.c.readAt(p, s.off)
	s.off += int64(n)
	return n, err
}

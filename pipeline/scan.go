package pipeline

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

const (
	minRead    = 64 << 10
	keepBuffer = 4 << 20 // a larger buffer is let go once it is not needed
	badSector  = 4 << 10 // what is passed by at once where the disk cannot be read
)

// A scanner reads the frames of one segment in order. What fails its checks is passed by up to the next valid frame.
type scanner struct {
	place
	file disk.File
	base uint64
	pos  uint64 // position of the next byte to look at
	good uint64 // position after the last valid frame

	pass    bool // the disk's read errors are damage like any other
	lost    bool // between something damaged and the next valid frame
	damaged int  // how often lost began; the owner resets it

	buf     []byte
	frames  []telemetry.Frame
	tenants interner
}

// open turns the scanner to the frames of file from position on.
func (s *scanner) open(file disk.File, base, position uint64) {
	s.file, s.base, s.pos, s.good, s.lost = file, base, position, position, false
}

// read returns the next frames before limit: at least one unless there is none, and no further one once their bodies
// have reached maxBytes or their number maxFrames. They are lent until the next call.
func (s *scanner) read(limit uint64, maxBytes, maxFrames int) ([]telemetry.Frame, error) {
	s.frames = s.frames[:0]
	want := max(maxBytes, minRead)
	if cap(s.buf) > keepBuffer && want < keepBuffer {
		s.buf = nil
	}
	if s.pass {
		want = badSector
	}
	for s.pos < limit && len(s.frames) == 0 {
		chunk, err := s.fill(int(min(limit-s.pos, uint64(want))))
		there := limit
		switch {
		case errors.Is(err, io.EOF): // the file was cut by somebody else
			there = s.pos + uint64(len(chunk))
		case err != nil && !s.pass:
			return nil, fmt.Errorf("cannot read the queue: %w", err)
		case err != nil:
			s.lose()
			if s.pos++; want <= badSector {
				s.pos = min(limit, s.pos+badSector-1)
			}
			want = badSector
			continue
		}
		want = max(want, s.parse(chunk, there, maxBytes, maxFrames))
		if there < limit && s.pos == there {
			s.lose()
			s.pos = limit
		}
	}
	return s.frames, nil
}

func (s *scanner) fill(n int) ([]byte, error) {
	if cap(s.buf) < n {
		s.buf = make([]byte, n)
	}
	b := s.buf[:n]
	n, err := s.file.ReadAt(b, segmentHeader+int64(s.pos-s.base))
	if n == len(b) {
		err = nil
	}
	return b[:n], err
}

// parse takes the whole frames of chunk, which begins at s.pos. It returns how many bytes the frame that it stopped at
// needs, or 0.
func (s *scanner) parse(chunk []byte, limit uint64, maxBytes, maxFrames int) (need int) {
	total := 0
	for len(chunk) > 0 && len(s.frames) < maxFrames && (total < maxBytes || len(s.frames) == 0) {
		s.frames = append(s.frames, telemetry.Frame{})
		f := &s.frames[len(s.frames)-1]
		size, err := parseFrame(f, chunk, s.place, s.pos, limit-s.pos, &s.tenants)
		if err == nil {
			s.lost = false
			total += len(f.Body)
		} else {
			s.frames = s.frames[:len(s.frames)-1]
			if errors.Is(err, errShort) {
				return size
			}
			s.lose()
			size = s.skip(chunk, limit)
		}
		chunk = chunk[size:]
		s.pos += uint64(size)
		if err == nil {
			s.good = s.pos
		}
	}
	return 0
}

// skip returns how many bytes of chunk, at least one, lie before the next place where a frame may begin.
func (s *scanner) skip(chunk []byte, limit uint64) int {
	if i := bytes.Index(chunk[1:], []byte(marker)); i >= 0 {
		return 1 + i
	}
	if s.pos+uint64(len(chunk)) >= limit {
		return len(chunk)
	}
	return max(1, len(chunk)-len(marker)+1) // a marker may begin in the last bytes
}

func (s *scanner) lose() {
	if !s.lost {
		s.lost = true
		s.damaged++
	}
}

// walk calls each with the stamp and ID of every frame of a segment up to end, reading heads only. It ends early where
// something is damaged and returns the number of frames it has seen.
func walk(file disk.File, seg *segment, p place, end uint64, each func(stamp int64, id [16]byte)) (uint64, error) {
	var h [frameHead]byte
	frames := uint64(0)
	for pos := seg.base; pos < end; frames++ {
		if n, err := file.ReadAt(h[:], seg.offset(pos)); n < len(h) {
			if errors.Is(err, io.EOF) {
				return frames, nil
			}
			return frames, fmt.Errorf("cannot read %s: %w", seg.name, err)
		}
		size, err := frameLength(h[:], p, end-pos)
		if err != nil {
			return frames, nil
		}
		each(int64(binary.LittleEndian.Uint64(h[16:])), [16]byte(h[32:48]))
		pos += uint64(size)
	}
	return frames, nil
}

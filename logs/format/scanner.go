package format

import (
	"bytes"
	"errors"
	"io"

	"github.com/braidhq/braid/telemetry"
)

// A Scanner reads the records of an attempt's files one after the other, for readers that keep no positions.
type Scanner struct {
	d      *Decoder
	spares Spares
	r      io.Reader
	buf    []byte // buf[:n] is read
	n      int
	at     Mark // of buf[0]
	fed    bool
	err    error
	// long is the beginning of a physical line that is longer than a full buffer; it began at longAt.
	long   []byte
	longAt Mark
}

const (
	scanChunk = 256 << 10
	// envelope is more than the head of a physical line around its text.
	envelope = 4 << 10
)

// NewScanner returns a scanner without input; [Scanner.Reset] gives it a file.
func NewScanner(f Format, limit int) *Scanner {
	s := &Scanner{buf: make([]byte, scanChunk)}
	s.d = NewDecoder(f, limit, &s.spares)
	return s
}

// Reset goes on with the next file of the attempt. Lines open at the end of the file before continue in it.
func (s *Scanner) Reset(r io.Reader) {
	s.r, s.n, s.long, s.fed, s.err = r, 0, nil, false, nil
	s.at = Mark{s.at.File + 1, 0}
}

// Next reads the next record; its body is valid until the next call. At the end of what can be read now it returns
// false and [Scanner.Err] tells whether that was the end or an error. It may be called again when the file has grown.
func (s *Scanner) Next(r *Record) bool {
	s.spares.Release()
	for {
		if s.fed {
			if s.d.Next(r) {
				return true
			}
			s.keep(int(s.d.Consumed().Offset - s.at.Offset))
			s.fed = false
		}
		if !s.fill() {
			return false
		}
		if s.long != nil {
			if s.endLong(r) {
				return true
			}
			continue
		}
		s.d.Feed(s.buf[:s.n], s.at, nil)
		s.fed = true
	}
}

// Rest emits what the input ends with although it has no end: a physical line without newline first, then the open
// lines of both streams. Call it until it returns false, when nothing more will be written.
func (s *Scanner) Rest(r *Record) bool {
	s.spares.Release()
	if s.long != nil {
		line, start := s.long, s.longAt
		s.long = nil
		if s.d.Long(line, start, s.at.Offset, r) {
			return true
		}
	}
	if s.n > 0 {
		s.d.Feed(s.buf[:s.n], s.at, nil)
		ok := s.d.Tail(r)
		s.at.Offset += int64(s.n)
		s.n = 0
		if ok {
			return true
		}
	}
	return s.d.Cut(telemetry.Stdout, r) || s.d.Cut(telemetry.Stderr, r)
}

// Err returns the error that ended the input, nil at its end.
func (s *Scanner) Err() error { return s.err }

func (s *Scanner) keep(consumed int) {
	s.n = copy(s.buf, s.buf[consumed:s.n])
	s.at.Offset += int64(consumed)
}

// fill reads more and reports whether it got anything. A full buffer without a newline becomes the long line.
func (s *Scanner) fill() bool {
	if s.n == len(s.buf) {
		if len(s.buf) < s.d.Limit()+envelope {
			s.buf = append(s.buf, make([]byte, len(s.buf))...)
		} else {
			s.long, s.longAt = bytes.Clone(s.buf[:s.d.Limit()+envelope]), s.at
			s.keep(s.n)
		}
	}
	n, err := s.r.Read(s.buf[s.n:])
	s.n += n
	if err != nil && !errors.Is(err, io.EOF) {
		s.err = err
	}
	return n > 0
}

// endLong throws away the rest of the long line, and emits its beginning once its newline has come.
func (s *Scanner) endLong(r *Record) bool {
	i := bytes.IndexByte(s.buf[:s.n], '\n')
	if i < 0 {
		s.keep(s.n)
		return false
	}
	s.keep(i + 1)
	line := s.long
	s.long = nil
	ok := s.d.Long(line, s.longAt, s.at.Offset, r)
	// What follows it in the buffer is fed before anything else is read.
	s.d.Feed(s.buf[:s.n], s.at, nil)
	s.fed = true
	return ok
}

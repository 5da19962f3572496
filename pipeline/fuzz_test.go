package pipeline

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// corpusBytes are two frames with rubbish between them, as the seed in testdata/fuzz has them.
func corpusBytes() []byte {
	p := place{signal: telemetry.Logs}
	a, b := frame(telemetry.Logs, "first"), frame(telemetry.Logs, "second")
	a.Hash()
	out := append(appendHead(nil, &a, p, 0, 1), a.Body...)
	out = append(out, "rubbish"+marker...)
	out = appendHead(out, &b, p, uint64(len(out)), 2)
	return append(out, b.Body...)
}

// FuzzSegment reads arbitrary bytes as the frames of a segment: whatever comes out stands there, in order, and the
// reader always arrives at the end.
func FuzzSegment(f *testing.F) {
	whole := corpusBytes()
	f.Add(whole, 1<<20)
	f.Add(whole[:len(whole)-1], 1)
	f.Add(whole[3:], 100)
	f.Fuzz(func(t *testing.T, data []byte, maxBytes int) {
		fsys := disk.NewMem()
		file, err := fsys.Create("s")
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if _, err := file.Write(append(make([]byte, segmentHeader), data...)); err != nil {
			t.Fatal(err)
		}
		s := scanner{place: place{signal: telemetry.Logs}}
		s.open(file, 0, 0)
		end, last := uint64(len(data)), uint64(0)
		for s.pos < end {
			before := s.pos
			frames, err := s.read(end, maxBytes, 3)
			if err != nil {
				t.Fatal(err)
			}
			if s.pos <= before || s.pos > end {
				t.Fatalf("from %d it went to %d of %d", before, s.pos, end)
			}
			for i := range frames {
				f := &frames[i]
				if f.Position < last {
					t.Fatalf("position %d comes after %d", f.Position, last)
				}
				again := append(appendHead(nil, f, s.place, f.Position, f.ReceivedUnixNano), f.Body...)
				last = f.Position + uint64(len(again))
				if stands := data[f.Position:last]; !bytes.Equal(clean(again), clean(stands)) {
					t.Fatalf("%x came out of %x", again, stands)
				}
			}
		}
	})
}

// clean leaves out the checksum and the bytes that are reserved.
func clean(frame []byte) []byte {
	frame = bytes.Clone(frame)
	clear(frame[8:12])
	frame[15] = 0
	clear(frame[66:68])
	return frame
}

// FuzzMarks restores arbitrary bytes: what is accepted is stored again alike.
func FuzzMarks(f *testing.F) {
	m := NewMarks()
	m.Batch(lines(1, 9, telemetry.Stderr, 10, 20))
	m.Frame(&telemetry.Frame{Origin: telemetry.QueueID{3}, Signal: telemetry.Spans, Sequence: 4, ReceivedUnixNano: 11})
	f.Add(m.AppendSnapshot(nil))
	f.Add([]byte{marksVersion})
	f.Fuzz(func(t *testing.T, data []byte) {
		m := NewMarks()
		if err := m.Restore(data); err != nil {
			if !errors.Is(err, disk.ErrCorrupt) && !errors.Is(err, disk.ErrVersion) {
				t.Fatal(err)
			}
			return
		}
		again := NewMarks()
		if err := again.Restore(m.AppendSnapshot(nil)); err != nil || len(again.files) != len(m.files) || len(again.origins) != len(m.origins) {
			t.Fatalf("%+v became %+v, %v", m, again, err)
		}
	})
}

// The corpus that is checked in must stay readable: it is the format's memory.
func TestTheCorpusIsUpToDate(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "fuzz", "FuzzSegment", "two-frames"))
	if err != nil {
		t.Fatal(err)
	}
	fsys := disk.NewMem()
	file, err := fsys.Create("s")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	data := corpusOf(t, string(b))
	if _, err := file.Write(append(make([]byte, segmentHeader), data...)); err != nil {
		t.Fatal(err)
	}
	s := scanner{place: place{signal: telemetry.Logs}}
	s.open(file, 0, 0)
	frames, err := s.read(uint64(len(data)), 1<<20, 10)
	if err != nil || bodies(frames) != "first second" || s.damaged != 1 {
		t.Errorf("read %q with %d damages, %v", bodies(frames), s.damaged, err)
	}
}

// corpusOf returns the first argument of a corpus file.
func corpusOf(t *testing.T, file string) []byte {
	t.Helper()
	_, rest, ok := strings.Cut(file, "[]byte(")
	quoted, _, ok2 := strings.Cut(rest, ")\nint(")
	data, err := strconv.Unquote(quoted)
	if !ok || !ok2 || err != nil {
		t.Fatalf("no corpus file: %v", err)
	}
	return []byte(data)
}

package format

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

func criLines(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, "2026-11-20T23:46:18.%09dZ stdout F {\"level\":\"info\",\"msg\":\"request %d\",\"path\":\"%s\"}\n", i+1, i, strings.Repeat("x", 170))
	}
	return b.Bytes()
}

func splitLines() []byte {
	piece := strings.Repeat("y", 16384)
	var b bytes.Buffer
	for i := range 4 {
		fmt.Fprintf(&b, "2026-11-20T23:46:18.%dZ stdout P %s\n2026-11-20T23:46:18.3Z stderr F x\n2026-11-20T23:46:18.3Z stdout F z\n", i+1, piece)
	}
	return b.Bytes()
}

func dockerLines(n int) []byte {
	var b bytes.Buffer
	for i := range n {
		fmt.Fprintf(&b, `{"log":"{\"level\":\"info\",\"msg\":\"request %d\",\"path\":\"%s\"}\n","stream":"stdout","time":"2026-11-20T23:46:18.%09dZ"}`+"\n", i, strings.Repeat("x", 170), i+1)
	}
	return b.Bytes()
}

var shapes = []struct {
	name   string
	format Format
	input  []byte
}{{"cri", CRI, criLines(1000)}, {"split", CRI, splitLines()}, {"docker", Docker, dockerLines(1000)}, {"plain", Plain, criLines(1000)}}

// pass decodes input in two chunks, as if it had come in two reads, and returns the records.
func pass(d *Decoder, spares *Spares, buf, input []byte) int {
	var r Record
	n := 0
	at := Mark{}
	for _, end := range []int{len(input) * 3 / 5, len(input)} {
		chunk := buf[:copy(buf, input[at.Offset:end])]
		d.Feed(chunk, at, nil)
		for d.Next(&r) {
			n++
		}
		at = d.Consumed()
	}
	spares.Release()
	return n
}

func TestAllocations(t *testing.T) {
	for _, s := range shapes {
		spares := &Spares{}
		d := NewDecoder(s.format, 0, spares)
		buf := make([]byte, len(s.input))
		if n := testing.AllocsPerRun(20, func() {
			d.Reset(Resume{})
			pass(d, spares, buf, s.input)
		}); n != 0 {
			t.Errorf("%s: %v allocations a pass", s.name, n)
		}
	}
}

func BenchmarkDecode(b *testing.B) {
	for _, s := range shapes {
		b.Run(s.name, func(b *testing.B) {
			spares := &Spares{}
			d := NewDecoder(s.format, 0, spares)
			buf := make([]byte, len(s.input))
			b.SetBytes(int64(len(s.input)))
			b.ReportAllocs()
			records := 0
			for b.Loop() {
				d.Reset(Resume{})
				records += pass(d, spares, buf, s.input)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(records), "ns/record")
		})
	}
}

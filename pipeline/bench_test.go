package pipeline

import (
	"bytes"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

func onDisk(b *testing.B) func(*Options) {
	dir := b.TempDir()
	return func(o *Options) { o.Dir = filepath.Join(dir, "q") }
}

// BenchmarkAppend is many senders at once on a real disk; fsyncs/frame shows how well they share.
func BenchmarkAppend(b *testing.B) {
	for _, size := range []int{1 << 10, 64 << 10} {
		b.Run(fmt.Sprintf("%dKiB", size>>10), func(b *testing.B) {
			q := open(b, disk.OS, onDisk(b), lanes(64<<30))
			var n atomic.Uint64
			b.SetBytes(int64(size))
			b.ReportAllocs()
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				frames := []telemetry.Frame{frame(telemetry.Logs, string(make([]byte, size)))}
				for pb.Next() {
					i := n.Add(1)
					frames[0].ID = [16]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24), 1}
					if err := q.Append(b.Context(), frames); err != nil {
						b.Error(err)
					}
				}
			})
		})
	}
}

func fill(b testing.TB, q *Queue, frames, size int) {
	b.Helper()
	body := bytes.Repeat([]byte{'x'}, size)
	batch := make([]telemetry.Frame, 0, 1000)
	for i := range frames {
		batch = append(batch, telemetry.Frame{
			Signal: telemetry.Logs, Encoding: telemetry.OTLP, Tenant: "t", Body: body, ID: [16]byte{byte(i), byte(i >> 8), byte(i >> 16), 1},
		})
		if len(batch) == cap(batch) || i == frames-1 {
			if err := q.Append(b.Context(), batch); err != nil {
				b.Fatal(err)
			}
			batch = batch[:0]
		}
	}
}

// BenchmarkRead is one cursor over frames in the page cache.
func BenchmarkRead(b *testing.B) {
	const frames, size = 4000, 10 << 10
	q := open(b, disk.OS, onDisk(b))
	fill(b, q, frames, size)
	c := cursor(b, q, "c", CursorOptions{})
	begin := c.at
	b.SetBytes(size)
	b.ReportAllocs()
	for n := 0; n < b.N; {
		got, err := c.poll(0, maxNextFrames)
		if err != nil {
			b.Fatal(err)
		}
		if n += len(got); len(got) == 0 {
			c.leave()
			c.at = begin
		}
	}
}

// BenchmarkMarks judges batches of a hundred lines.
func BenchmarkMarks(b *testing.B) {
	m := NewMarks()
	batch := lines(1, 1, telemetry.Stdout, make([]int64, 100)...)
	position := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		judgeNext(m, batch, &position)
	}
}

func judgeNext(m *Marks, batch *telemetry.Batch, position *int64) {
	for i := range batch.Logs {
		*position++
		batch.Logs[i].Position = *position
	}
	m.begin()
	m.Batch(batch)
}

func TestReadingAndJudgingDoNotAllocate(t *testing.T) {
	q := open(t, disk.NewMem())
	fill(t, q, 20000, 200)
	c := cursor(t, q, "c", CursorOptions{})
	read := func() {
		if got, err := c.poll(20000, 100); err != nil || len(got) == 0 {
			t.Fatal(len(got), err)
		}
	}
	read()
	if n := testing.AllocsPerRun(100, read); n != 0 {
		t.Errorf("%v allocations a read of 100 frames", n)
	}
	m, position := NewMarks(), int64(0)
	batch := lines(1, 1, telemetry.Stdout, make([]int64, 100)...)
	judgeNext(m, batch, &position)
	if n := testing.AllocsPerRun(100, func() { judgeNext(m, batch, &position) }); n != 0 {
		t.Errorf("%v allocations a batch", n)
	}
	if len(batch.Logs) != 100 {
		t.Errorf("%d lines are new", len(batch.Logs))
	}
}

package correlate

import "github.com/braidhq/braid/telemetry"

const chunkIDs = 1 << 10

type chunk [chunkIDs]telemetry.TraceID

// A fifo is a queue of trace ids in chunks, so that it neither copies when it grows nor keeps what it has given out.
type fifo struct {
	chunks []*chunk
	head   int // in the first chunk
	n      int
	spare  *chunk
}

func (f *fifo) len() int { return f.n }

func (f *fifo) push(id telemetry.TraceID) {
	end := f.head + f.n
	if end == len(f.chunks)*chunkIDs {
		c := f.spare
		if f.spare = nil; c == nil {
			c = new(chunk)
		}
		f.chunks = append(f.chunks, c)
	}
	f.chunks[end/chunkIDs][end%chunkIDs] = id
	f.n++
}

func (f *fifo) front() telemetry.TraceID { return f.chunks[0][f.head] }

func (f *fifo) pop() telemetry.TraceID {
	if f.n == 0 {
		panic("BUG: pop of an empty fifo")
	}
	id := f.front()
	f.n--
	if f.head++; f.head == chunkIDs {
		f.spare, f.chunks[0] = f.chunks[0], nil
		f.chunks = f.chunks[1:]
		f.head = 0
	}
	return id
}

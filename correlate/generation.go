package correlate

import "github.com/braidhq/braid/telemetry"

// A fact says which rules something has made hold that was received then.
type fact struct {
	received int64
	held     uint64
	next     uint32 // the trace's fact before, 0: none
}

const factChunk = 1 << 10

// A generation has the facts of one part of receive time. Facts lie in chunks, so that it never copies as it grows.
type generation struct {
	number int64
	heads  map[telemetry.TraceID]uint32 // the trace's newest fact
	chunks []*[factChunk]fact
	n      uint32
}

// push adds a fact and returns its number, the first one's being 1.
func (g *generation) push(f fact) uint32 {
	if int(g.n)%factChunk == 0 {
		g.chunks = append(g.chunks, new([factChunk]fact))
	}
	g.chunks[g.n/factChunk][g.n%factChunk] = f
	g.n++
	return g.n
}

func (g *generation) fact(number uint32) *fact {
	number--
	return &g.chunks[number/factChunk][number%factChunk]
}

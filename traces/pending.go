package traces

import (
	"hash/maphash"
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// A side is where a span stands in a call.
type side uint8

const (
	callers side = iota // client and producer spans: known by their own id
	callees             // server and consumer spans: known by their parent's id
)

// A callID is the trace id and the caller's span id.
type callID [24]byte

func newCallID(trace telemetry.TraceID, span telemetry.SpanID) (id callID) {
	copy(id[:16], trace[:])
	copy(id[16:], span[:])
	return id
}

// A half is one side of a call, waiting for the other.
type half struct {
	id        callID
	service   name
	peer      name // of a caller whose callee may send no spans
	side      side
	messaging bool
	failed    bool
	paired    bool // a producer waits for more consumers
	nanos     int64
	received  int64
}

// pending holds halves until they are paired or too old. It is a table of a bounded size, without a pointer or an
// allocation for each half; a Go map would have grown under the constant coming and going.
//
// Of one id there is either one caller or some callees: these form a chain, the oldest first, and the table's index
// knows the chain's head. All halves together form a list by age, so the oldest of all is also the head of its chain.
type pending struct {
	max   int
	seed  maphash.Seed
	index []slot // open addressing, linear probing
	heads int    // chains
	place []place
	free  []int32 // places
	// The list by age, -1: none.
	oldest, newest int32
}

// A slot of the index names a chain's head. It has the hash, too: a search that had to look into each place that it comes
// by would miss the processor's cache there.
type slot struct {
	hash uint32
	at   int32 // place + 1; 0: free
}

// A place is 64 bytes, a line of the processor's cache.
type place struct {
	half
	older, newer int32
	next, last   int32 // of the chain; last is right in its head alone
}

func newPending(maximum int) pending {
	return pending{max: maximum, seed: maphash.MakeSeed(), oldest: -1, newest: -1}
}

func (p *pending) len() int { return len(p.place) - len(p.free) }

func (p *pending) full() bool { return p.len() >= p.max }

func (p *pending) hash(id *callID) uint32 { return uint32(maphash.Bytes(p.seed, id[:])) }

// head returns the place of the head of the chain of id, -1 if there is none.
func (p *pending) head(id *callID, hash uint32) int32 {
	if len(p.index) == 0 {
		return -1
	}
	mask := uint32(len(p.index) - 1)
	for i := hash & mask; p.index[i].at != 0; i = (i + 1) & mask {
		if at := p.index[i].at - 1; p.index[i].hash == hash && p.place[at].id == *id {
			return at
		}
	}
	return -1
}

// push adds h at the end of the chain of its id, whose head is given (-1: none); p must not be full.
func (p *pending) push(h *half, hash uint32, head int32) {
	at := int32(len(p.place))
	if n := len(p.free); n > 0 {
		at, p.free = p.free[n-1], p.free[:n-1]
	} else {
		if len(p.place) == cap(p.place) {
			p.place = slices.Grow(p.place, min(max(1024, len(p.place)), p.max-len(p.place)))
		}
		p.place = p.place[:at+1]
	}
	p.place[at] = place{half: *h, older: p.newest, newer: -1, next: -1, last: at}
	if p.newest >= 0 {
		p.place[p.newest].newer = at
	} else {
		p.oldest = at
	}
	p.newest = at
	if head >= 0 {
		p.place[p.place[head].last].next = at
		p.place[head].last = at
		return
	}
	p.heads++
	if p.heads*2 > len(p.index) {
		p.grow()
	}
	p.enter(hash, at)
}

// enter makes at a chain's head in the index.
func (p *pending) enter(hash uint32, at int32) {
	mask := uint32(len(p.index) - 1)
	i := hash & mask
	for p.index[i].at != 0 {
		i = (i + 1) & mask
	}
	p.index[i] = slot{hash, at + 1}
}

func (p *pending) grow() {
	old := p.index
	p.index = make([]slot, max(1024, 2*len(old)))
	for _, s := range old {
		if s.at != 0 {
			p.enter(s.hash, s.at-1)
		}
	}
}

// pop removes the head of a chain and returns it.
func (p *pending) pop(at int32) half {
	x := &p.place[at]
	mask := uint32(len(p.index) - 1)
	i := p.hash(&x.id) & mask
	for p.index[i].at != at+1 {
		i = (i + 1) & mask
	}
	if x.next >= 0 {
		p.index[i].at = x.next + 1
		p.place[x.next].last = x.last
		if x.last == at {
			p.place[x.next].last = x.next
		}
	} else {
		p.leave(i)
		p.heads--
	}
	if x.older >= 0 {
		p.place[x.older].newer = x.newer
	} else {
		p.oldest = x.newer
	}
	if x.newer >= 0 {
		p.place[x.newer].older = x.older
	} else {
		p.newest = x.older
	}
	h := x.half
	*x = place{}
	p.free = append(p.free, at)
	return h
}

// leave frees place i of the index and moves up what lies behind it, so that no search ends too early.
func (p *pending) leave(i uint32) {
	mask := uint32(len(p.index) - 1)
	for j := (i + 1) & mask; p.index[j].at != 0; j = (j + 1) & mask {
		home := p.index[j].hash & mask
		if (j-home)&mask >= (j-i)&mask {
			p.index[i] = p.index[j]
			i = j
		}
	}
	p.index[i] = slot{}
}

// each calls yield with every half, the oldest first.
func (p *pending) each(yield func(*half)) {
	for at := p.oldest; at >= 0; at = p.place[at].newer {
		yield(&p.place[at].half)
	}
}

package traces

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// graphVersion is the first byte of a graph's snapshot. Version 1: the shape of histograms, the latest receive time and
// that of the last sweep (varint), the number of edges, and of each: its key, requests, failed ones, unpaired spans,
// server's and client's durations, start and last receive time (varint); then the number of pending halves, the oldest
// first, and of each: its id, a byte of flags, service, peer, duration, and by how much it was received before the
// latest receive time. Numbers are uvarints; strings and keys have their length in front.
//
// Pending halves are in the snapshot and not rebuilt by replay: which halves wait depends on all that came before, not
// only on the last seconds, as ids may recur and the store is bounded; and a full lane may have let go of what would be
// replayed. So counts are equal over a crash without any condition.
const graphVersion = 1

const (
	flagCallee = 1 << iota
	flagMessaging
	flagFailed
	flagPaired
	flagsEnd
)

func flag(set bool, bit byte) byte {
	if set {
		return bit
	}
	return 0
}

// AppendSnapshot appends all counts to b, and the spans that wait for the other side of their call.
func (g *Graph) AppendSnapshot(b []byte) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	b = append(slices.Grow(b, 64+len(g.edges)*160+g.pending.len()*80), graphVersion)
	b = g.shape.append(b)
	b = binary.AppendVarint(b, g.now)
	b = binary.AppendVarint(b, g.swept)
	b = binary.AppendUvarint(b, uint64(len(g.edges)))
	for key, e := range g.edges {
		b = appendString(b, key)
		for _, n := range [...]uint64{e.requests, e.failed, e.unpaired} {
			b = binary.AppendUvarint(b, n)
		}
		b = e.client.append(e.server.append(b, &g.shape), &g.shape)
		b = binary.AppendVarint(binary.AppendVarint(b, e.start), e.received)
	}
	b = binary.AppendUvarint(b, uint64(g.pending.len()))
	g.pending.each(func(h *half) {
		b = append(b, h.id[:]...)
		b = append(b, flag(h.side == callees, flagCallee)|flag(h.messaging, flagMessaging)|flag(h.failed, flagFailed)|flag(h.paired, flagPaired))
		b = appendString(appendString(b, g.names.labels[h.service]), g.names.labels[h.peer])
		b = binary.AppendUvarint(b, uint64(h.nanos))
		b = binary.AppendUvarint(b, uint64(g.now-h.received))
	})
	return b
}

// Restore replaces all counts and waiting spans by those of a snapshot; an empty one has none. On an error they stay as
// they are. Under other histograms than the snapshot was taken with counts begin anew.
func (g *Graph) Restore(snapshot []byte) error {
	s := graphState{edges: map[string]*edge{}}
	if len(snapshot) > 0 {
		var err error
		if s, err = g.read(snapshot); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.now, g.swept, g.edges, g.gone = s.now, s.swept, s.edges, nil
	g.pending, g.names = newPending(g.pending.max), newNames()
	clear(g.recent)
	for i := range s.halves {
		h := &s.halves[i].half
		h.service, h.peer = g.names.intern(s.halves[i].service), g.names.intern(s.halves[i].peer)
		hash := g.pending.hash(&h.id)
		g.push(h, hash, g.pending.head(&h.id, hash))
	}
	return nil
}

type graphState struct {
	now, swept int64
	edges      map[string]*edge
	halves     []savedHalf
}

// A savedHalf is a half with its labels.
type savedHalf struct {
	half
	service, peer string
}

func (g *Graph) read(b []byte) (graphState, error) {
	s := graphState{edges: map[string]*edge{}}
	if b[0] != graphVersion {
		return s, fmt.Errorf("%w: its service graph has version %d and this braid reads %d", ErrSnapshot, b[0], graphVersion)
	}
	d := decoder{b: b[1:]}
	shape := d.shape()
	s.now, s.swept = d.varint(), d.varint()
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		e := &edge{
			key: d.key(len(graphNames)), requests: d.uvarint(), failed: d.uvarint(), unpaired: d.uvarint(),
			server: d.durations(&shape), client: d.durations(&shape), start: d.varint(), received: d.varint(),
		}
		d.bad = d.bad || s.edges[e.key] != nil
		s.edges[e.key] = e
	}
	callers := map[callID]bool{}
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		h := d.half(s.now)
		caller, known := callers[h.id]
		if known && (caller || h.side != callees) || len(s.halves) > 0 && h.received < s.halves[len(s.halves)-1].received {
			d.bad = true
		}
		callers[h.id] = h.side != callees
		s.halves = append(s.halves, h)
	}
	if d.bad || len(d.b) > 0 {
		return s, fmt.Errorf("%w: its service graph is damaged", ErrSnapshot)
	}
	if !shape.equal(&g.shape) {
		clear(s.edges)
	}
	return s, nil
}

func (d *decoder) half(now int64) (h savedHalf) {
	copy(h.id[:], d.take(uint64(len(h.id))))
	flags := d.byte()
	h.messaging, h.failed, h.paired = flags&flagMessaging != 0, flags&flagFailed != 0, flags&flagPaired != 0
	if flags&flagCallee != 0 {
		h.side = callees
	}
	h.service, h.peer = d.string(), d.string()
	h.nanos, h.received = int64(d.uvarint()), now-int64(d.uvarint())
	d.bad = d.bad || flags >= flagsEnd || h.nanos < 0 || h.received > now || h.service == ""
	return h
}

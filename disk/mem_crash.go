package disk

import (
	"maps"
	"math/rand/v2"
	"slices"
)

// CrashClone returns what a machine that lost its power now may find: everything that was synced, and of the rest what
// seed decides. Of the names of a directory some prefix of the changes since SyncDir survives; of a file's bytes since
// Sync some prefix, with or without zeroes where the rest should be. m itself goes on unharmed.
func (m *Mem) CrashClone(seed uint64) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	rnd := rand.New(rand.NewPCG(seed, 1))
	names := maps.Clone(m.durable)
	for _, dir := range slices.Sorted(maps.Keys(m.journal)) {
		ops := m.journal[dir]
		for _, op := range ops[:rnd.IntN(len(ops)+1)] {
			op.apply(names)
		}
	}
	c := NewMem()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if !parents(names, name) {
			continue
		}
		n := names[name]
		left := &memNode{dir: n.dir}
		if !n.dir {
			left.data = n.crash(rnd)
			left.durable = left.data[:len(left.data):len(left.data)]
		}
		c.names[name], c.durable[name] = left, left
	}
	return c
}

// crash returns the content that a crash leaves of a file.
func (n *memNode) crash(rnd *rand.Rand) []byte {
	if n.cut {
		if rnd.IntN(2) == 0 {
			return slices.Clone(n.durable)
		}
		return n.surviving(0, rnd)
	}
	return append(slices.Clone(n.durable), n.surviving(len(n.durable), rnd)...)
}

// surviving returns what is left of the unsynced bytes from offset from on.
func (n *memNode) surviving(from int, rnd *rand.Rand) []byte {
	data := slices.Clone(n.data)
	for _, r := range n.never {
		clear(data[r[0]:r[1]])
	}
	rest := data[from:]
	kept := rnd.IntN(len(rest) + 1)
	switch rnd.IntN(4) {
	case 0: // nothing
		return nil
	case 1: // all
		return rest
	case 2: // the size made it, the bytes did not
		clear(rest[kept:])
		return rest
	}
	return rest[:kept]
}

// KillClone returns what the kill of the process leaves: every byte and name is there, what was not synced may still go
// with a crash later, and nothing is locked. m itself goes on unharmed.
func (m *Mem) KillClone() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := NewMem()
	nodes := map[*memNode]*memNode{nil: nil}
	clone := func(n *memNode) *memNode {
		if _, ok := nodes[n]; !ok {
			nodes[n] = &memNode{
				dir: n.dir, data: slices.Clone(n.data), durable: slices.Clone(n.durable), cut: n.cut, never: slices.Clone(n.never),
			}
		}
		return nodes[n]
	}
	for name, n := range m.names {
		c.names[name] = clone(n)
	}
	for name, n := range m.durable {
		c.durable[name] = clone(n)
	}
	for dir, ops := range m.journal {
		for _, op := range ops {
			op.node = clone(op.node)
			c.journal[dir] = append(c.journal[dir], op)
		}
	}
	return c
}

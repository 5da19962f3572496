package traces

import "strings"

// A name stands for a label of the service graph. 0 is the empty one.
type name uint16

// names interns labels, so that a span that waits takes four bytes for its two, and no pointer.
type names struct {
	ids    map[string]name // by what was received
	labels []string        // by name
	limit  int             // of labels, before those that are not in use go
}

const (
	fewNames = 1 << 14
	maxNames = 1<<16 - 1

	overflowName name = 1 // of what has no room
)

func newNames() names {
	return names{ids: map[string]name{"": 0, overflow: overflowName}, labels: []string{"", overflow}, limit: fewNames}
}

func (n *names) full() bool { return len(n.labels) >= n.limit }

// intern returns the name of s, which is lent: overflowName if there is none left.
func (n *names) intern(s string) name {
	s = cut(s)
	if id, ok := n.ids[s]; ok {
		return id
	}
	if len(n.labels) >= maxNames {
		return overflowName
	}
	s = strings.Clone(s)
	id := name(len(n.labels))
	n.labels = append(n.labels, clean(s))
	n.ids[s] = id
	return id
}

// keep forgets all names but those that are used, and returns the new name of each old one.
func (n *names) keep(used []bool) (now []name) {
	now = make([]name, len(n.labels))
	kept := newNames()
	for id, label := range n.labels {
		if used[id] {
			now[id] = kept.intern(label)
		}
	}
	kept.limit = max(fewNames, min(2*len(kept.labels), maxNames))
	*n = kept
	return now
}

// forgetNames lets go of the names that no span that waits has.
func (g *Graph) forgetNames() {
	used := make([]bool, len(g.names.labels))
	g.pending.each(func(h *half) { used[h.service], used[h.peer] = true, true })
	now := g.names.keep(used)
	g.pending.each(func(h *half) { h.service, h.peer = now[h.service], now[h.peer] })
	clear(g.recent)
	if g.crowded = 0; g.names.full() {
		g.crowded = g.now
	}
}

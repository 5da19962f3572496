package intern

// Limits of one generation; a cache holds two of them at most.
const (
	maxEntries = 1 << 15
	maxBytes   = 8 << 20
	maxKey     = 16 << 10 // longer keys are not kept: such values do not repeat often enough to pay
)

// A Cache holds the values asked for lately. The zero Cache is ready for use. What is asked for in turns, as the series of
// one scrape after the other, wants room for all of it: one entry too many, and every one misses.
//
// There are two generations: a value is put into the young one and moves there again when it is found in the old one;
// a full young generation becomes the old one, and the old one is forgotten. That keeps everything asked for within the
// last maxEntries distinct keys, as a linked LRU list would, at the cost of a list's pointers and without its writes
// on every hit.
type Cache[V any] struct {
	// Times multiplies the limits; 0: they are as they stand.
	Times int

	young, old map[string]entry[V]
	bytes      int // of keys in young
}

type entry[V any] struct {
	key   string
	value V
}

// Get returns the value of key and whether there is one.
func (c *Cache[V]) Get(key []byte) (V, bool) {
	if e, ok := c.young[string(key)]; ok {
		return e.value, true
	}
	e, ok := c.old[string(key)]
	if ok {
		c.put(e)
	}
	return e.value, ok
}

// Put keeps value under a copy of key.
func (c *Cache[V]) Put(key []byte, value V) {
	if len(key) <= maxKey {
		c.put(entry[V]{string(key), value})
	}
}

// Len returns the number of values held, those in both generations counted twice.
func (c *Cache[V]) Len() int { return len(c.young) + len(c.old) }

func (c *Cache[V]) put(e entry[V]) {
	times := max(1, c.Times)
	if len(c.young) >= times*maxEntries || c.bytes+len(e.key) > times*maxBytes {
		c.young, c.old, c.bytes = nil, c.young, 0
	}
	if c.young == nil {
		c.young = make(map[string]entry[V])
	}
	c.young[e.key] = e
	c.bytes += len(e.key)
}

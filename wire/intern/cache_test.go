package intern

import (
	"encoding/binary"
	"strings"
	"testing"
)

func key(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }

func TestKeepsWhatIsAskedFor(t *testing.T) {
	var c Cache[int]
	c.Put(key(-1), 42)
	for i := range 5 * maxEntries {
		c.Put(key(i), i)
		if i%(maxEntries/2) == 0 {
			if v, ok := c.Get(key(-1)); !ok || v != 42 {
				t.Fatalf("after %d others: %d, %v", i, v, ok)
			}
		}
		if c.Len() > 2*maxEntries {
			t.Fatalf("%d entries", c.Len())
		}
	}
	if _, ok := c.Get(key(0)); ok {
		t.Error("an entry that nobody asked for is still there")
	}
	if v, ok := c.Get(key(5*maxEntries - 1)); !ok || v != 5*maxEntries-1 {
		t.Errorf("the last entry is %d, %v", v, ok)
	}
}

func TestBoundedByBytes(t *testing.T) {
	var c Cache[int]
	long := strings.Repeat("x", maxKey-8)
	for i := range 3 * maxBytes / maxKey {
		c.Put(append(key(i), long...), i)
		if c.bytes > maxBytes {
			t.Fatalf("%d bytes", c.bytes)
		}
	}
	if n := 2 * maxBytes / maxKey; c.Len() > n {
		t.Errorf("%d keys of %d bytes", c.Len(), maxKey)
	}
	c.Put(append(key(0), long+"y"...), 1)
	if _, ok := c.Get(append(key(0), long+"y"...)); ok {
		t.Error("a key that is too long was kept")
	}
}

func TestHitAllocatesNothing(t *testing.T) {
	var c Cache[*int]
	k := key(1)
	c.Put(k, new(int))
	if n := testing.AllocsPerRun(100, func() { c.Get(k) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

package telemetry

import "sync/atomic"

// Attributes are the keys of those span attributes that somebody asks for. A nil *Attributes asks for all.
type Attributes struct {
	byLength [64][]string
	n        int
}

// NewAttributes returns a set of keys.
func NewAttributes(keys ...string) *Attributes {
	a := &Attributes{}
	for _, key := range keys {
		at := &a.byLength[len(key)%len(a.byLength)]
		*at = append(*at, key)
	}
	a.n = len(keys)
	return a
}

// None reports whether no attribute is asked for.
func (a *Attributes) None() bool { return a != nil && a.n == 0 }

// HasLength reports whether a key of that length may be among those asked for; most attributes are settled by it.
func (a *Attributes) HasLength(n int) bool { return a == nil || len(a.byLength[n%len(a.byLength)]) > 0 }

// Find reports whether key is asked for, and returns it in memory that all who ask share: comparing it with what they ask for
// does not touch the bytes that it was read from.
func (a *Attributes) Find(key string) (string, bool) {
	if a == nil {
		return key, true
	}
	for _, known := range a.byLength[len(key)%len(a.byLength)] {
		if known == key {
			return known, true
		}
	}
	return "", false
}

// A Decoded is a frame as its receiver has decoded it to see whether it is in order. It goes along with the frame through the
// queue, in memory, so that who observes the lane at its end need not read, decompress and decode the frame again.
//
// Its memory is given back once nobody holds it. Only one of the holders may use Batches.
type Decoded struct {
	Body    []byte // of the frame, decompressed
	Batches []*Batch
	Only    *Attributes // the span attributes that batches have

	holders atomic.Int32
	free    func()
}

// Begin makes the caller the only holder; free is called when there is none left.
func (d *Decoded) Begin(free func()) {
	d.free = free
	d.holders.Store(1)
}

// Hold adds a holder, which must call [Decoded.Release] once.
func (d *Decoded) Hold() { d.holders.Add(1) }

// Release lets go of d.
func (d *Decoded) Release() {
	if d.holders.Add(-1) == 0 {
		d.free()
	}
}

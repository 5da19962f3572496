package elasticsearch

import "github.com/braidhq/braid/exporters/elasticsearch/ecs"

// An item is one document on its way: a slice of its chunk's body.
type item struct {
	start, doc, end int // of the action line, of the document, and past the newline that ends it
	batch, index    int // the record among the batches of this Write
	received        int64
	form            ecs.Form
	asked           bool // it was in doubt and is known to be missing
	doubt           bool // its last answer leaves open whether it was stored
}

// A chunk is the body of a bulk request and its items in order. Its memory is used again and again.
type chunk struct {
	body  []byte
	items []item
}

const (
	actionHead = `{"create":{"_id":"`
	actionTail = `"}}`
)

// begin starts an item; its id is to be appended to body, then [chunk.document] called, then the document appended,
// then [chunk.finish] called.
func (c *chunk) begin(it item) {
	it.start = len(c.body)
	c.body = append(c.body, actionHead...)
	c.items = append(c.items, it)
}

func (c *chunk) document() {
	c.body = append(c.body, actionTail...)
	c.body = append(c.body, '\n')
	c.items[len(c.items)-1].doc = len(c.body)
}

func (c *chunk) finish() {
	c.body = append(c.body, '\n')
	c.items[len(c.items)-1].end = len(c.body)
}

// id returns the document id of it. It lies in the body.
func (c *chunk) id(it *item) []byte {
	return c.body[it.start+len(actionHead) : it.doc-len(actionTail)-1]
}

// slice returns the bulk body of items lo to hi.
func (c *chunk) slice(lo, hi int) []byte { return c.body[c.items[lo].start:c.items[hi-1].end] }

// retain keeps the items that keep names, in order, and moves their bytes together.
func (c *chunk) retain(keep func(i int) bool) {
	n, at := 0, 0
	for i := range c.items {
		if !keep(i) {
			continue
		}
		it := c.items[i]
		copy(c.body[at:], c.body[it.start:it.end])
		shift := it.start - at
		it.start, it.doc, it.end = it.start-shift, it.doc-shift, it.end-shift
		c.items[n] = it
		n, at = n+1, it.end
	}
	c.items, c.body = c.items[:n], c.body[:at]
}

// received returns the latest receive time of the items.
func (c *chunk) received() int64 {
	latest := int64(-1)
	for i := range c.items {
		latest = max(latest, c.items[i].received)
	}
	return latest
}

func (c *chunk) reset() { c.body, c.items = c.body[:0], c.items[:0] }

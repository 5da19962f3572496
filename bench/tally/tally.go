package tally

import (
	"fmt"
	"slices"
)

// A Truth is what should arrive. Ids need not be kept: the maker sees to it that no two records share one.
type Truth struct {
	Records int
	Sum     uint64 // of the contents' hashes
}

// Add adds a record by its content's hash.
func (t *Truth) Add(content uint64) {
	t.Records++
	t.Sum += content
}

// Merge adds another truth's records.
func (t *Truth) Merge(o Truth) {
	t.Records += o.Records
	t.Sum += o.Sum
}

// A Tally is what arrived. It is not for concurrent use.
type Tally struct {
	ids []uint64
	sum uint64
}

// Add adds a record.
func (t *Tally) Add(f Fingerprint) {
	t.ids = append(t.ids, f.ID)
	t.sum += f.Content
}

// Len returns the number of records, repeated ones included.
func (t *Tally) Len() int { return len(t.ids) }

// distinct returns the number of different ids.
func (t *Tally) distinct() int {
	slices.Sort(t.ids)
	n := 0
	for i, id := range t.ids {
		if i == 0 || id != t.ids[i-1] {
			n++
		}
	}
	return n
}

// Check returns nil if what arrived is want, each record once and unchanged; else what is wrong.
func (t *Tally) Check(want Truth) error {
	distinct := t.distinct()
	repeated := t.Len() - distinct
	switch {
	case distinct != want.Records || repeated != 0:
		return fmt.Errorf("the sink has %d different records of %d, and %d repeated ones", distinct, want.Records, repeated)
	case t.sum != want.Sum:
		return fmt.Errorf("the sink has all %d records, but not as they were sent: the contents' hash is %016x, not %016x", want.Records, t.sum, want.Sum)
	}
	return nil
}

package scrape

import (
	"errors"
	"fmt"
	"math"
	"sync"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/storage"

	"github.com/braidhq/braid/telemetry"
)

// An entry is one interned series and what must be remembered from scrape to scrape. The table's lock guards it.
type entry struct {
	ref       storage.SeriesRef
	hash      uint64
	labels    labels.Labels     // as scraped: what the series is found by
	series    *telemetry.Series // with external labels and metadata; replaced, never changed
	lastMilli int64             // of the newest committed sample
	exemplar  exemplar.Exemplar // the newest one appended, if any
	exemplary bool
	round     uint64 // when it was asked for last
	next      *entry // another series of the same hash
}

// A table interns series. It is bounded by forgetting: a series not seen for two sweeps goes. A bound by number was
// rejected: a series that cannot be remembered cannot be marked stale either; limits on targets are Prometheus' own.
type table struct {
	mu       sync.Mutex
	byRef    map[storage.SeriesRef]*entry
	byHash   map[uint64]*entry
	lastRef  storage.SeriesRef // refs are never used again
	external labels.Labels
	round    uint64
}

func newTable(external labels.Labels) *table {
	return &table{byRef: map[storage.SeriesRef]*entry{}, byHash: map[uint64]*entry{}, external: external}
}

// setExternal changes the labels that every series gets, and forgets the series that have others.
func (t *table) setExternal(external labels.Labels) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if labels.Equal(t.external, external) {
		return
	}
	t.external = external
	clear(t.byRef)
	clear(t.byHash)
}

func (t *table) len() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.byRef)
}

// find returns the entry of ref, or of ls where ref is not known (0, or forgotten meanwhile). The caller holds t.mu.
func (t *table) find(ref storage.SeriesRef, ls labels.Labels) (*entry, error) {
	if e := t.byRef[ref]; e != nil {
		e.round = t.round
		return e, nil
	}
	ls = ls.WithoutEmpty()
	hash := ls.Hash()
	for e := t.byHash[hash]; e != nil; e = e.next {
		if labels.Equal(e.labels, ls) {
			e.round = t.round
			return e, nil
		}
	}
	if ls.IsEmpty() {
		return nil, errors.New("cannot append a sample without labels")
	}
	if name, twice := ls.HasDuplicateLabelNames(); twice {
		return nil, fmt.Errorf("cannot append a sample with label %q twice", name)
	}
	t.lastRef++
	e := &entry{
		ref: t.lastRef, hash: hash, labels: ls, lastMilli: math.MinInt64, round: t.round, next: t.byHash[hash],
		series: &telemetry.Series{Labels: withExternal(ls, t.external)},
	}
	t.byRef[e.ref], t.byHash[hash] = e, e
	return e, nil
}

// withExternal adds the external labels whose names ls does not have.
func withExternal(ls, external labels.Labels) labels.Labels {
	if external.IsEmpty() {
		return ls
	}
	b := labels.NewBuilder(ls)
	external.Range(func(l labels.Label) {
		if !ls.Has(l.Name) {
			b.Set(l.Name, l.Value)
		}
	})
	return b.Labels()
}

// describe gives e the metadata m, which a target may change at any time. No metadata leaves it as it is.
func (e *entry) describe(m metadata.Metadata) {
	s := e.series
	if m.IsEmpty() || (s.Type == m.Type && s.Unit == m.Unit && s.Help == m.Help) {
		return
	}
	e.series = &telemetry.Series{Labels: s.Labels, Type: m.Type, Unit: m.Unit, Help: m.Help}
}

// fresh appends to dst those of found, sorted, that are newer than the last one. Targets show an exemplar in every
// scrape until they have another.
func (e *entry) fresh(dst, found []exemplar.Exemplar) []exemplar.Exemplar {
	for _, x := range found {
		if e.exemplary && exemplar.Compare(x, e.exemplar) <= 0 {
			continue
		}
		e.exemplar, e.exemplary = x, true
		dst = append(dst, x)
	}
	return dst
}

// sweep forgets the series that were not asked for since the sweep before the last.
func (t *table) sweep() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for ref, e := range t.byRef {
		if t.round-e.round >= 2 {
			delete(t.byRef, ref)
			t.unlink(e)
		}
	}
	t.round++
}

func (t *table) unlink(gone *entry) {
	first := t.byHash[gone.hash]
	if first == gone {
		if gone.next == nil {
			delete(t.byHash, gone.hash)
		} else {
			t.byHash[gone.hash] = gone.next
		}
		return
	}
	for e := first; e != nil; e = e.next {
		if e.next == gone {
			e.next = gone.next
			return
		}
	}
}

package correlate

import (
	"maps"
	"slices"
	"strings"
)

// maxBudgets is how many services have a budget of their own in one period of a share; further ones have one together.
const maxBudgets = 1000

// Budgets are what rate-limited shares have spent in the current period of receive time. The zero value has spent nothing.
type Budgets struct{ shares []budget }

type budget struct {
	period int64
	spent  map[string]int // by service
}

// take spends one trace of a share; false: there is none left.
func (b *Budgets) take(i int, s *shareRule, c *Candidate) bool {
	for len(b.shares) <= i {
		b.shares = append(b.shares, budget{spent: map[string]int{}})
	}
	at := &b.shares[i]
	if period := floorDiv(c.ReceivedUnixNano, s.per); period != at.period {
		at.period = period
		clear(at.spent)
	}
	service := c.Service[:min(len(c.Service), maxLabelBytes)]
	n, known := at.spent[service]
	if !known && len(at.spent) >= maxBudgets {
		service = overflow
		n, known = at.spent[service]
	}
	if n >= s.traces {
		return false
	}
	if !known {
		service = strings.Clone(service)
	}
	at.spent[service] = n + 1
	return true
}

func (b *Budgets) append(dst []byte, r *Rules) []byte {
	dst = appendUvarint(dst, len(b.shares))
	for i := range b.shares {
		at := &b.shares[i]
		dst = appendString(dst, r.nameOf(r.shares[i].bit))
		dst = appendVarint(dst, at.period)
		dst = appendUvarint(dst, len(at.spent))
		for _, service := range slices.Sorted(maps.Keys(at.spent)) {
			dst = appendString(dst, service)
			dst = appendUvarint(dst, at.spent[service])
		}
	}
	return dst
}

// read takes budgets off d; those of shares that are gone are dropped.
func (b *Budgets) read(d *decoder, r *Rules) {
	*b = Budgets{}
	for range r.shares {
		b.shares = append(b.shares, budget{spent: map[string]int{}})
	}
	for left := d.uvarint(); left > 0 && !d.bad; left-- {
		name := d.string()
		at := budget{period: d.varint(), spent: map[string]int{}}
		for services := d.uvarint(); services > 0 && !d.bad; services-- {
			service := d.string()
			at.spent[service] = int(d.uvarint())
		}
		for i := range r.shares {
			if r.nameOf(r.shares[i].bit) == name {
				b.shares[i] = at
			}
		}
	}
}

// floorDiv rounds towards minus infinity.
func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

package correlate

import (
	"math"
	"math/bits"
	"strings"
)

// The moving quantiles: how long the spans of each operation lasted, in windows of receive time. What a span is compared
// with comes from the completed windows before its own, so it does not depend on the order within a window.
const (
	windowNanos   = int64(60e9)
	windows       = 4   // completed ones that count
	minSpans      = 100 // in these, for a quantile to say something
	maxOperations = 5000

	buckets      = 128
	firstOctave  = 10 // about a microsecond; the last one ends at 73 minutes
	perOctaveLog = 2
)

type operation struct{ service, name string }

// A histogram counts durations, four buckets an octave.
type histogram struct {
	buckets [buckets]uint32
	n       uint32
	// Of the completed windows before, by quantile rule; set at the operation's first span in this window.
	slower []int64
}

func bucketOf(nanos int64) int {
	if nanos < 1<<firstOctave {
		return 0
	}
	octave := bits.Len64(uint64(nanos)) - 1
	sub := int(nanos>>(octave-perOctaveLog)) & (1<<perOctaveLog - 1)
	return min(buckets-1, (octave-firstOctave)<<perOctaveLog+sub)
}

// upper returns the first duration that is above a bucket.
func upper(bucket int) int64 {
	if bucket == buckets-1 {
		return math.MaxInt64
	}
	bucket++
	return int64(1<<perOctaveLog+bucket&(1<<perOctaveLog-1)) << (bucket>>perOctaveLog + firstOctave - perOctaveLog)
}

type window struct {
	number     int64
	operations map[operation]*histogram
}

// durations are the windows, oldest first; the last is the current one. They are for the span lane's observer.
type durations struct {
	rules    []quantileRule
	windows  []window
	overflow uint64 // spans of operations beyond the limit, which are never slow
}

// observe counts a span and returns the bits of the rules for which it was slow.
func (d *durations) observe(op operation, nanos, received int64) (held uint64) {
	w := d.current(floorDiv(received, windowNanos))
	op.service, op.name = op.service[:min(len(op.service), maxLabelBytes)], op.name[:min(len(op.name), maxLabelBytes)]
	h := w.operations[op]
	if h == nil {
		if len(w.operations) >= maxOperations {
			d.overflow++
			return 0
		}
		h = &histogram{slower: d.quantiles(op)}
		w.operations[operation{strings.Clone(op.service), strings.Clone(op.name)}] = h
	}
	h.buckets[bucketOf(nanos)]++
	h.n++
	for i := range h.slower {
		if nanos >= h.slower[i] {
			held |= d.rules[i].bit
		}
	}
	return held
}

// current returns the window of that number, and lets go of those too old to count. Receive time does not go back.
func (d *durations) current(number int64) *window {
	if n := len(d.windows); n > 0 && d.windows[n-1].number >= number {
		return &d.windows[n-1]
	}
	keep := d.windows[:0]
	for _, w := range d.windows {
		if w.number >= number-windows {
			keep = append(keep, w)
		}
	}
	clear(d.windows[len(keep):])
	d.windows = append(keep, window{number, map[operation]*histogram{}})
	return &d.windows[len(d.windows)-1]
}

// quantiles returns what a span of op has to reach in the current window, by rule.
func (d *durations) quantiles(op operation) []int64 {
	var sum [buckets]uint64
	total := uint64(0)
	for _, w := range d.windows[:len(d.windows)-1] {
		h := w.operations[op]
		if h == nil {
			continue
		}
		total += uint64(h.n)
		for i, n := range h.buckets {
			sum[i] += uint64(n)
		}
	}
	if total < minSpans {
		return nil
	}
	slower := make([]int64, len(d.rules))
	for i, r := range d.rules {
		rank, seen := uint64(math.Ceil(r.quantile*float64(total))), uint64(0)
		for b, n := range sum {
			if seen += n; seen >= rank {
				slower[i] = upper(b)
				break
			}
		}
	}
	return slower
}

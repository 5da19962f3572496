package traces

import (
	"fmt"
	"math"

	"github.com/prometheus/prometheus/model/histogram"
)

// Histograms says which kind of histogram durations go into.
type Histograms uint8

// The kinds. Native histograms need no bounds and have a relative error of at most 4.5 %; classic ones are what a
// backend without native histograms understands.
const (
	Native Histograms = iota
	Classic
	Both
)

func (h Histograms) native() bool  { return h != Classic }
func (h Histograms) classic() bool { return h != Native }

const (
	// startSchema has eight buckets for each power of two. A histogram halves its resolution as often as it must to have
	// no more than maxBuckets, as client_golang does for a bucket factor of 1.1 and that limit.
	startSchema = 3
	maxBuckets  = 160
	// zeroThreshold is client_golang's default: nothing but zero itself lies below it.
	zeroThreshold = 2.938735877055719e-39 // 2^-128
)

// defaultBounds are the upper bounds of classic histograms in seconds, by powers of two from 2 ms to 16 s.
var defaultBounds = []float64{.002, .004, .008, .016, .032, .064, .128, .256, .512, 1.024, 2.048, 4.096, 8.192, 16.384}

// mantissas of the eighth roots of two: the bounds of native buckets between a power of two and the next, as
// fractions of [0.5, 1) with the exponent's bits cut off.
var mantissas = func() (m [8]uint64) {
	for i, bound := range [8]float64{
		0.5, 0.5452538663326288, 0.5946035575013605, 0.6484197773255048,
		0.7071067811865475, 0.7711054127039704, 0.8408964152537144, 0.9170040432046711,
	} {
		m[i] = math.Float64bits(bound) & mantissaMask
	}
	return m
}()

const mantissaMask = 1<<52 - 1

// A shape says how histograms count.
type shape struct {
	kind   Histograms
	bounds []float64
}

func newShape(kind Histograms, bounds []float64) shape {
	if err := CheckBuckets(bounds); err != nil || kind > Both {
		panic(fmt.Sprintf("BUG: histograms of kind %d: %v", kind, err))
	}
	if !kind.classic() {
		return shape{kind: kind}
	}
	if len(bounds) == 0 {
		bounds = defaultBounds
	}
	return shape{kind, bounds}
}

// A durations is a histogram of durations.
type durations struct {
	count uint64
	sum   duration
	// Native: how many observations were zero, and counts[i] is of the bucket with the index low+i in this schema.
	zero      uint64
	schema    int32
	low       int32
	populated int32
	counts    []uint64
	// Classic: not cumulative; the last one is +Inf.
	buckets []uint64
}

func newDurations(s *shape) durations {
	d := durations{schema: startSchema}
	if s.kind.classic() {
		d.buckets = make([]uint64, len(s.bounds)+1)
	}
	return d
}

// observe takes in a duration of so many nanoseconds, which are not negative.
func (d *durations) observe(nanos int64, s *shape) {
	d.count++
	d.sum.add(nanos)
	seconds := float64(nanos) / 1e9
	if s.kind.classic() {
		i := 0
		for i < len(s.bounds) && seconds > s.bounds[i] {
			i++
		}
		d.buckets[i]++
	}
	if !s.kind.native() {
		return
	}
	if nanos == 0 {
		d.zero++
		return
	}
	d.add(nativeIndex(seconds, d.schema), 1)
	if d.populated > maxBuckets {
		d.halve()
	}
}

// nativeIndex returns the index of the bucket that seconds (positive) falls into: the upper bound of the bucket i is
// 2^(i·2^-schema), and belongs to it.
func nativeIndex(seconds float64, schema int32) int32 {
	bits := math.Float64bits(seconds)
	fraction, i := bits&mantissaMask, int32(0)
	for _, bound := range mantissas {
		if fraction > bound {
			i++
		}
	}
	i += (int32(bits>>52) - 1023) * int32(len(mantissas))
	return coarser(i, startSchema-schema)
}

// coarser returns the index, in a schema lower by so much, of the bucket that holds bucket i.
func coarser(i, by int32) int32 { return (i-1)>>by + 1 }

func (d *durations) add(index int32, n uint64) {
	i := index - d.low
	if uint32(i) >= uint32(len(d.counts)) {
		d.stretch(index)
		i = index - d.low
	}
	if d.counts[i] == 0 {
		d.populated++
	}
	d.counts[i] += n
}

// stretch makes room for the bucket index, in steps of eight.
func (d *durations) stretch(index int32) {
	low, high := index&^7, index|7
	if len(d.counts) > 0 {
		low, high = min(low, d.low), max(high, d.low+int32(len(d.counts))-1)
	}
	counts := make([]uint64, high-low+1)
	if len(d.counts) > 0 {
		copy(counts[d.low-low:], d.counts)
	}
	d.low, d.counts = low, counts
}

// halve halves the resolution.
func (d *durations) halve() {
	old, low := d.counts, d.low
	d.schema--
	d.low, d.counts, d.populated = 0, nil, 0
	for i, n := range old {
		if n > 0 {
			d.add(coarser(low+int32(i), 1), n)
		}
	}
}

// clone returns a copy that shares nothing.
func (d *durations) clone() durations {
	c := *d
	c.counts = append([]uint64(nil), d.counts...)
	c.buckets = append([]uint64(nil), d.buckets...)
	return c
}

// native returns the histogram as Prometheus has it. Gaps of up to two buckets are filled, as client_golang does.
func (d *durations) native() *histogram.Histogram {
	h := &histogram.Histogram{
		Schema: d.schema, ZeroThreshold: zeroThreshold, ZeroCount: d.zero, Count: d.count, Sum: d.sum.seconds(),
	}
	h.PositiveSpans = make([]histogram.Span, 0, 4)
	h.PositiveBuckets = make([]int64, 0, d.populated+8)
	last, next := int64(0), int32(0) // the last bucket's count, and the index after it
	for i, n := range d.counts {
		if n == 0 {
			continue
		}
		index := d.low + int32(i)
		if gap := index - next; len(h.PositiveSpans) == 0 || gap > 2 {
			h.PositiveSpans = append(h.PositiveSpans, histogram.Span{Offset: gap})
		} else {
			for range gap {
				h.PositiveBuckets = append(h.PositiveBuckets, -last)
				last = 0
			}
			h.PositiveSpans[len(h.PositiveSpans)-1].Length += uint32(gap)
		}
		h.PositiveSpans[len(h.PositiveSpans)-1].Length++
		h.PositiveBuckets = append(h.PositiveBuckets, int64(n)-last)
		last, next = int64(n), index+1
	}
	return h
}

// A duration is an exact sum of nanoseconds that does not overflow in any process's life.
type duration struct{ whole, nanos uint64 } // seconds, nanoseconds

const carry = 1e18

func (d *duration) add(nanos int64) {
	d.nanos += uint64(nanos)
	if d.nanos >= carry {
		d.whole += d.nanos / 1e9
		d.nanos %= 1e9
	}
}

func (d duration) seconds() float64 { return float64(d.whole) + float64(d.nanos)/1e9 }

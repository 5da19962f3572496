package traces

import (
	"fmt"
	"math"
	"slices"

	"github.com/braidhq/braid/telemetry"
)

// readVersion1 reads what follows the first byte of a snapshot of version 1: the number of bounds and the bounds
// (float64, big-endian), the receive time of the last sweep (varint), the number of series, and of each: service and
// span name with their lengths, kind, status, last receive time (varint), sum of nanoseconds (float64), and a count a
// bucket. Counts and sums go on; what had no place of its own in a native histogram goes where its bucket ended.
func (r *RED) readVersion1(b []byte) (redState, error) {
	s := redState{series: map[string]*redSeries{}, targets: newTargets()}
	d := decoder{b: b}
	bounds := make([]float64, 0, len(defaultBounds))
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		bounds = append(bounds, math.Float64frombits(d.fixed64()))
	}
	if !slices.Equal(bounds, defaultBounds) {
		return s, fmt.Errorf("%w: it has other bounds than version 1 had", ErrSnapshot)
	}
	s.swept = d.varint()
	for n := d.uvarint(); n > 0 && !d.bad; n-- {
		service, name := d.string(), d.string()
		kind, status := telemetry.SpanKind(d.byte()), telemetry.StatusCode(d.byte())
		x := &redSeries{received: d.varint()}
		sum := math.Float64frombits(d.fixed64())
		key := appendValue(appendValue(nil, clean(service)), clean(name))
		x.key = string(appendValue(appendValue(key, kind.String()), status.String()))
		x.latency = r.upgrade(&d, bounds, sum)
		d.bad = d.bad || s.series[x.key] != nil || !(sum >= 0 && sum < math.MaxInt64)
		s.series[x.key] = x
	}
	if d.bad || len(d.b) > 0 {
		return s, fmt.Errorf("%w: it is damaged", ErrSnapshot)
	}
	if len(r.dimensions) > 0 || r.shape.kind.classic() && !slices.Equal(bounds, r.shape.bounds) {
		clear(s.series)
	}
	return s, nil
}

func (r *RED) upgrade(d *decoder, bounds []float64, sum float64) durations {
	h := newDurations(&r.shape)
	for i := range len(bounds) + 1 {
		n := d.uvarint()
		upper := 2 * bounds[len(bounds)-1]
		if i < len(bounds) {
			upper = bounds[i]
		}
		if n == 0 || n > math.MaxInt64/16 {
			d.bad = d.bad || n > 0
			continue
		}
		h.count += n
		if r.shape.kind.native() {
			h.add(nativeIndex(upper, startSchema), n)
		}
		if i < len(h.buckets) {
			h.buckets[i] += n
		}
	}
	if sum >= 0 && sum < math.MaxInt64 {
		h.sum = duration{uint64(sum) / 1e9, uint64(sum) % 1e9}
	}
	return h
}

package remotewrite

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// histogramFields is a Histogram message as read; its slices are reused.
type histogramFields struct {
	isFloat            bool
	count, zero        uint64
	countF, zeroF      float64
	sum, threshold     float64
	schema             int32
	hint               histogram.CounterResetHint
	time, start        int64
	positive, negative buckets
	custom             []float64
}

type buckets struct {
	spans  []histogram.Span
	deltas []int64
	counts []float64
}

func (b *buckets) reset() { b.spans, b.deltas, b.counts = b.spans[:0], b.deltas[:0], b.counts[:0] }

// histogramSample reads a Histogram of either version into a sample; one that Prometheus would refuse is left out.
func (d *Decoder) histogramSample(data []byte, v2 bool) error {
	if err := d.countElement(); err != nil {
		return err
	}
	f := &d.histogram
	if err := f.read(data, v2); err != nil {
		return fmt.Errorf("cannot read histogram: %w", err)
	}
	s := telemetry.Sample{UnixMilli: f.time, StartUnixMilli: f.start}
	var good bool
	if f.isFloat {
		s.FloatHistogram, good = f.float()
	} else {
		s.Histogram, good = f.integer()
	}
	if !good {
		d.current.badHistograms++
		return nil
	}
	d.current.histograms++
	d.samples = append(d.samples, s)
	return nil
}

func (f *histogramFields) read(data []byte, v2 bool) error {
	f.positive.reset()
	f.negative.reset()
	*f = histogramFields{positive: f.positive, negative: f.negative, custom: f.custom[:0]}
	known := uint64(knownV1Histogram)
	if v2 {
		known = knownV2Histogram
	}
	var err error
	r := protobuf.Read(data)
	for err == nil && r.Next() {
		switch r.Tag {
		case histogramCountInt:
			f.isFloat, f.count, f.countF = false, r.Bits, 0
		case histogramCountFloat:
			f.isFloat, f.count, f.countF = true, 0, float(r.Bits)
		case histogramZeroInt:
			f.zero, f.zeroF = r.Bits, 0
		case histogramZeroFloat:
			f.zero, f.zeroF = 0, float(r.Bits)
		case histogramSum:
			f.sum = float(r.Bits)
		case histogramSchema:
			f.schema = int32(protobuf.Zigzag(uint64(uint32(r.Bits))))
		case histogramZeroThreshold:
			f.threshold = float(r.Bits)
		case histogramResetHint:
			f.hint = 0
			if r.Bits <= uint64(histogram.GaugeType) {
				f.hint = histogram.CounterResetHint(r.Bits)
			}
		case histogramTime:
			f.time = int64(r.Bits)
		case histogramStart:
			if v2 {
				f.start = int64(r.Bits)
			}
		default:
			err = f.readBuckets(&r, known)
		}
	}
	if err != nil {
		return err
	}
	return r.Err()
}

// readBuckets reads the repeated fields; numbers may come packed or one by one.
func (f *histogramFields) readBuckets(r *protobuf.Reader, known uint64) (err error) {
	const unpackedDeltas, unpackedCounts = protobuf.Varint ^ protobuf.Bytes, protobuf.Fixed64 ^ protobuf.Bytes
	switch r.Tag {
	case histogramNegativeSpans:
		f.negative.spans, err = appendSpan(f.negative.spans, r.Data)
	case histogramPositiveSpans:
		f.positive.spans, err = appendSpan(f.positive.spans, r.Data)
	case histogramNegativeDeltas:
		f.negative.deltas, err = appendDeltas(f.negative.deltas, r.Data)
	case histogramPositiveDeltas:
		f.positive.deltas, err = appendDeltas(f.positive.deltas, r.Data)
	case histogramNegativeCounts:
		f.negative.counts, err = appendFloats(f.negative.counts, r.Data)
	case histogramPositiveCounts:
		f.positive.counts, err = appendFloats(f.positive.counts, r.Data)
	case histogramCustomValues:
		f.custom, err = appendFloats(f.custom, r.Data)
	case histogramNegativeDeltas ^ unpackedDeltas:
		f.negative.deltas = append(f.negative.deltas, protobuf.Zigzag(r.Bits))
	case histogramPositiveDeltas ^ unpackedDeltas:
		f.positive.deltas = append(f.positive.deltas, protobuf.Zigzag(r.Bits))
	case histogramNegativeCounts ^ unpackedCounts:
		f.negative.counts = append(f.negative.counts, float(r.Bits))
	case histogramPositiveCounts ^ unpackedCounts:
		f.positive.counts = append(f.positive.counts, float(r.Bits))
	case histogramCustomValues ^ unpackedCounts:
		f.custom = append(f.custom, float(r.Bits))
	default:
		r.Skip(known)
	}
	return err
}

// integer returns f as a histogram of its own memory: TSDBs keep the last histogram of a series.
func (f *histogramFields) integer() (*histogram.Histogram, bool) {
	h := &histogram.Histogram{
		CounterResetHint: f.hint,
		Schema:           f.schema,
		ZeroThreshold:    f.threshold,
		ZeroCount:        f.zero,
		Count:            f.count,
		Sum:              f.sum,
		PositiveSpans:    kept(f.positive.spans),
		PositiveBuckets:  kept(f.positive.deltas),
		NegativeSpans:    kept(f.negative.spans),
		NegativeBuckets:  kept(f.negative.deltas),
		CustomValues:     kept(f.custom),
	}
	if tooFine(h.Schema) && h.ReduceResolution(histogram.ExponentialSchemaMax) != nil {
		return nil, false
	}
	return h, h.Validate() == nil
}

func (f *histogramFields) float() (*histogram.FloatHistogram, bool) {
	h := &histogram.FloatHistogram{
		CounterResetHint: f.hint,
		Schema:           f.schema,
		ZeroThreshold:    f.threshold,
		ZeroCount:        f.zeroF,
		Count:            f.countF,
		Sum:              f.sum,
		PositiveSpans:    kept(f.positive.spans),
		PositiveBuckets:  kept(f.positive.counts),
		NegativeSpans:    kept(f.negative.spans),
		NegativeBuckets:  kept(f.negative.counts),
		CustomValues:     kept(f.custom),
	}
	if tooFine(h.Schema) && h.ReduceResolution(histogram.ExponentialSchemaMax) != nil {
		return nil, false
	}
	return h, h.Validate() == nil
}

// tooFine reports a schema that the specification reserves and Prometheus merges down on reception.
func tooFine(schema int32) bool {
	return histogram.IsExponentialSchemaReserved(schema) && schema > histogram.ExponentialSchemaMax
}

// kept returns a copy of s, nil if s is empty.
func kept[E any](s []E) []E {
	if len(s) == 0 {
		return nil
	}
	return slices.Clone(s)
}

func appendSpan(dst []histogram.Span, data []byte) ([]histogram.Span, error) {
	var s histogram.Span
	r := protobuf.Read(data)
	for r.Next() {
		switch r.Tag {
		case spanOffset:
			s.Offset = int32(protobuf.Zigzag(uint64(uint32(r.Bits))))
		case spanLength:
			s.Length = uint32(r.Bits)
		default:
			r.Skip(knownSpan)
		}
	}
	return append(dst, s), r.Err()
}

func appendDeltas(dst []int64, data []byte) ([]int64, error) {
	for len(data) > 0 {
		v, n := protobuf.Uvarint(data)
		if n <= 0 {
			return dst, protobuf.ErrVarint
		}
		dst, data = append(dst, protobuf.Zigzag(v)), data[n:]
	}
	return dst, nil
}

func appendFloats(dst []float64, data []byte) ([]float64, error) {
	if len(data)%8 != 0 {
		return dst, protobuf.ErrTruncated
	}
	for ; len(data) > 0; data = data[8:] {
		dst = append(dst, float(binary.LittleEndian.Uint64(data)))
	}
	return dst, nil
}

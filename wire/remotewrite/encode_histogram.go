package remotewrite

import (
	"encoding/binary"
	"math"

	"github.com/prometheus/prometheus/model/histogram"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// appendHistogram appends a Histogram; start is left out if 0, as it is in 1.0.
func appendHistogram(dst []byte, tag protobuf.Tag, s *telemetry.Sample, start int64) []byte {
	dst, message := protobuf.OpenShort(dst, tag)
	var hint histogram.CounterResetHint
	if h := s.Histogram; h != nil {
		hint = h.CounterResetHint
		// The counts are oneofs: they are written even if zero, since they say that the histogram is one of integers.
		dst = protobuf.AppendTagged(dst, histogramCountInt, h.Count)
		dst = appendScale(dst, h.Sum, h.Schema, h.ZeroThreshold)
		dst = protobuf.AppendTagged(dst, histogramZeroInt, h.ZeroCount)
		dst = appendSpans(dst, histogramNegativeSpans, h.NegativeSpans)
		dst = appendPackedDeltas(dst, histogramNegativeDeltas, h.NegativeBuckets)
		dst = appendSpans(dst, histogramPositiveSpans, h.PositiveSpans)
		dst = appendPackedDeltas(dst, histogramPositiveDeltas, h.PositiveBuckets)
		dst = appendPackedFloats(dst, histogramCustomValues, h.CustomValues)
	} else {
		h := s.FloatHistogram
		hint = h.CounterResetHint
		dst = protobuf.AppendFixed64(dst, histogramCountFloat, math.Float64bits(h.Count))
		dst = appendScale(dst, h.Sum, h.Schema, h.ZeroThreshold)
		dst = protobuf.AppendFixed64(dst, histogramZeroFloat, math.Float64bits(h.ZeroCount))
		dst = appendSpans(dst, histogramNegativeSpans, h.NegativeSpans)
		dst = appendPackedFloats(dst, histogramNegativeCounts, h.NegativeBuckets)
		dst = appendSpans(dst, histogramPositiveSpans, h.PositiveSpans)
		dst = appendPackedFloats(dst, histogramPositiveCounts, h.PositiveBuckets)
		dst = appendPackedFloats(dst, histogramCustomValues, h.CustomValues)
	}
	if hint != 0 {
		dst = protobuf.AppendTagged(dst, histogramResetHint, uint64(hint))
	}
	if s.UnixMilli != 0 {
		dst = protobuf.AppendTagged(dst, histogramTime, uint64(s.UnixMilli))
	}
	if start != 0 {
		dst = protobuf.AppendTagged(dst, histogramStart, uint64(start))
	}
	return protobuf.CloseShort(dst, message)
}

func appendScale(dst []byte, sum float64, schema int32, threshold float64) []byte {
	if bits := math.Float64bits(sum); bits != 0 {
		dst = protobuf.AppendFixed64(dst, histogramSum, bits)
	}
	if schema != 0 {
		dst = protobuf.AppendZigzag(dst, histogramSchema, int64(schema))
	}
	if bits := math.Float64bits(threshold); bits != 0 {
		dst = protobuf.AppendFixed64(dst, histogramZeroThreshold, bits)
	}
	return dst
}

func appendSpans(dst []byte, tag protobuf.Tag, spans []histogram.Span) []byte {
	for _, s := range spans {
		var message int
		dst, message = protobuf.OpenShort(dst, tag)
		if s.Offset != 0 {
			dst = protobuf.AppendZigzag(dst, spanOffset, int64(s.Offset))
		}
		if s.Length != 0 {
			dst = protobuf.AppendTagged(dst, spanLength, uint64(s.Length))
		}
		dst = protobuf.CloseShort(dst, message)
	}
	return dst
}

func appendPackedDeltas(dst []byte, tag protobuf.Tag, deltas []int64) []byte {
	if len(deltas) == 0 {
		return dst
	}
	dst, start := protobuf.OpenShort(dst, tag)
	for _, v := range deltas {
		dst = protobuf.AppendVarint(dst, uint64(v)<<1^uint64(v>>63))
	}
	return protobuf.CloseShort(dst, start)
}

func appendPackedFloats(dst []byte, tag protobuf.Tag, floats []float64) []byte {
	if len(floats) == 0 {
		return dst
	}
	dst = protobuf.AppendLen(dst, tag, 8*len(floats))
	for _, f := range floats {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(f))
	}
	return dst
}

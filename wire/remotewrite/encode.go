package remotewrite

import (
	"github.com/prometheus/common/model"
	"math"

	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/protobuf"
)

// An Encoder writes bodies and keeps its tables' memory from call to call. It is not for concurrent use, and it refers
// to the text of the last call's series until the next. The zero Encoder is ready for use.
type Encoder struct {
	refs     map[string]uint32 // of the symbols
	symbols  []string
	used     []uint32 // references in the order they are written
	previous []uint32 // those of the series before
	families map[string]struct{}
}

// AppendV1 appends a prometheus.WriteRequest with samples to dst; see [Encoder.AppendV1].
func AppendV1(dst []byte, samples []telemetry.Sample) []byte {
	var e Encoder
	return e.AppendV1(dst, samples)
}

// AppendV2 appends an io.prometheus.write.v2.Request with samples to dst; see [Encoder.AppendV2].
func AppendV2(dst []byte, samples []telemetry.Sample) []byte {
	var e Encoder
	return e.AppendV2(dst, samples)
}

// groupEnd returns the end of the run of samples that starts at i and makes one TimeSeries: one *Series, and either
// values or histograms, as both versions want it.
func groupEnd(samples []telemetry.Sample, i int) int {
	isHistogram := hasHistogram(&samples[i])
	end := i + 1
	for end < len(samples) && samples[end].Series == samples[i].Series && hasHistogram(&samples[end]) == isHistogram {
		end++
	}
	return end
}

func hasHistogram(s *telemetry.Sample) bool { return s.Histogram != nil || s.FloatHistogram != nil }

// appendSample appends a Sample; start is left out if 0, as it is in 1.0.
func appendSample(dst []byte, tag protobuf.Tag, s *telemetry.Sample, start int64) []byte {
	value := math.Float64bits(s.Value)
	n := 0
	if value != 0 {
		n += 9
	}
	if s.UnixMilli != 0 {
		n += 1 + protobuf.SizeVarint(uint64(s.UnixMilli))
	}
	if start != 0 {
		n += 1 + protobuf.SizeVarint(uint64(start))
	}
	dst = protobuf.AppendLen(dst, tag, n)
	if value != 0 {
		dst = protobuf.AppendFixed64(dst, sampleValue, value)
	}
	if s.UnixMilli != 0 {
		dst = protobuf.AppendTagged(dst, sampleTime, uint64(s.UnixMilli))
	}
	if start != 0 {
		dst = protobuf.AppendTagged(dst, sampleStart, uint64(start))
	}
	return dst
}

// appendExemplarValue appends the fields of an Exemplar other than its labels.
func appendExemplarValue(dst []byte, e *exemplar.Exemplar) []byte {
	if bits := math.Float64bits(e.Value); bits != 0 {
		dst = protobuf.AppendFixed64(dst, exemplarValue, bits)
	}
	if e.HasTs && e.Ts != 0 {
		dst = protobuf.AppendTagged(dst, exemplarTime, uint64(e.Ts))
	}
	return dst
}

func metricName(ls labels.Labels) string { return ls.Get(model.MetricNameLabel) }

package remotewrite_test

import (
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"

	"github.com/braidhq/braid/telemetry"
)

// A generator makes samples of all kinds; the same seed makes the same ones.
type generator struct{ *rand.Rand }

func newGenerator(seed uint64) generator { return generator{rand.New(rand.NewPCG(seed, 0))} }

var families = []telemetry.Series{
	{},
	{Type: model.MetricTypeCounter, Help: "Requests.", Unit: "requests"},
	{Type: model.MetricTypeGauge, Help: "Ein ü."},
	{Type: model.MetricTypeHistogram, Unit: "seconds"},
	{Type: model.MetricTypeStateset, Help: "State."},
}

func (g generator) series(i int) *telemetry.Series {
	family := g.IntN(len(families))
	s := families[family]
	s.Labels = labels.FromStrings(
		"__name__", fmt.Sprintf("metric_%d", family), "instance", fmt.Sprint("127.0.0.1:", g.IntN(3)), "i", fmt.Sprint(i),
		"pod.ключ", "a \" ü")
	if s.Type == "" {
		s.Type = model.MetricTypeUnknown
	}
	return &s
}

func (g generator) time() int64 { return []int64{0, 1, -5, 1795219578243, math.MaxInt64}[g.IntN(5)] }

func (g generator) samples() []telemetry.Sample {
	var samples []telemetry.Sample
	for i := range g.IntN(12) {
		series := g.series(i)
		kind := g.IntN(4)
		for range 1 + g.IntN(3) {
			if g.IntN(4) == 0 {
				kind = g.IntN(4)
			}
			s := telemetry.Sample{Series: series, UnixMilli: g.time(), StartUnixMilli: g.time()}
			switch kind {
			case 0:
				s.Histogram = g.integer()
			case 1:
				s.FloatHistogram = g.float()
			default:
				s.Value = []float64{
					0, math.Copysign(0, -1), 1.5, math.NaN(), math.Inf(1), math.Float64frombits(value.StaleNaN),
				}[g.IntN(6)]
			}
			samples = append(samples, s)
		}
		for range g.IntN(3) {
			last := &samples[len(samples)-1]
			last.Exemplars = append(last.Exemplars, g.exemplar())
		}
	}
	return samples
}

func (g generator) exemplar() exemplar.Exemplar {
	e := exemplar.Exemplar{Value: float64(g.IntN(2)), Ts: g.time()}
	e.HasTs = e.Ts != 0
	if g.IntN(3) > 0 {
		e.Labels = labels.FromStrings("trace_id", fmt.Sprintf("%032x", g.Uint64()), "span_id", "00f067aa0ba902b7")
	}
	return e
}

// integer returns a valid histogram; the sum is a stale marker at times.
func (g generator) integer() *histogram.Histogram {
	if g.IntN(4) == 0 {
		return &histogram.Histogram{Sum: math.Float64frombits(value.StaleNaN)}
	}
	if g.IntN(4) == 0 {
		return &histogram.Histogram{
			Schema: histogram.CustomBucketsSchema, Count: 6, Sum: -3, CustomValues: []float64{0.5, 1, 2.5},
			PositiveSpans: []histogram.Span{{Offset: 1, Length: 2}}, PositiveBuckets: []int64{2, 2},
		}
	}
	return &histogram.Histogram{
		CounterResetHint: histogram.CounterResetHint(g.IntN(4)),
		Schema:           int32(g.IntN(13)) - 4,
		ZeroThreshold:    1e-128,
		ZeroCount:        300,
		Count:            300 + 6 + 6,
		Sum:              18.4,
		PositiveSpans:    []histogram.Span{{Offset: -70, Length: 2}, {Offset: 1, Length: 1}},
		PositiveBuckets:  []int64{1, 1, 1},
		NegativeSpans:    []histogram.Span{{Offset: 0, Length: 3}},
		NegativeBuckets:  []int64{3, -1, -1},
	}
}

func (g generator) float() *histogram.FloatHistogram { return g.integer().ToFloat(nil) }

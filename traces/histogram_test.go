package traces

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/prometheus/model/histogram"
)

// distributions are ways in which durations come, in nanoseconds.
var distributions = map[string]func(r *rand.Rand, i int) int64{
	"of a service":      func(r *rand.Rand, _ int) int64 { return int64(math.Exp(r.NormFloat64()+3) * 1e6) },
	"of any size":       func(r *rand.Rand, _ int) int64 { return r.Int64() >> r.IntN(64) },
	"powers of two":     func(_ *rand.Rand, i int) int64 { return 1 << (i % 63) },
	"whole seconds":     func(_ *rand.Rand, i int) int64 { return int64(i%5000) * 1e9 },
	"zero and one":      func(_ *rand.Rand, i int) int64 { return int64(i % 2) },
	"more than buckets": func(_ *rand.Rand, i int) int64 { return int64(math.Exp2(float64(i%630) / 10)) },
	"the largest":       func(*rand.Rand, int) int64 { return math.MaxInt64 },
}

// TestNativeHistogramsAreClientGolangs compares with client_golang's own native histograms, after each observation that
// may have changed the resolution.
func TestNativeHistogramsAreClientGolangs(t *testing.T) {
	for name, next := range distributions {
		t.Run(name, func(t *testing.T) {
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			r := rand.New(rand.NewPCG(seed, 1))
			s := newShape(Both, nil)
			truth := prometheus.NewHistogram(prometheus.HistogramOpts{
				Name: "h", Buckets: defaultBounds,
				NativeHistogramBucketFactor: 1.1, NativeHistogramMaxBucketNumber: maxBuckets,
			})
			ours := newDurations(&s)
			for i := range 5000 {
				nanos := next(r, i)
				truth.Observe(float64(nanos) / 1e9)
				ours.observe(nanos, &s)
				if i%499 == 0 || i == 4999 {
					same(t, truth, &ours, &s)
				}
			}
		})
	}
}

func same(t *testing.T, truth prometheus.Metric, ours *durations, s *shape) {
	t.Helper()
	var want, got dto.Metric
	desc := prometheus.NewDesc("h", "", nil, nil)
	if err := truth.Write(&want); err != nil {
		t.Fatal(err)
	}
	if err := collected(desc, ours, s, 1, nil).Write(&got); err != nil {
		t.Fatal(err)
	}
	w, g := want.Histogram, got.Histogram
	if math.Abs(w.GetSampleSum()-g.GetSampleSum()) > 1e-9*math.Abs(w.GetSampleSum()) {
		t.Errorf("sum %v, want %v", g.GetSampleSum(), w.GetSampleSum())
	}
	g.SampleSum, g.CreatedTimestamp = w.SampleSum, w.CreatedTimestamp
	if w.String() != g.String() {
		t.Fatalf("got  %v\nwant %v", g, w)
	}
	h := ours.native()
	if err := h.Validate(); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(h.PositiveBuckets, w.PositiveDelta) {
		t.Errorf("got %v, want %v", h.PositiveBuckets, w.PositiveDelta)
	}
	if h.CounterResetHint != histogram.UnknownCounterReset {
		t.Errorf("hint %v", h.CounterResetHint)
	}
}

func TestSumsDoNotOverflow(t *testing.T) {
	var d duration
	for range 1000 {
		d.add(math.MaxInt64)
	}
	if want := 1000 * float64(math.MaxInt64) / 1e9; math.Abs(d.seconds()-want) > 1e-9*want {
		t.Errorf("%v seconds, want %v", d.seconds(), want)
	}
}

func TestBucketsAscend(t *testing.T) {
	for _, bounds := range [][]float64{{0, 1}, {-1}, {1, 1}, {2, 1}, {math.NaN()}, {1, math.Inf(1)}} {
		if CheckBuckets(bounds) == nil {
			t.Errorf("%v are taken", bounds)
		}
	}
	if err := CheckBuckets(defaultBounds); err != nil {
		t.Error(err)
	}
}

package store

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"

	"github.com/braidhq/braid/telemetry"
)

func newSeries(kv ...string) *telemetry.Series {
	return &telemetry.Series{Labels: labels.FromStrings(kv...), Type: model.MetricTypeGauge}
}

func eval(t *testing.T, s *Store, expr string, at int64) parser.Value {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{MaxSamples: 1e6, Timeout: time.Minute})
	defer engine.Close()
	q, err := engine.NewInstantQuery(t.Context(), s.Queryable(), nil, expr, time.UnixMilli(at))
	if err != nil {
		t.Fatal(err)
	}
	defer q.Close()
	res := q.Exec(t.Context())
	if res.Err != nil {
		t.Fatal(res.Err)
	}
	return res.Value
}

// TestSamplesReadBack writes two series in many calls, some of them twice and out of order, and reads every value back
// over a restart.
func TestSamplesReadBack(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	now := time.Now().UnixMilli()
	a, b := newSeries("__name__", "m", "pod", "a"), newSeries("__name__", "m", "pod", "b")
	var batches []*telemetry.Batch
	for i := range int64(50) {
		at := now - 100_000 + i*1000
		batches = append(batches, &telemetry.Batch{Samples: []telemetry.Sample{
			{Series: a, UnixMilli: at, Value: float64(i)}, {Series: b, UnixMilli: at, Value: -float64(i)},
		}})
	}
	mustWrite(t, s, batches...)
	mustWrite(t, s, batches[10:30]...)
	late := &telemetry.Batch{Samples: []telemetry.Sample{{Series: a, UnixMilli: now - 5*3600_000, Value: 0.5}}}
	mustWrite(t, s, late)
	for range 2 {
		m := eval(t, s, `m{pod="a"}[6h]`, now).(promql.Matrix)
		if len(m) != 1 || len(m[0].Floats) != 51 {
			t.Fatalf("got %v", m)
		}
		if f := m[0].Floats[0]; f.F != 0.5 || f.T != late.Samples[0].UnixMilli {
			t.Errorf("late sample is %v", f)
		}
		for i, f := range m[0].Floats[1:] {
			if want := batches[i].Samples[0]; f.T != want.UnixMilli || f.F != want.Value {
				t.Errorf("sample %d is %v, want %v", i, f, want)
			}
		}
		if v := eval(t, s, `sum(sum_over_time(m[2m]))`, now).(promql.Vector); len(v) != 1 || v[0].F != 0 {
			t.Errorf("sum is %v", v)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, Options{Dir: dir})
	}
}

func TestStaleMarkersHistogramsExemplars(t *testing.T) {
	s := openStore(t, Options{})
	now := time.Now().UnixMilli()
	g, h := newSeries("__name__", "g"), newSeries("__name__", "h")
	native := &histogram.Histogram{
		Schema: 0, Count: 3, Sum: 6, ZeroThreshold: 0.001, PositiveSpans: []histogram.Span{{Offset: 0, Length: 2}}, PositiveBuckets: []int64{1, 1},
	}
	ex := []exemplar.Exemplar{
		{Labels: labels.FromStrings("trace_id", "b"), Value: 2, Ts: now - 1, HasTs: true},
		{Labels: labels.FromStrings("trace_id", "a"), Value: 1, Ts: now - 2, HasTs: true},
	}
	mustWrite(t, s, &telemetry.Batch{Samples: []telemetry.Sample{
		{Series: g, UnixMilli: now - 2000, Value: 1},
		{Series: h, UnixMilli: now - 1000, Histogram: native, Exemplars: ex},
		{Series: h, UnixMilli: now, FloatHistogram: native.ToFloat(nil)},
	}})
	if v := eval(t, s, "g", now).(promql.Vector); len(v) != 1 {
		t.Errorf("g is %v", v)
	}
	mustWrite(t, s, &telemetry.Batch{Samples: []telemetry.Sample{{Series: g, UnixMilli: now - 1000, Value: math.Float64frombits(value.StaleNaN)}}})
	if v := eval(t, s, "g", now).(promql.Vector); len(v) != 0 {
		t.Errorf("g is %v after its stale marker", v)
	}
	if v := eval(t, s, "histogram_count(h)", now).(promql.Vector); len(v) != 1 || v[0].F != 3 {
		t.Errorf("count is %v", v)
	}
	q, err := s.ExemplarQueryable().ExemplarQuerier(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	found, err := q.Select(0, now, []*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, "__name__", "h")})
	if err != nil || len(found) != 1 || len(found[0].Exemplars) != 2 || found[0].Exemplars[0].Labels.Get("trace_id") != "a" {
		t.Errorf("exemplars %v, %v", found, err)
	}
}

// TestBadSamplesAreIsolated: each is counted with its reason, and the good one beside them is stored.
func TestBadSamplesAreIsolated(t *testing.T) {
	s := openStore(t, Options{Retention: time.Hour})
	now := time.Now().UnixMilli()
	good := newSeries("__name__", "good")
	twice := &telemetry.Series{Labels: labels.New(labels.Label{Name: "__name__", Value: "x"}, labels.Label{Name: "a", Value: "1"}, labels.Label{Name: "a", Value: "2"})}
	mustWrite(t, s, &telemetry.Batch{Samples: []telemetry.Sample{{Series: good, UnixMilli: now - 1000, Value: 1}}})
	mustWrite(t, s, &telemetry.Batch{Samples: []telemetry.Sample{
		{Series: nil, UnixMilli: now},
		{Series: &telemetry.Series{}, UnixMilli: now},
		{Series: twice, UnixMilli: now},
		{Series: good, UnixMilli: now - 1000, Value: 2},
		{Series: good, UnixMilli: now - 3*3600_000, Value: 3},
		{Series: newSeries("__name__", "h"), UnixMilli: now, Histogram: &histogram.Histogram{Count: 9}},
		{Series: good, UnixMilli: now, Value: 4, Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("a", string(make([]byte, 200))), Ts: now, HasTs: true}}},
	}})
	if v := eval(t, s, "good", now).(promql.Vector); len(v) != 1 || v[0].F != 4 {
		t.Errorf("good is %v", v)
	}
	for _, want := range []struct {
		what, reason string
		n            float64
	}{
		{"sample", "no_labels", 2}, {"sample", "invalid_labels", 1}, {"sample", "duplicate_timestamp", 1},
		{"sample", "too_old", 1}, {"sample", "invalid", 1}, {"exemplar", "invalid_exemplar", 1},
	} {
		if n := testutil.ToFloat64(s.metrics.rejected.WithLabelValues(want.what, want.reason)); n != want.n {
			t.Errorf("%s %s: %v, want %v", want.what, want.reason, n, want.n)
		}
	}
}

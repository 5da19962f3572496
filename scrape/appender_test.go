package scrape

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"

	"github.com/braidhq/braid/telemetry"
)

func appenders(next telemetry.Sink) *appendable {
	table := newTable(labels.EmptyLabels())
	return newAppendable(context.Background(), next, table, newMetrics(nil, table))
}

func add(t *testing.T, app storage.AppenderV2, ref storage.SeriesRef, ls labels.Labels, at int64, o storage.AppendV2Options) storage.SeriesRef {
	t.Helper()
	ref, err := app.Append(ref, ls, 0, at, 1, nil, nil, o)
	if err != nil || ref == 0 {
		t.Fatalf("ref %d, %v", ref, err)
	}
	return ref
}

var none storage.AppendV2Options

func TestSamplesMustBeNewer(t *testing.T) {
	k := newKeeper()
	a := appenders(k)
	ls := labels.FromStrings("__name__", "a")
	app := a.AppenderV2(context.Background())
	ref := add(t, app, 0, ls, 1000, none)
	if again := add(t, app, 0, ls, 1001, none); again != ref {
		t.Fatalf("refs %d and %d for one series", ref, again)
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
	app = a.AppenderV2(context.Background())
	for _, at := range []int64{1001, 1000, 0} {
		if _, err := app.Append(ref, ls, 0, at, math.Float64frombits(value.StaleNaN), nil, nil, none); !errors.Is(err, storage.ErrOutOfOrderSample) {
			t.Errorf("a marker at %d, after a sample at 1001: %v", at, err)
		}
	}
	add(t, app, ref, ls, 1002, none)
	if err := app.Rollback(); err != nil {
		t.Fatal(err)
	}
	app = a.AppenderV2(context.Background())
	add(t, app, ref, ls, 1002, none) // what was rolled back was never there
	if err := app.Commit(); err != nil || len(k.all()) != 3 {
		t.Fatalf("%v, %v", err, k.all())
	}
	a.wait()
}

func TestMetadataAndExemplars(t *testing.T) {
	k := newKeeper()
	a := appenders(k)
	ls := labels.FromStrings("__name__", "a_total")
	scrape := func(m metadata.Metadata, es ...exemplar.Exemplar) telemetry.Sample {
		app := a.AppenderV2(context.Background()).(*appender)
		ref := add(t, app, 0, ls, int64(len(k.all())+1), storage.AppendV2Options{Metadata: m, Exemplars: es})
		s := app.samples[0]
		if a.series.byRef[ref].series != s.Series {
			t.Fatal("the series is not interned")
		}
		if err := app.Commit(); err != nil {
			t.Fatal(err)
		}
		return s
	}
	counter := metadata.Metadata{Type: model.MetricTypeCounter, Help: "A."}
	one := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "1"), Value: 1, Ts: 5, HasTs: true}
	two := exemplar.Exemplar{Labels: labels.FromStrings("trace_id", "2"), Value: 1, Ts: 6, HasTs: true}
	first := scrape(counter, one)
	if first.Series.Type != model.MetricTypeCounter || first.Series.Help != "A." || len(first.Exemplars) != 1 {
		t.Fatalf("%+v", first)
	}
	if s := scrape(counter, one, two); s.Series != first.Series || len(s.Exemplars) != 1 || !s.Exemplars[0].Equals(two) {
		t.Fatalf("%+v", s)
	}
	if s := scrape(metadata.Metadata{}, one, two); s.Series != first.Series || len(s.Exemplars) != 0 {
		t.Fatalf("%+v", s)
	}
	if s := scrape(metadata.Metadata{Type: model.MetricTypeGauge}); s.Series == first.Series || s.Series.Type != model.MetricTypeGauge || first.Series.Help != "A." {
		t.Fatalf("%+v", s)
	}
}

func TestBadSamples(t *testing.T) {
	app := appenders(newKeeper()).AppenderV2(context.Background())
	bad := &histogram.Histogram{Count: 5, PositiveSpans: []histogram.Span{{Length: 3}}}
	cases := map[string]error{}
	_, cases["histogram"] = app.Append(0, labels.FromStrings("__name__", "a"), 0, 1, 0, bad, nil, none)
	_, cases["no labels"] = app.Append(0, labels.FromStrings("a", ""), 0, 1, 0, nil, nil, none)
	_, cases["twice"] = app.Append(0, labels.New(labels.Label{Name: "a", Value: "1"}, labels.Label{Name: "a", Value: "2"}), 0, 1, 0, nil, nil, none)
	for what, err := range cases {
		if err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if err := app.Commit(); err != nil {
		t.Fatal(err)
	}
}

func TestBatchesAreBounded(t *testing.T) {
	var sizes []int
	a := appenders(sinkFunc(func(batches []*telemetry.Batch) {
		for _, b := range batches {
			sizes = append(sizes, len(b.Samples))
		}
	}))
	app := a.AppenderV2(context.Background())
	for i := range 2*maxBatchSamples + 1 {
		add(t, app, 0, labels.FromStrings("__name__", "a", "i", fmt.Sprint(i)), 1, none)
	}
	if err := app.Commit(); err != nil || fmt.Sprint(sizes) != fmt.Sprint([]int{maxBatchSamples, maxBatchSamples, 1}) {
		t.Fatalf("%v, %v", sizes, err)
	}
}

type sinkFunc func([]*telemetry.Batch)

func (f sinkFunc) Write(_ context.Context, batches []*telemetry.Batch) error { f(batches); return nil }

func TestSweep(t *testing.T) {
	table := newTable(labels.EmptyLabels())
	a, b := labels.FromStrings("__name__", "a"), labels.FromStrings("__name__", "b")
	first, _ := table.find(0, a)
	other, _ := table.find(0, b)
	// A collision: both are in one chain.
	delete(table.byHash, other.hash)
	other.hash, other.next = first.hash, nil
	first.next = other
	table.sweep()
	if e, _ := table.find(first.ref, a); e != first {
		t.Fatal("a series was forgotten at once")
	}
	table.sweep()
	table.sweep()
	if e, _ := table.find(0, a); e != first || table.len() != 1 {
		t.Fatalf("%d series are left, want only the one that was asked for", table.len())
	}
	if e, _ := table.find(other.ref, b); e == other || e.ref == other.ref {
		t.Fatal("a forgotten series came back, or its ref was used again")
	}
	table.sweep()
	table.sweep()
	table.sweep()
	if table.len() != 0 || len(table.byHash) != 0 {
		t.Fatalf("%d series are left, %d hashes", table.len(), len(table.byHash))
	}
}

// A scrape of series that are known allocates for its context and nothing per sample.
func TestSteadyStateDoesNotAllocatePerSample(t *testing.T) {
	scrape := steady(500)
	scrape()
	if n := testing.AllocsPerRun(50, scrape); n > 20 {
		t.Errorf("%v allocations for a scrape of 500 samples", n)
	}
}

// steady returns a function that appends and commits one scrape of n known series.
func steady(n int) func() {
	a := appenders(sinkFunc(func([]*telemetry.Batch) {}))
	series := make([]labels.Labels, n)
	refs := make([]storage.SeriesRef, n)
	for i := range series {
		series[i] = labels.FromStrings("__name__", "http_requests_total", "code", fmt.Sprint(i), "instance", "target:80")
	}
	o := storage.AppendV2Options{Metadata: metadata.Metadata{Type: model.MetricTypeCounter, Help: "Requests."}}
	at := int64(0)
	return func() {
		at++
		app := a.AppenderV2(context.Background())
		for i, ls := range series {
			ref, err := app.Append(refs[i], ls, 0, at, 1, nil, nil, o)
			if err != nil {
				panic(err)
			}
			refs[i] = ref
		}
		if err := app.Commit(); err != nil {
			panic(err)
		}
	}
}

func BenchmarkScrape(b *testing.B) {
	const n = 2000
	scrape := steady(n)
	scrape()
	b.ReportAllocs()
	for b.Loop() {
		scrape()
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/sample")
}

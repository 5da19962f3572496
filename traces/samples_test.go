package traces

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/value"

	"github.com/braidhq/braid/telemetry"
)

func always(telemetry.TraceID, int64) bool { return true }

// byName finds samples by their series.
func byName(samples []telemetry.Sample) map[string]telemetry.Sample {
	all := map[string]telemetry.Sample{}
	for _, s := range samples {
		all[s.Series.Labels.String()] = s
	}
	return all
}

// traced is a batch of one server span GET / of shop, of so many milliseconds.
func traced(received time.Duration, id byte, milli int64) *telemetry.Batch {
	b := spans("shop", received, "GET /")
	s := &b.Spans[0]
	s.TraceID, s.SpanID, s.EndUnixNano = telemetry.TraceID{id}, telemetry.SpanID{id}, s.StartUnixNano+milli*1e6
	return b
}

const getLabels = `service="shop", span_kind="SPAN_KIND_SERVER", span_name="GET /", status_code="STATUS_CODE_UNSET"`

func TestSamples(t *testing.T) {
	r := NewRED(Options{Histograms: Both, Buckets: []float64{.01, 1}})
	r.Observe(traced(2*time.Second, 1, 5), false)
	r.Observe(traced(40*time.Second, 2, 500), false)
	first := r.Samples(int64(time.Minute), always)
	all := byName(first)
	if len(all) != 8 || len(first) != 8 {
		t.Fatalf("%d samples of %d series", len(first), len(all))
	}
	for name, want := range map[string]float64{
		`{__name__="traces_spanmetrics_calls_total", ` + getLabels + `}`:               2,
		`{__name__="traces_spanmetrics_latency_bucket", le="0.01", ` + getLabels + `}`: 1,
		`{__name__="traces_spanmetrics_latency_bucket", le="1.0", ` + getLabels + `}`:  2,
		`{__name__="traces_spanmetrics_latency_bucket", le="+Inf", ` + getLabels + `}`: 2,
		`{__name__="traces_spanmetrics_latency_sum", ` + getLabels + `}`:               .505,
		`{__name__="traces_spanmetrics_latency_count", ` + getLabels + `}`:             2,
		`{__name__="traces_target_info", job="shop", service="shop"}`:                  1,
	} {
		s, ok := all[name]
		if !ok || s.Value != want || s.UnixMilli != 60_000 || s.Histogram != nil {
			t.Errorf("%s: %+v, want %v", name, s, want)
		}
		if s.Series.Type == model.MetricTypeGauge != (s.StartUnixMilli == 0) || s.StartUnixMilli != 0 && s.StartUnixMilli != 2000 {
			t.Errorf("%s starts at %d", name, s.StartUnixMilli)
		}
	}
	native := all[`{__name__="traces_spanmetrics_latency", `+getLabels+`}`]
	if h := native.Histogram; h == nil || h.Validate() != nil || h.Count != 2 || h.Sum != 0.505 || native.StartUnixMilli != 2000 {
		t.Fatalf("got %+v", native)
	}
	if x := native.Exemplars; len(x) != 2 || x[0].Ts != 2000 || x[0].Value != .005 || x[1].Ts != 40_000 ||
		x[1].Labels.Get("trace_id") != (telemetry.TraceID{2}).String() || x[1].Labels.Get("span_id") != (telemetry.SpanID{2}).String() {
		t.Errorf("exemplars %+v", x)
	}
	if x := all[`{__name__="traces_spanmetrics_latency_bucket", le="1.0", `+getLabels+`}`].Exemplars; len(x) != 1 || x[0].Value != .5 {
		t.Errorf("exemplars of a bucket: %+v", x)
	}
	// Series are interned, and exemplars go out once.
	for _, s := range r.Samples(int64(2*time.Minute), always) {
		if s.Series != all[s.Series.Labels.String()].Series {
			t.Errorf("%v is another series", s.Series.Labels)
		}
		if len(s.Exemplars) > 0 {
			t.Errorf("%v has %v again", s.Series.Labels, s.Exemplars)
		}
	}
}

// TestExemplarsWaitForTheVerdict: in a series with a span each second, of which each tenth trace is kept ten seconds
// later, exports each 15 seconds carry exemplars of kept traces and of no other.
func TestExemplarsWaitForTheVerdict(t *testing.T) {
	r := NewRED(Options{})
	second := int64(time.Second)
	exported := map[string]bool{}
	for i := int64(1); i <= 3600; i++ {
		b := traced(time.Duration(i)*time.Second, 0, 5)
		b.Spans[0].TraceID = telemetry.TraceID{byte(i), byte(i >> 8), 1}
		b.Spans[0].SpanID = telemetry.SpanID{1}
		r.Observe(b, false)
		if i%15 != 0 {
			continue
		}
		last := int64(0)
		for _, s := range r.Samples(i*second, func(id telemetry.TraceID, received int64) bool {
			if int64(id[0])|int64(id[1])<<8 != received/second {
				t.Errorf("asked for %v at %d", id, received)
			}
			return received+10*second <= i*second && received/second%10 == 1
		}) {
			for _, x := range s.Exemplars {
				id := x.Labels.Get("trace_id")
				if exported[id] || x.Ts <= last || x.Ts/1000%10 != 1 {
					t.Errorf("exemplar %v at %d, after %d", x, i, last)
				}
				exported[id], last = true, x.Ts
			}
		}
	}
	if len(exported) < 20 {
		t.Errorf("%d exemplars in an hour", len(exported))
	}
}

func TestNothingKeptNoExemplars(t *testing.T) {
	r := NewRED(Options{})
	r.Observe(traced(time.Second, 1, 5), false)
	r.Observe(traced(time.Minute, 0, 5), false) // zero ids
	for _, kept := range []func(telemetry.TraceID, int64) bool{nil, func(telemetry.TraceID, int64) bool { return false }} {
		for _, s := range r.Samples(int64(time.Minute), kept) {
			if len(s.Exemplars) > 0 {
				t.Errorf("%v", s)
			}
		}
	}
}

// TestIdleSeriesEndStale: a series that was exported ends with one stale marker, unless it has come back.
func TestIdleSeriesEndStale(t *testing.T) {
	r := NewRED(Options{Idle: time.Minute})
	r.Observe(spans("a", time.Second, "old", "back"), false)
	before := byName(r.Samples(int64(2*time.Second), nil))
	r.Observe(spans("b", 10*time.Minute, "other"), false)
	r.Observe(spans("a", 10*time.Minute, "back"), false)
	stale, at := 0, int64(11*time.Minute)
	for name, s := range byName(r.Samples(at, nil)) {
		if value.IsStaleNaN(s.Value) {
			stale++
			if !strings.Contains(name, `"old"`) {
				t.Errorf("%s ended", name)
			}
		}
		if old, ok := before[name]; ok && old.Series != s.Series {
			t.Errorf("%s is another series", name)
		}
		if strings.Contains(name, `"back"`) && s.StartUnixMilli != 600_000 {
			t.Errorf("%s starts at %d", name, s.StartUnixMilli)
		}
	}
	if stale != 2 {
		t.Errorf("%d stale markers, want calls and latency", stale)
	}
	for _, s := range r.Samples(at+1, nil) {
		if value.IsStaleNaN(s.Value) {
			t.Errorf("%v ended twice", s.Series.Labels)
		}
	}
}

// TestStartSurvivesARestart, as do the counts.
func TestStartSurvivesARestart(t *testing.T) {
	r := NewRED(Options{})
	r.Observe(traced(2*time.Second, 1, 5), false)
	restored := NewRED(Options{})
	if err := restored.Restore(r.AppendSnapshot(nil)); err != nil {
		t.Fatal(err)
	}
	restored.Observe(traced(time.Hour, 1, 5), false)
	for name, s := range byName(restored.Samples(int64(2*time.Hour), nil)) {
		if strings.Contains(name, "calls_total") && (s.StartUnixMilli != 2000 || s.Value != 2) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

// TestDimensions: an attribute of the span, or else of its resource, of any kind.
func TestDimensions(t *testing.T) {
	r := NewRED(Options{Dimensions: []string{"http.route", "k8s.namespace.name", "shard", "0cached", "load"}})
	b := spans("shop", time.Second, "a", "b")
	b.Resource.Namespace = "prod"
	b.Resource.Attrs = []telemetry.Attr{{Key: "shard", Value: telemetry.Int(7)}, {Key: "http.route", Value: telemetry.String("/any")}}
	b.Spans[0].Attrs = []telemetry.Attr{
		{Key: "http.route", Value: telemetry.String("/{id}")}, {Key: "0cached", Value: telemetry.Value{Kind: telemetry.BoolValue, Int: 1}},
		{Key: "load", Value: telemetry.Value{Kind: telemetry.FloatValue, Float: .5}},
	}
	if n := testing.AllocsPerRun(100, func() { r.Observe(b, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	all := byName(r.Samples(int64(time.Minute), nil))
	for _, want := range []string{
		`{_0cached="true", __name__="traces_spanmetrics_calls_total", http_route="/{id}", k8s_namespace_name="prod", load="0.5", service="shop", shard="7", span_kind="SPAN_KIND_SERVER", span_name="a", status_code="STATUS_CODE_UNSET"}`,
		`{__name__="traces_spanmetrics_calls_total", http_route="/any", k8s_namespace_name="prod", service="shop", shard="7", span_kind="SPAN_KIND_SERVER", span_name="b", status_code="STATUS_CODE_UNSET"}`,
		`{__name__="traces_target_info", job="shop", namespace="prod", service="shop"}`,
	} {
		if all[want].Series == nil {
			t.Errorf("no %s in %v", want, all)
		}
	}
	for _, bad := range []string{"", "service", "span.name", "le", "x.y,x_y"} {
		if CheckDimensions(strings.Split(bad, ",")) == nil {
			t.Errorf("%q are taken", bad)
		}
	}
}

// TestMalformedSpansAreCounted among the calls, and by what is wrong with them.
func TestMalformedSpansAreCounted(t *testing.T) {
	r := NewRED(Options{})
	long := strings.Repeat("n", maxLabelBytes)
	b := spans("shop", time.Second, "late", "unstarted", "\xff", long+"1", long+"2", "far")
	for i := range b.Spans {
		b.Spans[i].TraceID, b.Spans[i].SpanID = telemetry.TraceID{1}, telemetry.SpanID{1}
	}
	b.Spans[0].EndUnixNano = b.Spans[0].StartUnixNano - 1
	b.Spans[1].StartUnixNano, b.Spans[1].TraceID = 0, telemetry.TraceID{}
	b.Spans[5].StartUnixNano, b.Spans[5].EndUnixNano, b.Spans[5].SpanID = -1<<63, 1<<63-1, telemetry.SpanID{}
	r.Observe(b, false)
	got := fmt.Sprint(count64(t, r.self.times), count64(t, r.self.zeroID), count64(t, r.self.longName), count64(t, r.self.notUTF8))
	if got != "2 2 2 1" {
		t.Errorf("times, ids, long names, not UTF-8: %s", got)
	}
	for name, calls := range map[string]uint64{"late": 1, "unstarted": 1, "\uFFFD": 1, long: 2, "far": 1} {
		s := r.series[keyOf("shop", name)]
		if s == nil || s.latency.count != calls || (name == "late" || name == "unstarted") != (s.latency.zero == 1) {
			t.Errorf("%s: %+v", name, s)
		}
	}
}

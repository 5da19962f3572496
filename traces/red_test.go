package traces

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"

	"github.com/braidhq/braid/telemetry"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func spans(service string, received time.Duration, names ...string) *telemetry.Batch {
	b := &telemetry.Batch{Resource: &telemetry.Resource{Service: service}, ReceivedUnixNano: int64(received)}
	for i, name := range names {
		b.Spans = append(b.Spans, telemetry.Span{
			Name: name, Kind: telemetry.SpanKindServer, StartUnixNano: 1e9, EndUnixNano: 1e9 + int64(i+1)*3e6,
		})
	}
	return b
}

func expect(t *testing.T, r *RED, want string, names ...string) {
	t.Helper()
	if err := testutil.CollectAndCompare(r, strings.NewReader(want), names...); err != nil {
		t.Error(err)
	}
}

// keyOf is the key of a series of server spans without status and dimensions.
func keyOf(service, name string) string {
	key := appendValue(appendValue(nil, service), name)
	return string(appendValue(appendValue(key, "SPAN_KIND_SERVER"), "STATUS_CODE_UNSET"))
}

const threeCalls = `
# HELP traces_spanmetrics_calls_total Spans by service, name, kind and status.
# TYPE traces_spanmetrics_calls_total counter
traces_spanmetrics_calls_total{service="shop",span_kind="SPAN_KIND_CLIENT",span_name="GET /",status_code="STATUS_CODE_ERROR"} 1
traces_spanmetrics_calls_total{service="shop",span_kind="SPAN_KIND_SERVER",span_name="GET /",status_code="STATUS_CODE_UNSET"} 2
`

func TestREDCountsAndLatency(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	r := NewRED(Options{Registerer: reg, Histograms: Classic})
	b := spans("shop", 0, "GET /", "GET /", "GET /")
	b.Spans[2].Kind, b.Spans[2].Status, b.Spans[2].EndUnixNano = telemetry.SpanKindClient, telemetry.StatusError, b.Spans[2].StartUnixNano-5
	r.Observe(b, false)
	r.Observe(b, true) // is in the counts already
	expect(t, r, threeCalls, "traces_spanmetrics_calls_total")
	expect(t, r, `
# HELP traces_spanmetrics_latency Duration of spans in seconds.
# TYPE traces_spanmetrics_latency histogram
`+latencyRows("SPAN_KIND_CLIENT", "STATUS_CODE_ERROR", 1, 1, 0)+latencyRows("SPAN_KIND_SERVER", "STATUS_CODE_UNSET", 0, 2, 0.009),
		"traces_spanmetrics_latency")
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
}

// latencyRows are the rows of one histogram with so many spans up to 2 ms, one up to 4 ms, and so many in all.
func latencyRows(kind, status string, upTo2, all int, sum float64) string {
	var b strings.Builder
	labels := fmt.Sprintf(`service="shop",span_kind=%q,span_name="GET /",status_code=%q`, kind, status)
	for _, bound := range defaultBounds {
		n := all
		if bound == .002 {
			n = upTo2
		} else if bound == .004 {
			n = 1
		}
		fmt.Fprintf(&b, "traces_spanmetrics_latency_bucket{%s,le=\"%v\"} %d\n", labels, bound, n)
	}
	fmt.Fprintf(&b, "traces_spanmetrics_latency_bucket{%s,le=\"+Inf\"} %d\n", labels, all)
	fmt.Fprintf(&b, "traces_spanmetrics_latency_sum{%s} %v\ntraces_spanmetrics_latency_count{%s} %d\n", labels, sum, labels, all)
	return b.String()
}

func TestSeriesAreBounded(t *testing.T) {
	r := NewRED(Options{MaxSeries: 3})
	r.Observe(spans("a", 0, "1", "2", "3", "4", "5", "1"), false)
	if len(r.series) != 4 {
		t.Errorf("%d series, want 3 and the overflow", len(r.series))
	}
	if n := r.series[keyOf(overflow, overflow)].latency.count; n != 2 {
		t.Errorf("overflow has %v", n)
	}
	if n := testutil.ToFloat64(r.self.overflow); n != 2 {
		t.Errorf("%v overflowed spans", n)
	}
	if n := testutil.CollectAndCount(r, "traces_spanmetrics_calls_total"); n != 4 {
		t.Errorf("%d series collected", n)
	}
}

func TestIdleSeriesGo(t *testing.T) {
	r := NewRED(Options{})
	r.Observe(spans("a", 0, "old", "busy"), false)
	for at := time.Duration(0); at <= 61*time.Minute; at += time.Minute {
		r.Observe(spans("a", at, "busy"), false)
	}
	r.Observe(spans("a", 67*time.Minute, "busy"), false)
	if len(r.series) != 1 || r.series[keyOf("a", "busy")] == nil {
		t.Errorf("left: %v", r.series)
	}
}

// TestForeignLabels: whatever a sender calls its spans, the scrape goes on.
func TestForeignLabels(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	r := NewRED(Options{Registerer: reg})
	b := spans("caf\xe9", 0, "\xff", "\xfe", strings.Repeat("é", 300))
	b.Spans = append(b.Spans, telemetry.Span{Name: "new", Kind: 77, Status: 9})
	r.Observe(b, false)
	r.Observe(&telemetry.Batch{Spans: b.Spans[:1]}, false)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if !utf8.ValidString(l.GetValue()) || len(l.GetValue()) > maxLabelBytes {
					t.Errorf("%s=%q", l.GetName(), l.GetValue())
				}
			}
		}
	}
	if err := NewRED(Options{}).Restore(r.AppendSnapshot(nil)); err != nil {
		t.Error(err)
	}
}

// TestKeysAreNotLent overwrites what a batch lent.
func TestKeysAreNotLent(t *testing.T) {
	r := NewRED(Options{})
	name := []byte("op")
	b := spans("s", 0, "")
	for range 2 {
		b.Spans[0].Name = lend(name)
		r.Observe(b, false)
	}
	copy(name, "##")
	if r.series[keyOf("s", "op")] == nil {
		t.Errorf("keys changed: %v", r.series)
	}
}

func TestCollectWhileObserving(t *testing.T) {
	r, g := NewRED(Options{Histograms: Both}), NewGraph(GraphOptions{Histograms: Both})
	var wg sync.WaitGroup
	wg.Go(func() {
		for i := range 500 {
			b := spans("s", time.Duration(i)*time.Minute, "a", fmt.Sprint(i%50))
			for j := range b.Spans {
				b.Spans[j].TraceID, b.Spans[j].SpanID = telemetry.TraceID{1, byte(i)}, telemetry.SpanID{1}
			}
			r.Observe(b, false)
			g.Observe(b, false)
		}
	})
	wg.Go(func() {
		for range 50 {
			testutil.CollectAndCount(r)
			testutil.CollectAndCount(g)
			if err := NewRED(Options{}).Restore(r.AppendSnapshot(nil)); err != nil {
				t.Error(err)
			}
			if err := NewGraph(GraphOptions{}).Restore(g.AppendSnapshot(nil)); err != nil {
				t.Error(err)
			}
		}
	})
	for range 2 {
		wg.Go(func() {
			for i := range 50 {
				r.Samples(int64(i)*int64(time.Hour), always)
				g.Samples(int64(i) * int64(time.Hour))
			}
		})
	}
	wg.Wait()
}

func TestObserveDoesNotAllocate(t *testing.T) {
	r := NewRED(Options{})
	b := spans("shop", 1, "a", "b", "c")
	if n := testing.AllocsPerRun(1000, func() { r.Observe(b, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkObserve counts batches of ten spans; ns/op is per span.
func BenchmarkObserve(b *testing.B) {
	r := NewRED(Options{})
	batch := spans("shop", 1, "GET /", "GET /api/orders", "POST /api/orders", "SELECT", "INSERT", "publish", "GET /a", "GET /b", "GET /c", "GET /d")
	b.ReportAllocs()
	for i := 0; i < b.N; i += 10 {
		r.Observe(batch, false)
	}
}

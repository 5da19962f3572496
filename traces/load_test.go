package traces

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"runtime"
	"strconv"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/telemetry"
)

// A load is requests through a chain of five services, each a server span and a client span to the next, grouped by
// service as a sender would: ten spans a trace, with eight attributes each.
type load struct {
	batches []*telemetry.Batch
	trace   uint64
	n       int
}

func newLoad(traces int) *load {
	r := rand.New(rand.NewPCG(1, 4))
	l := &load{}
	by := map[int]*telemetry.Batch{}
	for i := range traces {
		first, parent := r.IntN(6), telemetry.SpanID{}
		for hop := range 10 {
			service := first + hop/2
			name := fmt.Sprintf("/api/v1/service%d/op%d", service, r.IntN(5))
			s := telemetry.Span{
				ParentID: parent, Kind: telemetry.SpanKindServer + telemetry.SpanKind(hop%2), Name: "GET " + name,
				StartUnixNano: 1e18, EndUnixNano: 1e18 + r.Int64N(8e8),
				Attrs: []telemetry.Attr{
					attr("http.request.method", "GET"), attr("url.path", name), attr("http.route", "/api/v1/{svc}/{op}"),
					{Key: "http.response.status_code", Value: telemetry.Int(200)}, attr("server.address", "x.shop.svc.cluster.local"),
					attr("network.protocol.version", "1.1"), attr("user_agent.original", "Go-http-client/1.1"), attr("server.port", "80"),
				},
			}
			binary.LittleEndian.PutUint64(s.SpanID[:], r.Uint64())
			binary.LittleEndian.PutUint64(s.TraceID[8:], uint64(i)+1)
			parent = s.SpanID
			if by[service] == nil {
				by[service] = &telemetry.Batch{Resource: &telemetry.Resource{Service: "service" + strconv.Itoa(service), Pod: "pod"}}
				l.batches = append(l.batches, by[service])
			}
			by[service].Spans = append(by[service].Spans, s)
			l.n++
		}
	}
	return l
}

// next makes other traces of the same spans, a millisecond later.
func (l *load) next() {
	l.trace++
	for _, b := range l.batches {
		b.ReceivedUnixNano = int64(l.trace) * 1e6
		for i := range b.Spans {
			binary.LittleEndian.PutUint64(b.Spans[i].TraceID[:], l.trace)
		}
	}
}

func (l *load) observe(r *RED, g *Graph) {
	l.next()
	for _, b := range l.batches {
		r.Observe(b, false)
		g.Observe(b, false)
	}
}

// TestNothingAllocates in the steady state: series are known, and as many halves come as go.
func TestNothingAllocates(t *testing.T) {
	l, r, g := newLoad(50), NewRED(Options{Histograms: Both}), NewGraph(GraphOptions{Histograms: Both, MaxPending: 5000})
	for range 200 {
		l.observe(r, g)
	}
	if n := testing.AllocsPerRun(1000, func() { l.observe(r, g) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if g.pending.len() < 4900 || count64(t, g.self.evicted) == 0 {
		t.Errorf("%d wait: not the steady state", g.pending.len())
	}
}

// TestMemoryIsFlat under a million operations and as many peers that nobody has seen before.
func TestMemoryIsFlat(t *testing.T) {
	const maxSeries = 2000
	r := NewRED(Options{MaxSeries: maxSeries})
	g := NewGraph(GraphOptions{MaxSeries: maxSeries, MaxPending: 5000})
	b := &telemetry.Batch{Resource: &telemetry.Resource{Service: "s"}, Spans: make([]telemetry.Span, 100)}
	used := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var early uint64
	for i := 0; i < 1_000_000; {
		b.ReceivedUnixNano = int64(i) * 1e4
		for j := range b.Spans {
			i++
			name := "op" + strconv.Itoa(i)
			b.Spans[j] = spanOf(1, 1, 0, telemetry.SpanKindClient, int64(i%1000), attr("server.address", name))
			b.Spans[j].Name = name
			binary.LittleEndian.PutUint64(b.Spans[j].TraceID[:], uint64(i))
		}
		r.Observe(b, false)
		g.Observe(b, false)
		if i == 200_000 {
			early = used()
		}
	}
	late := used()
	t.Logf("%d KiB after 200,000 operations, %d KiB after 1,000,000", early>>10, late>>10)
	if late > early+early/5+1<<20 {
		t.Errorf("%d bytes in use after 200,000 operations, %d after 1,000,000", early, late)
	}
	if len(r.series) != maxSeries+1 || len(g.edges) != maxSeries+1 || g.pending.len() > 5000 || len(g.names.labels) > maxNames {
		t.Errorf("%d series, %d edges, %d wait, %d names", len(r.series), len(g.edges), g.pending.len(), len(g.names.labels))
	}
	calls := uint64(0)
	for _, s := range r.series {
		calls += s.latency.count
	}
	if calls != 1_000_000 || testutil.ToFloat64(r.self.overflow) != 1_000_000-maxSeries {
		t.Errorf("%d calls", calls)
	}
	runtime.KeepAlive(b)
}

// BenchmarkSpans: ns/op is per span, for RED and graph together and for each.
func BenchmarkSpans(b *testing.B) {
	for _, c := range []struct {
		name       string
		red, graph bool
	}{{"both", true, true}, {"red", true, false}, {"graph", false, true}, {"none", false, false}} {
		b.Run(c.name, func(b *testing.B) {
			l, r, g := newLoad(50), NewRED(Options{}), NewGraph(GraphOptions{})
			b.ReportAllocs()
			for i := 0; i < b.N; i += l.n {
				l.next()
				for _, batch := range l.batches {
					if c.red {
						r.Observe(batch, false)
					}
					if c.graph {
						g.Observe(batch, false)
					}
				}
			}
		})
	}
}

// BenchmarkSnapshot is of 20,000 series and edges, and as many spans that wait; the room they take is in B/series.
func BenchmarkSnapshot(b *testing.B) {
	const n = 20_000
	r, g := NewRED(Options{MaxSeries: n}), NewGraph(GraphOptions{MaxSeries: n})
	for i := range n {
		s := spanOf(1, 1, 0, telemetry.SpanKindClient, int64(i))
		s.Name = "GET /api/v1/operation" + strconv.Itoa(i)
		binary.LittleEndian.PutUint64(s.TraceID[:], uint64(i)+1)
		batch := heard{"service" + strconv.Itoa(i), 1, s}.batch()
		for j := range 30 { // different durations fill buckets
			batch.Spans[0].EndUnixNano += int64(j) * int64(i)
			r.Observe(batch, false)
		}
		g.Observe(batch, false)
		g.edge(g.names.intern(batch.Resource.Service), g.names.intern("server"), direct).unpaired++
	}
	for name, snapshot := range map[string]func([]byte) []byte{"red": r.AppendSnapshot, "graph": g.AppendSnapshot} {
		b.Run(name, func(b *testing.B) {
			var into []byte
			for b.Loop() {
				into = snapshot(into[:0])
			}
			b.ReportMetric(float64(len(into))/n, "B/series")
		})
	}
}

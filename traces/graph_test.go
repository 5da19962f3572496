package traces

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/value"

	"github.com/braidhq/braid/telemetry"
)

// A heard is a span as it arrives: of a service, in milliseconds of receive time.
type heard struct {
	service string
	at      int64
	telemetry.Span
}

func (h heard) batch() *telemetry.Batch {
	return &telemetry.Batch{
		Resource: &telemetry.Resource{Service: h.service}, ReceivedUnixNano: h.at * 1e6, Spans: []telemetry.Span{h.Span},
	}
}

// spanOf is a span of so many milliseconds.
func spanOf(trace, id, parent byte, kind telemetry.SpanKind, milli int64, attrs ...telemetry.Attr) telemetry.Span {
	s := telemetry.Span{TraceID: telemetry.TraceID{trace}, SpanID: telemetry.SpanID{id}, Kind: kind, Attrs: attrs}
	if parent != 0 {
		s.ParentID = telemetry.SpanID{parent}
	}
	s.StartUnixNano, s.EndUnixNano = 1e9, 1e9+milli*1e6
	return s
}

func attr(key, v string) telemetry.Attr { return telemetry.Attr{Key: key, Value: telemetry.String(v)} }

// end lets all that waits wait no longer.
func end(g *Graph, at int64) {
	g.Observe(heard{"end", at, telemetry.Span{}}.batch(), false)
}

// edges are the counts of g: "client>server type" -> requests, failed, unpaired, and the seconds of server and client.
func edges(g *Graph) map[string]string {
	all := map[string]string{}
	for key, e := range g.edges {
		v := values(key, 3)
		all[v[0]+">"+v[1]+" "+v[2]] = fmt.Sprint(e.requests, e.failed, e.unpaired, e.server.count, e.server.sum, e.client.count, e.client.sum)
	}
	return all
}

func TestGraphCounts(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	g := NewGraph(GraphOptions{Registerer: reg, Histograms: Classic, Buckets: []float64{.01}})
	failing := spanOf(1, 3, 2, telemetry.SpanKindServer, 5)
	failing.Status = telemetry.StatusError
	for _, h := range []heard{
		{"shop", 1, spanOf(1, 1, 0, telemetry.SpanKindServer, 40)}, // from outside
		{"cart", 2, failing}, // before its client
		{"shop", 3, spanOf(1, 2, 1, telemetry.SpanKindClient, 20, attr("server.address", "cart.svc"))},
		{"shop", 3, spanOf(1, 4, 1, telemetry.SpanKindProducer, 1)},
		{"mail", 4, spanOf(1, 5, 4, telemetry.SpanKindConsumer, 2)},
		{"audit", 5, spanOf(1, 6, 4, telemetry.SpanKindConsumer, 3)},
		{"cart", 6, spanOf(1, 7, 3, telemetry.SpanKindClient, 4, attr("db.system.name", "postgresql"), attr("db.namespace", "carts"))},
		{"cart", 6, spanOf(1, 8, 3, telemetry.SpanKindClient, 6, attr("server.address", "pay.example"), attr("peer.service", "pay"))},
		{"cart", 6, spanOf(1, 9, 3, telemetry.SpanKindClient, 7)},
		{"", 6, spanOf(1, 10, 99, telemetry.SpanKindServer, 8)},
		{"cart", 6, spanOf(1, 11, 3, telemetry.SpanKindInternal, 9)},
		{"mail", 6, spanOf(1, 12, 0, telemetry.SpanKindConsumer, 9)},
		{"cart", 6, spanOf(0, 13, 3, telemetry.SpanKindClient, 9)},
		{"cart", 6, spanOf(1, 9, 3, telemetry.SpanKindClient, 7)}, // once more
	} {
		g.Observe(h.batch(), false)
		g.Observe(h.batch(), true)
	}
	end(g, 20_000)
	got := edges(g)
	for key, want := range map[string]string{
		"user>shop virtual_node": "1 0 0 1 {0 40000000} 0 {0 0}", "shop>cart ": "1 1 0 1 {0 5000000} 1 {0 20000000}",
		"shop>mail messaging_system": "1 0 0 1 {0 2000000} 1 {0 1000000}", "shop>audit messaging_system": "1 0 0 1 {0 3000000} 1 {0 1000000}",
		"cart>carts database": "1 0 0 1 {0 4000000} 1 {0 4000000}", "cart>pay virtual_node": "1 0 0 0 {0 0} 1 {0 6000000}",
		"cart> ": "0 0 1 0 {0 0} 0 {0 0}", ">unknown_service ": "0 0 1 0 {0 0} 0 {0 0}", ">mail messaging_system": "0 0 1 0 {0 0} 0 {0 0}",
	} {
		if got[key] != want {
			t.Errorf("%s: %s, want %s", key, got[key], want)
		}
		delete(got, key)
	}
	if len(got) > 0 || count64(t, g.self.zeroID) != 1 || count64(t, g.self.reused) != 1 {
		t.Errorf("left: %v", got)
	}
	if err := testutil.CollectAndCompare(g, strings.NewReader(exposed),
		"traces_service_graph_request_failed_total", "traces_service_graph_unpaired_spans_total"); err != nil {
		t.Error(err)
	}
	if _, err := reg.Gather(); err != nil {
		t.Error(err)
	}
	if n := testutil.CollectAndCount(g, "traces_service_graph_request_total", "traces_service_graph_request_server_seconds",
		"traces_service_graph_request_client_seconds"); n != 6+5+5 {
		t.Errorf("%d series", n)
	}
}

const exposed = `
# HELP traces_service_graph_request_failed_total Calls of which a span has the status error.
# TYPE traces_service_graph_request_failed_total counter
traces_service_graph_request_failed_total{client="cart",connection_type="database",server="carts"} 0
traces_service_graph_request_failed_total{client="cart",connection_type="virtual_node",server="pay"} 0
traces_service_graph_request_failed_total{client="shop",connection_type="",server="cart"} 1
traces_service_graph_request_failed_total{client="shop",connection_type="messaging_system",server="audit"} 0
traces_service_graph_request_failed_total{client="shop",connection_type="messaging_system",server="mail"} 0
traces_service_graph_request_failed_total{client="user",connection_type="virtual_node",server="shop"} 0
# HELP traces_service_graph_unpaired_spans_total Spans whose other side was not seen in time.
# TYPE traces_service_graph_unpaired_spans_total counter
traces_service_graph_unpaired_spans_total{client="",connection_type="",server="unknown_service"} 1
traces_service_graph_unpaired_spans_total{client="",connection_type="messaging_system",server="mail"} 1
traces_service_graph_unpaired_spans_total{client="cart",connection_type="",server=""} 1
`

// randomCalls returns calls in random traces as they arrive, out of order and some too late, by receive time.
func randomCalls(r *rand.Rand, n int, wait int64) (all []heard) {
	for i := range n {
		at := r.Int64N(20 * wait)
		id := telemetry.SpanID{1, byte(i), byte(i >> 8)}
		trace := telemetry.TraceID{byte(r.IntN(4))*16 + 1} // ids tell calls apart, traces do not
		caller := heard{fmt.Sprintf("s%d", r.IntN(4)), at, telemetry.Span{TraceID: trace, SpanID: id, Kind: telemetry.SpanKindClient}}
		calleeKind, callees := telemetry.SpanKindServer, []int{0, 1, 1, 1, 2}[r.IntN(5)]
		if r.IntN(3) == 0 {
			caller.Kind, calleeKind, callees = telemetry.SpanKindProducer, telemetry.SpanKindConsumer, r.IntN(4)
		}
		if r.IntN(3) == 0 {
			caller.Attrs = []telemetry.Attr{attr("peer.service", "p")}
		}
		if r.IntN(5) == 0 {
			caller.Status = telemetry.StatusError
		}
		caller.StartUnixNano, caller.EndUnixNano = 1e9, 1e9+r.Int64N(1e9)
		if r.IntN(8) > 0 {
			all = append(all, caller)
		}
		for j := range callees {
			all = append(all, heard{fmt.Sprintf("s%d", r.IntN(4)), max(0, at+r.Int64N(3*wait)-3*wait/2), telemetry.Span{
				TraceID: trace, SpanID: telemetry.SpanID{2, byte(i), byte(i >> 8), byte(j)}, ParentID: id, Kind: calleeKind,
				Status: telemetry.StatusCode(r.IntN(3)), StartUnixNano: 1e9, EndUnixNano: 1e9 + r.Int64N(1e9),
			}})
		}
	}
	slices.SortStableFunc(all, func(a, b heard) int { return int(a.at - b.at) })
	return all
}

// reckoned says what a graph must count: each call by itself, with all its spans in view.
func reckoned(all []heard, wait int64) map[string]string {
	g := NewGraph(GraphOptions{}) // only its edges are used
	for i := range all {
		c := &all[i]
		if c.Kind == telemetry.SpanKindServer || c.Kind == telemetry.SpanKindConsumer {
			if !slices.ContainsFunc(all, func(x heard) bool { return x.SpanID == c.ParentID && x.TraceID == c.TraceID }) {
				g.unpaired(&half{service: g.names.intern(c.service), side: callees, messaging: c.Kind == telemetry.SpanKindConsumer})
			}
			continue
		}
		messaging := c.Kind == telemetry.SpanKindProducer
		side := func(h *heard, s side) *half {
			return &half{service: g.names.intern(h.service), nanos: h.EndUnixNano - h.StartUnixNano, failed: h.Status == telemetry.StatusError, side: s, messaging: messaging}
		}
		paired := 0
		for j := range all {
			s := &all[j]
			if s.ParentID != c.SpanID || s.TraceID != c.TraceID {
				continue
			}
			if inTime := s.at-c.at < wait && c.at-s.at < wait; inTime && (messaging || paired == 0) {
				paired++
				g.pair(side(c, callers), side(s, callees))
			} else {
				g.unpaired(side(s, callees))
			}
		}
		switch {
		case paired > 0:
		case len(c.Attrs) > 0:
			g.virtual(g.names.intern(c.service), g.names.intern("p"), side(c, callers))
		default:
			g.unpaired(side(c, callers))
		}
	}
	return edges(g)
}

// TestGraphAgainstTheModel compares on random traces, with and without crashes at random points.
func TestGraphAgainstTheModel(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 2))
	const wait = 1000
	for range 30 {
		all := randomCalls(r, 300, wait)
		want := reckoned(all, wait)
		for _, crashes := range []int{0, 5} {
			o := GraphOptions{Wait: wait * time.Millisecond}
			g := NewGraph(o)
			stored, committed := g.AppendSnapshot(nil), 0
			for i := 0; i < len(all); i++ {
				g.Observe(all[i].batch(), false)
				switch {
				case r.IntN(20) == 0:
					stored, committed = g.AppendSnapshot(nil), i+1
				case crashes > 0 && r.IntN(100) == 0:
					crashes--
					g = NewGraph(o)
					if err := g.Restore(stored); err != nil {
						t.Fatal(err)
					}
					i = committed - 1
				}
			}
			end(g, 60_000)
			if got := edges(g); !maps.Equal(got, want) {
				t.Fatalf("with %d crashes left\n%v, want\n%v", crashes, got, want)
			}
			if g.pending.len() != 0 || g.pending.heads != 0 {
				t.Fatalf("%d left in %d chains", g.pending.len(), g.pending.heads)
			}
		}
	}
}

// TestPendingIsBounded: what has no room waits no longer, and is in the counts.
func TestPendingIsBounded(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 3))
	g := NewGraph(GraphOptions{MaxPending: 50})
	spans := uint64(0)
	for i := range 20_000 {
		s := spanOf(byte(r.IntN(3)+1), byte(r.IntN(40)+1), byte(r.IntN(40)+1), telemetry.SpanKindClient, 1)
		if r.IntN(2) == 0 {
			s.Kind = telemetry.SpanKindServer
		}
		before := count64(t, g.self.reused)
		g.Observe(heard{"s", int64(i), s}.batch(), false)
		if count64(t, g.self.reused) == before {
			spans++
		}
		if n := g.pending.len(); n > 50 || len(g.pending.place) > 50 || len(g.pending.index) > 1024 {
			t.Fatalf("%d wait in %d places", n, len(g.pending.place))
		}
	}
	end(g, 60_000)
	counted := uint64(0)
	for _, e := range g.edges {
		counted += e.unpaired + 2*e.requests
	}
	if counted != spans || count64(t, g.self.evicted) == 0 {
		t.Errorf("%d of %d spans counted, %v evicted", counted, spans, count64(t, g.self.evicted))
	}
}

// TestOneParentOfMany: 50,000 servers that name one client are as quick as 50,000 others.
func TestOneParentOfMany(t *testing.T) {
	g := NewGraph(GraphOptions{})
	b := &telemetry.Batch{Resource: &telemetry.Resource{Service: "s"}, ReceivedUnixNano: 1}
	for i := range 50_000 {
		s := spanOf(1, 2, 1, telemetry.SpanKindConsumer, 1)
		s.SpanID[1], s.SpanID[2] = byte(i), byte(i>>8)
		b.Spans = append(b.Spans, s)
	}
	g.Observe(b, false)
	if g.pending.heads != 1 || g.pending.len() != 50_000 {
		t.Fatalf("%d in %d chains", g.pending.len(), g.pending.heads)
	}
	g.Observe(heard{"p", 1, spanOf(1, 1, 0, telemetry.SpanKindProducer, 1)}.batch(), false)
	if e := edges(g)["p>s messaging_system"]; !strings.HasPrefix(e, "50000 0 0 50000") || g.pending.len() != 1 {
		t.Errorf("%s, %d wait", e, g.pending.len())
	}
}

func TestGraphSeriesAreBounded(t *testing.T) {
	g := NewGraph(GraphOptions{MaxSeries: 2})
	for i := range byte(6) {
		g.Observe(heard{fmt.Sprint("s", i), 1, spanOf(1, i+1, 0, telemetry.SpanKindServer, 1)}.batch(), false)
	}
	if got := edges(g); len(got) != 3 || !strings.HasPrefix(got["(overflow)>(overflow) virtual_node"], "4 ") || count64(t, g.self.overflow) != 4 {
		t.Errorf("%v", got)
	}
}

func TestGraphSamples(t *testing.T) {
	g := NewGraph(GraphOptions{Idle: time.Minute})
	g.Observe(heard{"a", 1000, spanOf(1, 1, 0, telemetry.SpanKindServer, 5)}.batch(), false)
	all := byName(g.Samples(2e9))
	if len(all) != 3 {
		t.Fatalf("%v", all)
	}
	server := all[`{__name__="traces_service_graph_request_server_seconds", client="user", connection_type="virtual_node", server="a"}`]
	if server.Histogram == nil || server.Histogram.Validate() != nil || server.Histogram.Count != 1 || server.StartUnixMilli != 1000 {
		t.Errorf("%+v", server)
	}
	again := g.Samples(3e9)
	for _, s := range again {
		if s.Series != all[s.Series.Labels.String()].Series {
			t.Errorf("%v is another series", s.Series.Labels)
		}
	}
	end(g, 600_000)
	for _, s := range g.Samples(700e9) {
		if !value.IsStaleNaN(s.Value) {
			t.Errorf("%v has %v", s.Series.Labels, s.Value)
		}
	}
	if len(g.Samples(800e9)) != 0 {
		t.Error("ended twice")
	}
}

// busyGraph has edges of each type and halves of each kind that wait.
func busyGraph(o GraphOptions) *Graph {
	g := NewGraph(o)
	for _, h := range randomCalls(rand.New(rand.NewPCG(1, 1)), 50, 1000) {
		g.Observe(h.batch(), false)
	}
	return g
}

func TestDamagedGraphSnapshotIsRefused(t *testing.T) {
	g := busyGraph(GraphOptions{Histograms: Both})
	good, before := g.AppendSnapshot(nil), edges(g)
	if g.pending.len() < 5 {
		t.Fatalf("%d wait", g.pending.len())
	}
	for n := 1; n < len(good); n++ {
		if err := g.Restore(good[:n]); !errors.Is(err, ErrSnapshot) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	newer := append([]byte{graphVersion + 1}, good[1:]...)
	if err := g.Restore(newer); !errors.Is(err, ErrSnapshot) || !strings.Contains(err.Error(), "version 2") {
		t.Errorf("got %v", err)
	}
	if !maps.Equal(edges(g), before) {
		t.Error("a refused snapshot changed the counts")
	}
	other := NewGraph(GraphOptions{})
	if err := other.Restore(good); err != nil || len(other.edges) != 0 || other.pending.len() != g.pending.len() {
		t.Errorf("%v, %d edges, %d wait", err, len(other.edges), other.pending.len())
	}
	if err := g.Restore(nil); err != nil || len(g.edges) != 0 || g.pending.len() != 0 {
		t.Errorf("%v, %d edges", err, len(g.edges))
	}
}

func FuzzGraphRestore(f *testing.F) {
	for _, kind := range []Histograms{Native, Classic, Both} {
		f.Add(NewGraph(GraphOptions{Histograms: kind}).AppendSnapshot(nil))
		f.Add(busyGraph(GraphOptions{Histograms: kind}).AppendSnapshot(nil))
	}
	f.Fuzz(func(t *testing.T, snapshot []byte) {
		for _, kind := range []Histograms{Native, Classic, Both} {
			o := GraphOptions{Histograms: kind, MaxPending: 100}
			g, again := NewGraph(o), NewGraph(o)
			if g.Restore(snapshot) != nil {
				return
			}
			if err := again.Restore(g.AppendSnapshot(nil)); err != nil || !maps.Equal(edges(again), edges(g)) || again.pending.len() != g.pending.len() {
				t.Fatalf("%v instead of %v, %v", edges(again), edges(g), err)
			}
			prometheus.NewPedanticRegistry().MustRegister(g)
			testutil.CollectAndCount(g)
			g.Samples(1)
			end(g, 1<<40)
			g.Observe(heard{"s", 1 << 41, spanOf(1, 1, 0, telemetry.SpanKindServer, 1)}.batch(), false)
		}
	})
}

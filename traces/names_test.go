package traces

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"unsafe"

	"github.com/braidhq/braid/telemetry"
)

func TestASpanThatWaitsTakesACacheLine(t *testing.T) {
	if n := unsafe.Sizeof(place{}); n != 64 {
		t.Errorf("it takes %d bytes", n)
	}
}

// waiting is a batch of client spans of one service, each of a call to another peer, numbered.
func waiting(at int64, from, to int) *telemetry.Batch {
	b := &telemetry.Batch{Resource: &telemetry.Resource{Service: "shop"}, ReceivedUnixNano: at * 1e6}
	for i := from; i < to; i++ {
		s := spanOf(1, 0, 0, telemetry.SpanKindClient, 1, attr("peer.service", fmt.Sprint("peer-", i)))
		s.SpanID = telemetry.SpanID{1, byte(i), byte(i >> 8), byte(i >> 16)}
		b.Spans = append(b.Spans, s)
	}
	return b
}

// What has no name is counted as overflow, all else as ever, and once the names are free again they are given out.
func TestMoreNamesThanThereAreOverflow(t *testing.T) {
	const n, extra = maxNames - 3, 1000 // besides the empty label, overflow and shop
	g := NewGraph(GraphOptions{MaxPending: 2 * maxNames, MaxSeries: 3 * maxNames, Histograms: Classic, Buckets: []float64{1}})
	g.Observe(waiting(1, 0, n+extra), false)
	g.Observe(heard{"a service without a name", 2, spanOf(2, 1, 9, telemetry.SpanKindServer, 3)}.batch(), false)
	g.Observe(heard{"shop", 3, spanOf(2, 9, 0, telemetry.SpanKindClient, 5)}.batch(), false)
	snapshot := g.AppendSnapshot(nil)
	restored := NewGraph(GraphOptions{MaxPending: 2 * maxNames, MaxSeries: 3 * maxNames, Histograms: Classic, Buckets: []float64{1}})
	if err := restored.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	for _, g := range []*Graph{g, restored} {
		end(g, 20_000)
		got := edges(g)
		for i := range n {
			key := fmt.Sprintf("shop>peer-%d virtual_node", i)
			if got[key] != "1 0 0 0 {0 0} 1 {0 1000000}" {
				t.Fatalf("%s: %s", key, got[key])
			}
			delete(got, key)
		}
		if got["shop>(overflow) virtual_node"] != fmt.Sprintf("%d 0 0 0 {0 0} %d {0 %d}", extra, extra, extra*1_000_000) ||
			got["shop>(overflow) "] != "1 0 0 1 {0 3000000} 1 {0 5000000}" || len(got) != 2 {
			t.Errorf("besides there are %v", got)
		}
		g.Observe(waiting(30_000, 1<<20, 1<<20+1), false)
		end(g, 50_000)
		if got := edges(g)["shop>peer-1048576 virtual_node"]; got == "" {
			t.Error("no name is given out again")
		}
		if len(g.names.labels) > 10 {
			t.Errorf("%d names are kept", len(g.names.labels))
		}
	}
}

func TestNamesThatNobodyUsesGo(t *testing.T) {
	const calls = 3 * fewNames
	g := NewGraph(GraphOptions{MaxSeries: 3 * calls, Histograms: Classic, Buckets: []float64{1}})
	g.Observe(heard{"waits", 1, spanOf(9, 9, 0, telemetry.SpanKindClient, 7)}.batch(), false)
	for i := range calls {
		trace := telemetry.TraceID{1, byte(i), byte(i >> 8)}
		client, server := spanOf(1, 1, 0, telemetry.SpanKindClient, 1), spanOf(1, 2, 1, telemetry.SpanKindServer, 1)
		client.TraceID, server.TraceID = trace, trace
		g.Observe(heard{fmt.Sprint("client-", i), 2, client}.batch(), false)
		g.Observe(heard{fmt.Sprint("server-", i), 2, server}.batch(), false)
		if n := len(g.names.labels); n > fewNames+2 || n != len(g.names.ids) {
			t.Fatalf("there are %d names with %d labels", len(g.names.ids), n)
		}
	}
	g.Observe(heard{"met", 3, spanOf(9, 8, 9, telemetry.SpanKindServer, 8)}.batch(), false)
	got := edges(g)
	for i := range calls {
		if key := fmt.Sprintf("client-%d>server-%d ", i, i); got[key] != "1 0 0 1 {0 1000000} 1 {0 1000000}" {
			t.Fatalf("%s: %q", key, got[key])
		}
	}
	if len(got) != calls+1 || got["waits>met "] != "1 0 0 1 {0 8000000} 1 {0 7000000}" {
		t.Errorf("there are %d edges, and what had waited is %q", len(got), got["waits>met "])
	}
}

// Whenever names go, and over snapshots, what waits keeps its labels, whatever was received for them.
func TestWhatWaitsKeepsItsLabels(t *testing.T) {
	received := map[string]string{
		"s0": strings.Repeat("\xff", 300), "s1": strings.Repeat("é", 200) + "1", "s2": "\xfe", "s3": "\xfd", // two with one label
	}
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		all := randomCalls(r, 60, 50)
		options := GraphOptions{Wait: 50e6}
		forgets, keeps, restored := NewGraph(options), NewGraph(options), NewGraph(options)
		for _, h := range all {
			h.service = received[h.service]
			if len(h.Attrs) > 0 {
				h.Attrs = []telemetry.Attr{attr("peer.service", received[fmt.Sprint("s", r.IntN(4))])}
			}
			if r.IntN(3) == 0 {
				forgets.forgetNames()
			}
			if r.IntN(3) == 0 {
				snapshot := restored.AppendSnapshot(nil)
				if r.IntN(2) == 0 { // else over what it has
					restored = NewGraph(options)
				}
				if err := restored.Restore(snapshot); err != nil {
					t.Fatal(err)
				}
			}
			for _, g := range []*Graph{forgets, keeps, restored} {
				g.Observe(h.batch(), false)
			}
		}
		end(keeps, 1e6)
		for _, g := range []*Graph{forgets, restored} {
			end(g, 1e6)
			if !maps.Equal(edges(g), edges(keeps)) {
				t.Fatalf("seed %d: %v\nnot %v", seed, edges(g), edges(keeps))
			}
		}
	}
}

func TestAnEdgeThatWasForgottenBeginsAnew(t *testing.T) {
	g := NewGraph(GraphOptions{Idle: 1e9, Histograms: Classic, Buckets: []float64{1}})
	call := func(at int64) {
		g.Observe(heard{"client", at, spanOf(byte(at/1000), 1, 0, telemetry.SpanKindClient, 1)}.batch(), false)
		g.Observe(heard{"server", at, spanOf(byte(at/1000), 2, 1, telemetry.SpanKindServer, 1)}.batch(), false)
	}
	call(1000)
	g.Observe(heard{"other", 3000, telemetry.Span{}}.batch(), false)
	if n := len(g.edges); n != 0 {
		t.Fatalf("%d edges are left", n)
	}
	call(4000)
	if got := edges(g)["client>server "]; got != "1 0 0 1 {0 1000000} 1 {0 1000000}" {
		t.Errorf("it has %q", got)
	}
}

// Looking through all that waits is for nothing while nothing has gone.
func TestNamesThatAreAllInUseAreNotLookedThroughAgainAndAgain(t *testing.T) {
	g := NewGraph(GraphOptions{MaxPending: maxNames + 1})
	g.Observe(waiting(1, 0, maxNames), false)
	g.Observe(waiting(2, 0, 1), false)
	crowded := g.crowded
	if crowded == 0 {
		t.Fatal("not all names are in use")
	}
	g.Observe(waiting(3, 0, 1), false)
	if g.crowded != crowded {
		t.Error("they were looked through again")
	}
	g.Observe(waiting(30_000, 0, 1), false)
	if g.crowded != 0 {
		t.Error("they are still taken to be in use")
	}
}

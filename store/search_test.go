package store

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/telemetry"
)

// spanBatch is n spans of a service, of five operations, in traces of ten.
func spanBatch(service string, seed int64, n int) *telemetry.Batch {
	b := &telemetry.Batch{Resource: &telemetry.Resource{Service: service, Namespace: "shop", Pod: service + "-0", Restart: -1}, ReceivedUnixNano: base}
	for i := range n {
		start := base + int64(i)*1000 + seed
		b.Spans = append(b.Spans, telemetry.Span{
			TraceID: telemetry.TraceID{1, byte(seed), byte(i / 10 >> 8), byte(i / 10)}, SpanID: telemetry.SpanID{byte(seed), byte(i >> 8), byte(i), 1},
			Kind: telemetry.SpanKind(i % 3), Status: telemetry.StatusCode(i % 7 % 3), Name: fmt.Sprintf("op %d", i%5),
			StartUnixNano: start, EndUnixNano: start + int64(i%11)*100,
			Attrs: []telemetry.Attr{{Key: "i", Value: telemetry.Int(int64(i % 13))}, {Key: "even", Value: telemetry.Value{Kind: telemetry.BoolValue, Int: int64(i+1) % 2}}},
		})
	}
	return b
}

// find is the truth: every span looked at.
func find(batches []*telemetry.Batch, q telemetry.TraceQuery) []telemetry.TraceID {
	newest := map[telemetry.TraceID]int64{}
	for _, b := range batches {
		for i := range b.Spans {
			s := &b.Spans[i]
			attrs := append([]telemetry.Attr{{Key: "k8s.pod.name", Value: telemetry.String(b.Resource.Pod)}}, s.Attrs...)
			ok := b.Tenant == q.Tenant && (q.Service == "" || b.Resource.Service == q.Service) && (q.Operation == "" || s.Name == q.Operation) &&
				(q.Kinds == nil || slices.Contains(q.Kinds, s.Kind)) && (q.Statuses == nil || slices.Contains(q.Statuses, s.Status)) &&
				(q.FromUnixNano == 0 || s.StartUnixNano >= q.FromUnixNano) && (q.ToUnixNano == 0 || s.StartUnixNano < q.ToUnixNano) &&
				(q.MinNano == 0 || s.EndUnixNano-s.StartUnixNano >= q.MinNano) && (q.MaxNano == 0 || s.EndUnixNano-s.StartUnixNano <= q.MaxNano)
			for _, a := range q.Attrs {
				v, known := telemetry.Find(attrs, a.Key)
				ok = ok && known && a.Value == strings.TrimSpace(text(v))
			}
			if at, known := newest[s.TraceID]; ok && (!known || at < s.StartUnixNano) {
				newest[s.TraceID] = s.StartUnixNano
			}
		}
	}
	var ids []telemetry.TraceID
	for id := range newest {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b telemetry.TraceID) int {
		return cmp.Or(cmp.Compare(newest[b], newest[a]), strings.Compare(a.String(), b.String()))
	})
	return ids[:min(len(ids), q.Limit)]
}

func searched() []*telemetry.Batch {
	other := spanBatch("cart", 9, 30)
	other.Tenant = "other"
	// Traces of two services, and of two pods of one service.
	shared, second := spanBatch("pay", 1, 400), spanBatch("cart", 2, 350)
	for i := range shared.Spans {
		shared.Spans[i].SpanID[7] = 9
	}
	second.Resource = &telemetry.Resource{Service: "cart", Namespace: "shop", Pod: "cart-1", Restart: -1}
	return []*telemetry.Batch{spanBatch("cart", 1, 400), shared, second, other}
}

func TestFindTracesAgainstModel(t *testing.T) {
	s := openStore(t, Options{})
	batches := searched()
	mustWrite(t, s, batches...)
	rng := rand.New(rand.NewPCG(1, 2))
	maybe := func(f func()) {
		if rng.IntN(3) == 0 {
			f()
		}
	}
	matched := 0
	for range 500 {
		q := telemetry.TraceQuery{Limit: 1 + rng.IntN(60)}
		maybe(func() { q.Service = []string{"cart", "pay", "none"}[rng.IntN(3)] })
		maybe(func() { q.Operation = fmt.Sprintf("op %d", rng.IntN(6)) })
		maybe(func() { q.Kinds = []telemetry.SpanKind{telemetry.SpanKind(rng.IntN(3))} })
		maybe(func() { q.Statuses = []telemetry.StatusCode{telemetry.StatusError} })
		maybe(func() { q.FromUnixNano = base + rng.Int64N(400_000) })
		maybe(func() { q.ToUnixNano = base + rng.Int64N(400_000) })
		maybe(func() { q.MinNano = rng.Int64N(1000) })
		maybe(func() { q.MaxNano = rng.Int64N(1000) })
		maybe(func() { q.Attrs = append(q.Attrs, telemetry.TextAttr{Key: "i", Value: fmt.Sprint(rng.IntN(13))}) })
		maybe(func() { q.Attrs = append(q.Attrs, telemetry.TextAttr{Key: "even", Value: "true"}) })
		maybe(func() { q.Attrs = append(q.Attrs, telemetry.TextAttr{Key: "k8s.pod.name", Value: "cart-1"}) })
		maybe(func() { q.Tenant = []string{"", "other", "nobody"}[rng.IntN(3)] })
		got, err := s.FindTraces(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		if want := find(batches, q); !slices.Equal(got, want) {
			t.Fatalf("%+v\n got %v\nwant %v", q, got, want)
		}
		matched += len(got)
	}
	if matched < 1000 {
		t.Errorf("the queries match %d traces: too few to tell anything", matched)
	}
}

func checkNames(t *testing.T, s *Store) {
	t.Helper()
	services, err := s.Services(t.Context(), "", nil)
	if err != nil || !slices.Equal(services, []string{"cart", "pay"}) {
		t.Errorf("services %v, %v", services, err)
	}
	operations, err := s.Operations(t.Context(), "", "cart", nil)
	if err != nil || len(operations) != 15 || operations[0] != (telemetry.Operation{Name: "op 0"}) || operations[14] != (telemetry.Operation{Name: "op 4", Kind: 2}) {
		t.Errorf("operations %v, %v", operations, err)
	}
	if services, err := s.Services(t.Context(), "other", nil); err != nil || !slices.Equal(services, []string{"cart"}) {
		t.Errorf("services of another tenant %v, %v", services, err)
	}
}

// TestOlderDirectoryIsIndexed takes away what a braid before the index did not write.
func TestOlderDirectoryIsIndexed(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	batches := append(searched(), spanBatch("pay", 5, indexBatch+10))
	mustWrite(t, s, batches...)
	checkNames(t, s)
	for _, prefix := range []byte{indexPrefix, operationPrefix} {
		if err := s.db.DeleteRange([]byte{prefix}, []byte{prefix + 1}, pebble.NoSync); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.db.Delete([]byte{metaPrefix, 'i'}, pebble.Sync); err != nil {
		t.Fatal(err)
	}
	q := telemetry.TraceQuery{Limit: 1000, Statuses: []telemetry.StatusCode{telemetry.StatusOK}, MinNano: 500}
	for range 2 { // indexed once, then read from the index
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, Options{Dir: dir})
		checkNames(t, s)
		got, err := s.FindTraces(t.Context(), q)
		if want := find(batches, q); err != nil || !slices.Equal(got, want) || len(got) < 500 {
			t.Errorf("%d traces, want %d, %v", len(got), len(want), err)
		}
	}
}

// TestNamesAreBounded: names without end grow no memory, crowd out no other service, and their spans are found.
func TestNamesAreBounded(t *testing.T) {
	s := openStore(t, Options{})
	wild := spanBatch("wild", 1, 3*maxServiceOperations)
	for i := range wild.Spans {
		wild.Spans[i].Name = fmt.Sprintf("GET /item/%d", i)
	}
	long := spanBatch("long", 2, 1)
	long.Spans[0].Name = strings.Repeat("x", maxOperationBytes+1)
	mustWrite(t, s, wild, long, spanBatch("tame", 3, 10))
	if n := s.operations.count; n != maxServiceOperations+10 {
		t.Errorf("%d operations are listed", n)
	}
	if n := testutil.ToFloat64(s.metrics.unlisted); n != 2*maxServiceOperations+1 {
		t.Errorf("%v spans counted as unlisted", n)
	}
	got, err := s.FindTraces(t.Context(), telemetry.TraceQuery{Service: "wild", Operation: "GET /item/2999"})
	if err != nil || len(got) != 1 {
		t.Errorf("%v, %v", got, err)
	}
}

// TestNamesExpire with their spans, and come back with them.
func TestNamesExpire(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	old, fresh := spanBatch("old", 1, 10), spanBatch("fresh", 2, 10)
	fresh.ReceivedUnixNano += int64(10 * time.Hour)
	mustWrite(t, s, old, fresh)
	if err := s.expire(base + int64(5*time.Hour)); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		services, err := s.Services(t.Context(), "", nil)
		if err != nil || !slices.Equal(services, []string{"fresh"}) || s.operations.count != 10 {
			t.Errorf("%v, %v", services, err)
		}
		if got, err := s.FindTraces(t.Context(), telemetry.TraceQuery{}); err != nil || len(got) != 1 {
			t.Errorf("%v, %v", got, err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = openStore(t, Options{Dir: dir})
	}
	mustWrite(t, s, old)
	if services, err := s.Services(t.Context(), "", nil); err != nil || len(services) != 2 {
		t.Errorf("%v, %v", services, err)
	}
}

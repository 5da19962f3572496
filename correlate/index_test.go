package correlate

import (
	"encoding/binary"
	"errors"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/telemetry"
)

func traceID(n int) (id telemetry.TraceID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(n)+1)
	return id
}

func spanBatch(received time.Duration, ids ...telemetry.TraceID) *telemetry.Batch {
	b := &telemetry.Batch{ReceivedUnixNano: int64(received)}
	for _, id := range ids {
		b.Spans = append(b.Spans, telemetry.Span{TraceID: id, ParentID: telemetry.SpanID{1}})
	}
	return b
}

func TestIndexEntry(t *testing.T) {
	x := NewIndex(IndexOptions{Registerer: prometheus.NewPedanticRegistry()})
	id := traceID(1)
	line := &telemetry.Batch{ReceivedUnixNano: 5, Logs: []telemetry.Log{{TraceID: id}, {}}}
	x.Observe(line, true) // replays rebuild the index
	if e, ok := x.Lookup(id); !ok || e != (Entry{FirstReceivedUnixNano: 5, Lines: 1}) {
		t.Errorf("%+v, %v", e, ok)
	}
	x.Observe(spanBatch(9, id, id), false)
	root := spanBatch(3, id)
	root.Spans[0].ParentID, root.Spans[0].Status = telemetry.SpanID{}, telemetry.StatusError
	x.Observe(root, false)
	line.Logs[0].Severity = telemetry.SeverityError
	x.Observe(line, false)
	if e, ok := x.Lookup(id); !ok || e != (Entry{3, 3, 2, ErrorSpan | ErrorLine | RootSpan}) {
		t.Errorf("%+v, %v", e, ok)
	}
	if e, ok := x.Lookup(telemetry.TraceID{}); ok {
		t.Errorf("no trace is %+v", e)
	}
	if n := testutil.ToFloat64(x.self.entries); n != 1 {
		t.Errorf("%v entries", n)
	}
}

func TestIndexEntriesLiveByReceiveTime(t *testing.T) {
	x := NewIndex(IndexOptions{Wait: 10 * time.Second, Late: time.Minute})
	a, b := traceID(1), traceID(2)
	x.Observe(spanBatch(0, a), false)
	x.Observe(spanBatch(60*time.Second, a, b), false)
	x.Observe(spanBatch(70*time.Second-1, b), false)
	if _, ok := x.Lookup(a); !ok {
		t.Error("a went early")
	}
	x.Observe(spanBatch(70*time.Second, b), false)
	if e, ok := x.Lookup(a); ok {
		t.Errorf("a is still %+v", e)
	}
	// A lane that lags behind cannot bring back what would be gone, and an older record makes an entry older.
	x.Observe(spanBatch(0, a), false)
	if e, ok := x.Lookup(a); ok {
		t.Errorf("a is %+v again", e)
	}
	x.Observe(spanBatch(30*time.Second, b), false)
	x.Observe(spanBatch(100*time.Second, traceID(3)), false)
	if e, ok := x.Lookup(b); ok {
		t.Errorf("b is still %+v", e)
	}
	if n := len(x.entries); n != 1 || x.order.len() != 1 {
		t.Errorf("%d entries, %d in order", n, x.order.len())
	}
	if n := testutil.ToFloat64(x.self.expired); n != 3 {
		t.Errorf("%v expired", n)
	}
}

func TestIndexIsBounded(t *testing.T) {
	x := NewIndex(IndexOptions{MaxEntries: 10})
	for i := range 25 {
		x.Observe(spanBatch(time.Duration(i), traceID(i)), false)
	}
	for i := range 25 {
		if _, ok := x.Lookup(traceID(i)); ok != (i >= 15) {
			t.Errorf("trace %d is there: %v", i, ok)
		}
	}
	if n := testutil.ToFloat64(x.self.evicted); n != 15 {
		t.Errorf("%v evicted", n)
	}
}

// TestIndexIsRebuiltByReplay: the last minutes alone make the same index.
func TestIndexIsRebuiltByReplay(t *testing.T) {
	const life = 70 * time.Second
	rng := rand.New(rand.NewPCG(1, 2))
	o := IndexOptions{Wait: 10 * time.Second, Late: time.Minute}
	whole, replayed := NewIndex(o), NewIndex(o)
	var all []*telemetry.Batch
	at := time.Duration(0)
	for range 3000 {
		at += time.Duration(rng.IntN(int(100 * time.Millisecond)))
		// A trace's records come within a few seconds.
		all = append(all, spanBatch(at, traceID(int(at/time.Second)*10+rng.IntN(10)), traceID(max(0, int(at/time.Second)-2)*10)))
	}
	for _, b := range all {
		whole.Observe(b, false)
		if int64(at)-b.ReceivedUnixNano < int64(life+5*time.Second) {
			replayed.Observe(b, true)
		}
	}
	if len(whole.entries) < 400 {
		t.Fatalf("only %d entries", len(whole.entries))
	}
	for id := range whole.entries {
		want, ok := whole.Lookup(id)
		if got, ok2 := replayed.Lookup(id); got != want || ok != ok2 {
			t.Errorf("%s: %+v, %v, want %+v, %v", id, got, ok2, want, ok)
		}
	}
}

func TestIndexHasNoSnapshot(t *testing.T) {
	x := NewIndex(IndexOptions{})
	x.Observe(spanBatch(1, traceID(1)), false)
	if s := x.Snapshot(); len(s) != 0 {
		t.Errorf("%d bytes", len(s))
	}
	if err := x.Restore(x.Snapshot()); err != nil {
		t.Error(err)
	}
	if err := x.Restore([]byte{1}); !errors.Is(err, ErrSnapshot) {
		t.Error(err)
	}
}

func TestCountsStopAtTheLargest(t *testing.T) {
	if n := addUpTo(math.MaxUint32, 1); n != math.MaxUint32 {
		t.Error(n)
	}
}

// TestFifo compares with a slice over several chunks.
func TestFifo(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	var f fifo
	var want []telemetry.TraceID
	for i := range 20_000 {
		if len(want) > 0 && rng.IntN(5) < 2 {
			if got := f.pop(); got != want[0] {
				t.Fatalf("pop %d: %s, want %s", i, got, want[0])
			}
			want = want[1:]
		} else {
			f.push(traceID(i))
			want = append(want, traceID(i))
		}
		if f.len() != len(want) {
			t.Fatalf("%d ids, want %d", f.len(), len(want))
		}
	}
	for _, id := range want {
		if got := f.pop(); got != id {
			t.Fatalf("%s, want %s", got, id)
		}
	}
	if n := len(f.chunks); n > 1 {
		t.Errorf("an empty fifo has %d chunks", n)
	}
}

// TestIndexMemory: a trace costs about 100 bytes, and an emptied index gives them back.
func TestIndexMemory(t *testing.T) {
	const n = 300_000
	x := NewIndex(IndexOptions{})
	before := heap()
	b := spanBatch(1, telemetry.TraceID{})
	for i := range n {
		b.Spans[0].TraceID = traceID(i)
		x.Observe(b, false)
	}
	each := float64(heap()-before) / n
	t.Logf("%.0f bytes an entry", each)
	if each > 200 {
		t.Errorf("%.0f bytes an entry", each)
	}
	x.Observe(spanBatch(time.Hour, traceID(n)), false)
	if left := heap() - before; left > n*10 {
		t.Errorf("an emptied index keeps %d bytes", left)
	}
	runtime.KeepAlive(x)
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func TestIndexDoesNotAllocate(t *testing.T) {
	x := NewIndex(IndexOptions{})
	b := spanBatch(1, traceID(1), traceID(2))
	if n := testing.AllocsPerRun(1000, func() { x.Observe(b, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkIndex takes in traces of ten spans; ns/op is per span.
func BenchmarkIndex(b *testing.B) {
	x := NewIndex(IndexOptions{})
	ids := make([]telemetry.TraceID, 10)
	batch := spanBatch(0, ids...)
	b.ReportAllocs()
	for i := 0; i < b.N; i += 10 {
		id := traceID(i)
		for j := range batch.Spans {
			batch.Spans[j].TraceID = id
		}
		batch.ReceivedUnixNano += int64(10 * time.Millisecond)
		x.Observe(batch, false)
	}
}

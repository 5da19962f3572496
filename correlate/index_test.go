package correlate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/prometheus/prometheus/model/exemplar"
	"github.com/prometheus/prometheus/model/labels"

	"github.com/braidhq/braid/telemetry"
)

func traceID(n int) (id telemetry.TraceID) {
	binary.BigEndian.PutUint64(id[:], uint64(n)*0x9e3779b97f4a7c15)
	binary.BigEndian.PutUint64(id[8:], uint64(n)+1)
	return id
}

func spanBatch(received time.Duration, ids ...telemetry.TraceID) *telemetry.Batch {
	b := &telemetry.Batch{ReceivedUnixNano: int64(received)}
	for i, id := range ids {
		b.Spans = append(b.Spans, telemetry.Span{TraceID: id, SpanID: telemetry.SpanID{1, byte(i)}, Name: "op"})
	}
	return b
}

func errorBatch(received time.Duration, ids ...telemetry.TraceID) *telemetry.Batch {
	b := spanBatch(received, ids...)
	for i := range b.Spans {
		b.Spans[i].Status = telemetry.StatusError
	}
	return b
}

func lineBatch(received time.Duration, severity telemetry.Severity, ids ...telemetry.TraceID) *telemetry.Batch {
	b := &telemetry.Batch{ReceivedUnixNano: int64(received)}
	for _, id := range ids {
		b.Logs = append(b.Logs, telemetry.Log{TraceID: id, Severity: severity})
	}
	return b
}

func exemplarBatch(received time.Duration, traceID string) *telemetry.Batch {
	return &telemetry.Batch{ReceivedUnixNano: int64(received), Samples: []telemetry.Sample{
		{}, {Exemplars: []exemplar.Exemplar{{Labels: labels.FromStrings("trace_id", traceID)}}},
	}}
}

// rules compiles leaves under any.
func rules(t testing.TB, leaves ...Rule) *Rules {
	t.Helper()
	r, err := NewRules(Rule{Kind: RuleAny, Rules: leaves})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func allFacts(t testing.TB) *Rules {
	return rules(t,
		Rule{Name: "error", Kind: RuleError}, Rule{Name: "line", Kind: RuleErrorLine}, Rule{Name: "exemplar", Kind: RuleExemplar},
		Rule{Name: "slow", Kind: RuleSlow, Above: time.Second}, Rule{Name: "p90", Kind: RuleSlow, Quantile: 0.9},
		Rule{Name: "route", Kind: RuleAttribute, Key: "route", Values: []string{"/pay", "7", "true", "0.5"}},
		Rule{Name: "namespace", Kind: RuleAttribute, Key: "k8s.namespace.name", Values: []string{"shop"}},
		Rule{Name: "debug", Kind: RuleAttribute, Key: "debug"})
}

// Bits of allFacts.
const (
	isError uint64 = 1 << iota
	isLine
	isExemplar
	isSlow
	isP90
	isRoute
	isNamespace
	isDebug
)

const second = time.Second

func TestFacts(t *testing.T) {
	id := traceID(1)
	with := func(b *telemetry.Batch, change func(*telemetry.Span)) *telemetry.Batch {
		change(&b.Spans[0])
		return b
	}
	attr := func(key string, v telemetry.Value) *telemetry.Batch {
		return with(spanBatch(9*second, id), func(s *telemetry.Span) { s.Attrs = []telemetry.Attr{{Key: "x"}, {Key: key, Value: v}} })
	}
	inShop := spanBatch(9*second, id)
	inShop.Resource = &telemetry.Resource{Namespace: "shop", Attrs: []telemetry.Attr{{Key: "debug", Value: telemetry.Int(0)}}}
	long := with(spanBatch(9*second, id), func(s *telemetry.Span) { s.EndUnixNano = int64(second) + 1 })
	backwards := with(spanBatch(9*second, id), func(s *telemetry.Span) { s.StartUnixNano = 1 << 62; s.EndUnixNano = -1 << 62 })
	for name, c := range map[string]struct {
		b    *telemetry.Batch
		want uint64
	}{
		"nothing":         {spanBatch(9*second, id), 0},
		"error":           {errorBatch(9*second, id), isError},
		"line":            {lineBatch(9*second, telemetry.SeverityError, id), isLine},
		"fatal line":      {lineBatch(9*second, telemetry.SeverityFatal, id), isLine},
		"warning":         {lineBatch(9*second, telemetry.SeverityWarn+3, id), 0},
		"exemplar":        {exemplarBatch(9*second, id.String()), isExemplar},
		"bad exemplar":    {exemplarBatch(9*second, id.String()[1:]+"x"), 0},
		"slow":            {long, isSlow},
		"end before":      {backwards, 0},
		"string":          {attr("route", telemetry.String("/pay")), isRoute},
		"other":           {attr("route", telemetry.String("/")), 0},
		"integer":         {attr("route", telemetry.Int(7)), isRoute},
		"boolean":         {attr("route", telemetry.Value{Kind: telemetry.BoolValue, Int: 1}), isRoute},
		"float":           {attr("route", telemetry.Value{Kind: telemetry.FloatValue, Float: 0.5}), isRoute},
		"any value":       {attr("debug", telemetry.Value{}), isDebug},
		"of the resource": {inShop, isNamespace | isDebug},
	} {
		x := NewIndex(IndexOptions{Rules: allFacts(t), Registerer: prometheus.NewPedanticRegistry()})
		x.Observe(c.b, true) // replays rebuild the index
		x.Observe(c.b, false)
		if got := x.Facts(id, int64(9*second)); got != c.want {
			t.Errorf("%s: %b, not %b", name, got, c.want)
		}
		if got := x.Facts(traceID(2), int64(9*second)) | x.Facts(telemetry.TraceID{}, int64(9*second)); got != 0 {
			t.Errorf("%s: another trace has %b", name, got)
		}
	}
}

// With Late of a minute the parts are of 15 s.
func TestAFactCountsByItsReceiveTime(t *testing.T) {
	o := IndexOptions{Rules: allFacts(t), Wait: 10 * second, Late: 60 * second}
	id := traceID(1)
	for _, c := range []struct {
		at, t      time.Duration
		span, line bool
	}{
		{100 * second, 100 * second, true, true},
		{110*second - 1, 100 * second, true, true},
		{110 * second, 100 * second, false, false},
		{99 * second, 100 * second, true, true}, // in the part of 100 s
		{89 * second, 100 * second, false, true},
		{40 * second, 100 * second, false, true},
		{30 * second, 100 * second, false, true}, // in the part of 40 s
		{30*second - 1, 100 * second, false, false},
	} {
		x := NewIndex(o)
		x.Observe(errorBatch(c.at, id), false)
		x.Observe(lineBatch(c.at, telemetry.SeverityError, id), false)
		want := uint64(0)
		if c.span {
			want |= isError
		}
		if c.line {
			want |= isLine
		}
		if got := x.Facts(id, int64(c.t)); got != want {
			t.Errorf("received at %s, a trace of %s has %b, not %b", c.at, c.t, got, want)
		}
	}
}

// What the index says does not depend on how lanes were interleaved, on what was observed since, or where a replay began.
func TestFactsArePure(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	o := IndexOptions{Rules: allFacts(t), Wait: 10 * second, Late: 60 * second}
	var lanes [3][]*telemetry.Batch
	at := 1000 * second
	for range 6000 {
		at += time.Duration(rng.IntN(int(300 * time.Millisecond)))
		id := traceID(rng.IntN(200))
		switch rng.IntN(3) {
		case 0:
			lanes[0] = append(lanes[0], lineBatch(at, telemetry.SeverityError, id))
		case 1:
			b := spanBatch(at, id)
			b.Spans[0].Status = telemetry.StatusCode(rng.IntN(3))
			b.Spans[0].Name = fmt.Sprint(rng.IntN(3))
			b.Spans[0].EndUnixNano = int64(rng.ExpFloat64() * 1e8)
			lanes[1] = append(lanes[1], b)
		case 2:
			lanes[2] = append(lanes[2], exemplarBatch(at, id.String()))
		}
	}
	from, to := 1000*second+10*time.Minute, 1000*second+12*time.Minute
	o.Watermarks = []func() int64{func() int64 { return int64(from) }}
	whole, apart := NewIndex(o), NewIndex(o)
	for _, lane := range lanes {
		for _, b := range lane {
			whole.Observe(b, false)
		}
	}
	next := [3]int{}
	for left := true; left; {
		left = false
		for i := range lanes {
			for range rng.IntN(50) {
				if next[i] == len(lanes[i]) {
					break
				}
				if b := lanes[i][next[i]]; b.ReceivedUnixNano >= int64(from-apart.Hold()) {
					apart.Observe(b, true)
				}
				next[i]++
			}
			left = left || next[i] < len(lanes[i])
		}
	}
	seen := uint64(0)
	for at := from; at < to; at += second {
		for n := range 200 {
			want := whole.Facts(traceID(n), int64(at))
			if got := apart.Facts(traceID(n), int64(at)); got != want {
				t.Fatalf("trace %d at %s: %b, not %b", n, at, got, want)
			}
			seen |= want
		}
	}
	if seen != isError|isLine|isExemplar|isP90 {
		t.Errorf("only %b were seen", seen)
	}
}

func TestGenerationsGoWhenEveryLaneAndTheDeciderHavePassed(t *testing.T) {
	low := int64(0)
	x := NewIndex(IndexOptions{Rules: allFacts(t), Wait: 10 * second, Late: 60 * second, Watermarks: []func() int64{
		func() int64 { return math.MaxInt64 }, func() int64 { return low },
	}})
	id := traceID(1)
	x.Observe(errorBatch(100*second, id), false)
	x.Observe(errorBatch(time.Hour, traceID(2)), false)
	if x.Facts(id, int64(100*second)) != isError {
		t.Error("it went before its time")
	}
	low = int64(150 * second)
	x.Observe(errorBatch(time.Hour+15*second, traceID(2)), false)
	if x.Facts(id, int64(100*second)) != isError {
		t.Error("it went before its time")
	}
	low = int64(165 * second)
	x.Observe(errorBatch(time.Hour+30*second, traceID(2)), false)
	if got := x.Facts(id, int64(100*second)); got != 0 || len(x.generations) != 3 {
		t.Errorf("there is still %b, in %d generations", got, len(x.generations))
	}
	if n, expired := testutil.ToFloat64(x.self.entries), testutil.ToFloat64(x.self.expired); n != 3 || expired != 1 {
		t.Errorf("%v entries, %v expired", n, expired)
	}
	// Without watermarks the slowest lane's newest record stands for them.
	x = NewIndex(IndexOptions{Rules: allFacts(t), Wait: 10 * second, Late: 60 * second})
	x.Observe(lineBatch(100*second, telemetry.SeverityError, id), false)
	x.Observe(errorBatch(time.Hour, id), false)
	if x.Facts(id, int64(100*second)) != isLine {
		t.Error("it went although the lane of logs is slow")
	}
	x.Observe(lineBatch(time.Hour, telemetry.SeverityError, id), false)
	if x.Facts(id, int64(100*second)) != 0 {
		t.Error("it did not go")
	}
}

func TestIndexIsBounded(t *testing.T) {
	x := NewIndex(IndexOptions{MaxEntries: 10, Rules: allFacts(t)})
	for i := range 25 {
		x.Observe(errorBatch(time.Duration(i), traceID(i)), false)
		x.Observe(lineBatch(time.Duration(i), telemetry.SeverityError, traceID(i)), false)
	}
	for i := range 25 {
		if held := x.Facts(traceID(i), 0); (held == isError|isLine) != (i < 10) {
			t.Errorf("trace %d has %b", i, held)
		}
	}
	if n := testutil.ToFloat64(x.self.refused); n != 30 {
		t.Errorf("%v refused", n)
	}
}

func TestMovingQuantile(t *testing.T) {
	x := NewIndex(IndexOptions{Rules: rules(t, Rule{Name: "p90", Kind: RuleSlow, Quantile: 0.9})})
	n := 0
	span := func(at time.Duration, op string, lasted time.Duration) bool {
		n++
		b := spanBatch(at, traceID(n))
		b.Spans[0].Name, b.Spans[0].EndUnixNano = op, int64(lasted)
		x.Observe(b, false)
		return x.Facts(traceID(n), int64(at)) != 0
	}
	ms := time.Millisecond
	for i := range 200 {
		if span(second+time.Duration(i), "a", time.Duration(1+i%10)*ms) {
			t.Error("something is slow before there was a window")
		}
	}
	if span(59*second, "a", time.Hour) {
		t.Error("the current window counts")
	}
	if span(61*second, "a", 9*ms) || !span(61*second, "a", 13*ms) || span(61*second, "b", time.Hour) {
		t.Error("the quantile of the completed window is wrong")
	}
	for i := range 1000 { // slower from now on; not slower than now within the window
		span(62*second, "a", time.Duration(100+i%10)*ms)
	}
	if !span(119*second, "a", 50*ms) || span(121*second, "a", 50*ms) || !span(121*second, "a", 150*ms) {
		t.Error("the quantile does not move")
	}
	if span(400*second, "a", time.Hour) {
		t.Error("windows long ago count")
	}
	for i := range maxOperations + 10 {
		span(500*second, fmt.Sprint(i), ms)
	}
	if over := testutil.ToFloat64(x.self.overflow); over != 10 {
		t.Errorf("%v spans of too many operations", over)
	}
}

func TestDurationBuckets(t *testing.T) {
	before := -1
	for nanos := int64(1); nanos < 1<<45; nanos += 1 + nanos/13 {
		b := bucketOf(nanos)
		if b < before || nanos >= upper(b) || b > 0 && nanos < upper(b-1) {
			t.Fatalf("%d ns are in bucket %d below %d", nanos, b, upper(b))
		}
		before = b
	}
	if bucketOf(math.MaxInt64) != buckets-1 || bucketOf(0) != 0 {
		t.Error("the ends are wrong")
	}
}

func TestIndexHasNoSnapshot(t *testing.T) {
	x := NewIndex(IndexOptions{})
	x.Observe(spanBatch(1, traceID(1)), false)
	if s := x.AppendSnapshot(nil); len(s) != 0 {
		t.Errorf("%d bytes", len(s))
	}
	if err := x.Restore(x.AppendSnapshot(nil)); err != nil {
		t.Error(err)
	}
	if err := x.Restore([]byte{1}); !errors.Is(err, ErrSnapshot) {
		t.Error(err)
	}
}

// TestIndexMemory: a trace costs about 100 bytes, and an emptied index gives them back.
func TestIndexMemory(t *testing.T) {
	const n = 300_000
	low := int64(0)
	x := NewIndex(IndexOptions{Rules: allFacts(t), Watermarks: []func() int64{func() int64 { return low }}})
	before := heap()
	b := errorBatch(1, telemetry.TraceID{})
	for i := range n {
		b.Spans[0].TraceID = traceID(i)
		x.Observe(b, false)
	}
	each := float64(heap()-before) / n
	t.Logf("%.0f bytes a trace with a fact", each)
	if each > 200 {
		t.Errorf("%.0f bytes a trace", each)
	}
	low = int64(time.Hour)
	x.Observe(errorBatch(time.Hour, traceID(n)), false)
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
	x := NewIndex(IndexOptions{Rules: allFacts(t)})
	spans, logs, samples := errorBatch(1, traceID(1), traceID(2)), lineBatch(1, 17, traceID(1)), exemplarBatch(1, traceID(1).String())
	if n := testing.AllocsPerRun(1000, func() {
		x.Observe(spans, false)
		x.Observe(logs, false)
		x.Observe(samples, false)
		x.Facts(traceID(1), 1)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// BenchmarkIndex takes in traces of ten spans, one in ten of them with an error; ns/op is per span.
func BenchmarkIndex(b *testing.B) {
	x := NewIndex(IndexOptions{Rules: allFacts(b)})
	batch := spanBatch(0, make([]telemetry.TraceID, 10)...)
	b.ReportAllocs()
	for i := 0; i < b.N; i += 10 {
		id := traceID(i)
		for j := range batch.Spans {
			batch.Spans[j].TraceID, batch.Spans[j].Status = id, telemetry.StatusOK
		}
		if i%100 == 0 {
			batch.Spans[3].Status = telemetry.StatusError
		}
		batch.ReceivedUnixNano += int64(10 * time.Millisecond)
		x.Observe(batch, false)
	}
}

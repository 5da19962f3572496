package correlate

import (
	"errors"
	"math/rand/v2"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

func newDecider(t testing.TB, fsys disk.FS, r *Rules) *Decider {
	t.Helper()
	x := NewIndex(IndexOptions{Rules: r, Wait: testWait, Late: testLate})
	return NewDecider(DeciderOptions{Index: x, Verdicts: verdictLog(t, fsys, 0)})
}

func (d *Decider) take(t testing.TB, b *telemetry.Batch) {
	t.Helper()
	d.index.Observe(b, false)
	if err := d.Write(t.Context(), []*telemetry.Batch{b}); err != nil {
		t.Fatal(err)
	}
}

func TestATraceIsDecidedOnce(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	d := newDecider(t, disk.NewMem(), rules(t, Rule{Name: "error", Kind: RuleError}, Rule{Name: "share", Kind: RuleShare, Traces: 1}))
	reg.MustRegister(d)
	a, b := traceID(1), traceID(2)
	d.take(t, errorBatch(1000*second, a))
	d.take(t, spanBatch(1001*second, b, b, a))
	d.take(t, spanBatch(1001*second, traceID(3)))  // nothing is left of the share
	d.take(t, errorBatch(1010*second, traceID(3))) // too late
	d.take(t, spanBatch(1070*second, a))
	d.take(t, spanBatch(1070*second+1, a)) // another trace
	if !d.verdicts.Kept(a, int64(1070*second)) || !d.verdicts.Kept(b, int64(1001*second)) || d.verdicts.Kept(traceID(3), int64(1010*second)) {
		t.Error("the verdicts are wrong")
	}
	for id, want := range map[telemetry.TraceID]bool{a: false, traceID(3): true, traceID(4): false} {
		if got := d.Dropped(id, int64(1005*second)); got != want {
			t.Errorf("trace %s is dropped: %v", id, got)
		}
	}
	if d.Dropped(traceID(3), int64(990*second)) || !d.Dropped(traceID(3), int64(991*second)) || d.Dropped(traceID(3), int64(1072*second)) {
		t.Error("what is far from a trace is dropped with it")
	}
	want := `
# HELP braid_correlate_rule_traces_total Kept traces for which a rule held (kept), and traces that it alone would have kept (alone).
# TYPE braid_correlate_rule_traces_total counter
braid_correlate_rule_traces_total{outcome="alone",rule="error"} 1
braid_correlate_rule_traces_total{outcome="alone",rule="share"} 3
braid_correlate_rule_traces_total{outcome="kept",rule="error"} 1
braid_correlate_rule_traces_total{outcome="kept",rule="share"} 2
# HELP braid_correlate_traces_total Traces decided, each once.
# TYPE braid_correlate_traces_total counter
braid_correlate_traces_total{verdict="dropped"} 1
braid_correlate_traces_total{verdict="kept"} 3
# HELP braid_links_late_total What came when its trace had been decided: spans, which follow the verdict, and error lines of traces that are not kept.
# TYPE braid_links_late_total counter
braid_links_late_total{kind="span"} 1
`
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "braid_correlate_rule_traces_total",
		"braid_correlate_traces_total", "braid_links_late_total"); err != nil {
		t.Error(err)
	}
}

func TestMalformedSpansAreIsolatedAndCounted(t *testing.T) {
	d := newDecider(t, disk.NewMem(), rules(t, Rule{Name: "always", Kind: RuleAlways}, Rule{Name: "p", Kind: RuleSlow, Quantile: 0.5}))
	b := spanBatch(1000*second, traceID(1), telemetry.TraceID{}, traceID(2), traceID(3))
	b.Spans[2].SpanID = telemetry.SpanID{}
	b.Spans[3].StartUnixNano, b.Spans[3].EndUnixNano = 1<<62, -1<<62
	b.Spans[3].Name = strings.Repeat("x", 1<<20)
	b.Spans[3].Attrs = []telemetry.Attr{{Key: strings.Repeat("k", 1<<20)}}
	d.take(t, b)
	d.take(t, spanBatch(1071*second, traceID(1)))
	for n, kept := range []bool{1: true, 2: true, 3: true} {
		if n > 0 && d.verdicts.Kept(traceID(n), int64(1000*second)) != kept {
			t.Errorf("trace %d is wrong", n)
		}
	}
	if d.verdicts.Kept(telemetry.TraceID{}, int64(1000*second)) {
		t.Error("no trace is kept")
	}
	want := DeciderCounts{Traces: 4, Kept: 4, RuleKept: []uint64{4, 0}, RuleAlone: []uint64{4, 0}, Spans: 5,
		NoTraceID: 1, NoSpanID: 1, EndBeforeStart: 1, ReusedTraceIDs: 1}
	if got := d.Counts(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, not %+v", got, want)
	}
}

func TestAVerdictThatCannotBeWrittenIsWrittenLater(t *testing.T) {
	fsys := disk.NewMem()
	d := newDecider(t, fsys, rules(t, Rule{Name: "always", Kind: RuleAlways}))
	d.take(t, spanBatch(1000*second, traceID(1)))
	b := []*telemetry.Batch{spanBatch(1001*second, traceID(2), traceID(3))}
	for _, op := range []string{"write", "sync", "create"} {
		fsys.FailOn(func(got, _ string) error {
			if got == op {
				return syscall.ENOSPC
			}
			return nil
		})
		if err := d.Write(t.Context(), b); !errors.Is(err, syscall.ENOSPC) || telemetry.IsPermanent(err) {
			t.Errorf("%s: %v", op, err)
		}
		if d.verdicts.Kept(traceID(2), int64(1001*second)) {
			t.Error("a verdict is seen that is not synced")
		}
		if d.Dropped(traceID(2), int64(1001*second)) {
			t.Error("a trace counts as dropped whose verdict is on its way")
		}
	}
	fsys.FailOn(nil)
	if err := d.Write(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	if n := d.verdicts.Length(); n != 3 || d.Counts().Traces != 3 {
		t.Errorf("%d verdicts", n)
	}
}

func TestDeciderSnapshot(t *testing.T) {
	r := rules(t, Rule{Name: "error", Kind: RuleError}, Rule{Name: "share", Kind: RuleShare, Traces: 2})
	fsys := disk.NewMem()
	d := newDecider(t, fsys, r)
	d.take(t, spanBatch(1000*second, traceID(1)))
	d.take(t, spanBatch(1040*second, traceID(1), traceID(2))) // trace 1 is odd
	snapshot := d.AppendSnapshot(nil)
	counts := d.Counts()
	d.take(t, spanBatch(1040*second+1, traceID(3), traceID(4)))
	want := d.Counts()
	again := newDecider(t, fsys.KillClone(), r)
	if err := again.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	if got := again.Counts(); !reflect.DeepEqual(got, counts) || again.verdicts.Length() != 2 {
		t.Errorf("%+v with %d verdicts", got, again.verdicts.Length())
	}
	again.Observe(spanBatch(1040*second, traceID(1), traceID(2)), true)
	if got := again.AppendSnapshot(nil); string(got) != string(snapshot) {
		t.Error("a replay changes the snapshot")
	}
	again.take(t, spanBatch(1040*second+1, traceID(3), traceID(4)))
	if got := again.Counts(); !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, not %+v", got, want)
	}
	again.take(t, spanBatch(1071*second, traceID(1))) // after the end of the odd one
	if n := again.Counts().Traces; n != want.Traces+1 {
		t.Errorf("%d traces", n)
	}
	other := newDecider(t, fsys.KillClone(), rules(t, Rule{Name: "new", Kind: RuleError}, Rule{Name: "error", Kind: RuleError}))
	if err := other.Restore(snapshot); err != nil || other.Counts().Traces != counts.Traces {
		t.Errorf("with other rules: %+v, %v", other.Counts(), err)
	}
	for n := 1; n < len(snapshot); n++ {
		if err := other.Restore(snapshot[:n]); !errors.Is(err, ErrSnapshot) {
			t.Errorf("the first %d bytes: %v", n, err)
		}
	}
	if err := other.Restore([]byte{9}); !errors.Is(err, ErrSnapshot) {
		t.Error(err)
	}
}

// TestWhatWasSeenIsRebuilt: with the odd traces and a replay of Hold, every span to come belongs to the same trace as without.
func TestWhatWasSeenIsRebuilt(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 1))
	type span struct {
		id telemetry.TraceID
		at int64
	}
	for range 40 {
		life, part := int64(testWait+testLate), int64(testLate)/parts
		var spans []span
		at := int64(1000 * second)
		for range 3000 { // ids are used all the time, some often and some seldom
			at += rng.Int64N(int64(400 * time.Millisecond))
			spans = append(spans, span{traceID(int(rng.ExpFloat64() * 40)), at})
		}
		whole, cut := seen{life: life, part: part}, 1500+rng.IntN(1000)
		for _, s := range spans[:cut] {
			whole.expire(s.at)
			whole.span(s.id, s.at)
		}
		rebuilt := seen{life: life, part: part}
		in := decoder{b: whole.append(nil)}
		if rebuilt.read(&in); in.bad || len(in.b) > 0 {
			t.Fatal("the snapshot cannot be read")
		}
		for _, s := range spans[:cut] {
			if s.at >= spans[cut-1].at-rebuilt.hold() {
				rebuilt.expire(s.at)
				rebuilt.span(s.id, s.at)
			}
		}
		for _, s := range spans[cut:] {
			whole.expire(s.at)
			rebuilt.expire(s.at)
			t1, begins1, again1 := whole.span(s.id, s.at)
			t2, begins2, again2 := rebuilt.span(s.id, s.at)
			if t1 != t2 || begins1 != begins2 || again1 != again2 {
				t.Fatalf("a span of %d: trace of %d (%v, %v), not of %d (%v, %v)", s.at, t2, begins2, again2, t1, begins1, again1)
			}
		}
	}
}

// TestPendingTraceMemory: what the decider remembers of a trace until its late window is over, and what a kept one costs more.
func TestPendingTraceMemory(t *testing.T) {
	const n = 500_000
	for name, r := range map[string]*Rules{
		"dropped": rules(t, Rule{Name: "never", Kind: RuleNever}), "kept": rules(t, Rule{Name: "always", Kind: RuleAlways}),
		"kept for an error": rules(t, Rule{Name: "error", Kind: RuleError}),
	} {
		v, err := OpenVerdicts(VerdictsOptions{Dir: t.TempDir() + "/v"})
		if err != nil {
			t.Fatal(err)
		}
		d := NewDecider(DeciderOptions{Index: NewIndex(IndexOptions{Rules: r}), Verdicts: v})
		before := heap()
		b := errorBatch(1000*second, make([]telemetry.TraceID, 1000)...)
		for i := 0; i < n; i += len(b.Spans) {
			for j := range b.Spans {
				b.Spans[j].TraceID = traceID(i + j)
			}
			d.take(t, b)
		}
		each := float64(heap()-before) / n
		t.Logf("%.0f bytes a trace that is %s", each, name)
		if each > 200 {
			t.Errorf("%.0f bytes a trace that is %s", each, name)
		}
		runtime.KeepAlive(d)
		v.Close()
	}
}

// BenchmarkDecide decides traces of ten spans, one in ten of them kept, without the time that a disk takes; ns/op is per trace.
func BenchmarkDecide(b *testing.B) {
	x := NewIndex(IndexOptions{Rules: allFacts(b)})
	v, err := OpenVerdicts(VerdictsOptions{Dir: "v", FS: disk.NewMem()})
	if err != nil {
		b.Fatal(err)
	}
	defer v.Close()
	d := NewDecider(DeciderOptions{Index: x, Verdicts: v})
	const perBatch = 50
	batch := spanBatch(1000*second, make([]telemetry.TraceID, 10*perBatch)...)
	b.ReportAllocs()
	for i := 0; i < b.N; i += perBatch {
		for j := range batch.Spans {
			n := i + j/10
			batch.Spans[j].TraceID, batch.Spans[j].Status = traceID(n), telemetry.StatusOK
			if n%10 == 0 {
				batch.Spans[j].Status = telemetry.StatusError
			}
		}
		batch.ReceivedUnixNano += int64(50 * time.Millisecond)
		b.StopTimer()
		x.Observe(batch, false)
		b.StartTimer()
		if err := d.Write(b.Context(), []*telemetry.Batch{batch}); err != nil {
			b.Fatal(err)
		}
	}
}

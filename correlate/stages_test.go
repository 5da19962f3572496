package correlate

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

func TestSpansOfKeptTracesAreKept(t *testing.T) {
	d := newDecider(t, disk.NewMem(), rules(t, Rule{Name: "error", Kind: RuleError}))
	a, b, c := traceID(1), traceID(2), traceID(3)
	d.take(t, errorBatch(1000*second, a, c))
	d.take(t, spanBatch(1000*second, b))
	none := telemetry.TraceID{}
	for _, test := range []struct {
		at   time.Duration
		in   []telemetry.TraceID
		want []telemetry.TraceID
	}{
		{1000 * second, []telemetry.TraceID{a, a, b, c, none, a}, []telemetry.TraceID{a, a, c, a}},
		{1069 * second, []telemetry.TraceID{b, none, a}, []telemetry.TraceID{a}}, // late ones follow
		{1071 * second, []telemetry.TraceID{a}, nil},                             // another trace, not decided
		{1000 * second, []telemetry.TraceID{none, none}, nil},
	} {
		batch := spanBatch(test.at, test.in...)
		d.verdicts.KeepSpans(batch)
		var got []telemetry.TraceID
		for _, s := range batch.Spans {
			got = append(got, s.TraceID)
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("at %v of %v are left %v", test.at, test.in, got)
		}
	}
}

func TestLinesFollowTheirTrace(t *testing.T) {
	d := newDecider(t, disk.NewMem(), rules(t, Rule{Name: "error", Kind: RuleError}))
	kept, dropped, unseen := traceID(1), traceID(2), traceID(3)
	d.take(t, errorBatch(1000*second, kept))
	d.take(t, spanBatch(1000*second, dropped))
	for severity, left := range map[telemetry.Severity]int{
		0: 3, 1: 2, 5: 2, telemetry.SeverityInfo: 2, telemetry.SeverityWarn - 1: 2, telemetry.SeverityWarn: 3, telemetry.SeverityError: 3,
	} {
		b := lineBatch(999*second, severity, kept, dropped, unseen)
		d.FollowTrace(b)
		if len(b.Logs) != left || b.Logs[0].TraceID != kept || b.Logs[left-1].TraceID != unseen {
			t.Errorf("of severity %d are left %d lines", severity, len(b.Logs))
		}
	}
	b := lineBatch(1000*second, telemetry.SeverityInfo, telemetry.TraceID{}, dropped)
	d.FollowTrace(b)
	if len(b.Logs) != 1 || !b.Logs[0].TraceID.IsZero() {
		t.Errorf("left are %v", b.Logs)
	}
}

// A line that comes earlier than Wait before its trace passes the exporter that does not lag before the trace is decided; so
// it passes the one that lags, too.
func TestALineLongBeforeItsTraceIsShippedByEveryExporter(t *testing.T) {
	d := newDecider(t, disk.NewMem(), rules(t, Rule{Name: "error", Kind: RuleError}))
	d.take(t, spanBatch(1000*second, traceID(1)))
	for at, left := range map[time.Duration]int{989 * second: 1, 990*second - 1: 1, 990 * second: 0, 1070 * second: 0, 1071 * second: 1} {
		b := lineBatch(at, telemetry.SeverityInfo, traceID(1))
		if d.FollowTrace(b); len(b.Logs) != left {
			t.Errorf("of a line received at %v there are %d left", at, len(b.Logs))
		}
	}
	d.take(t, errorBatch(1080*second, traceID(1))) // the id again, and now it is kept
	b := lineBatch(1065*second, telemetry.SeverityInfo, traceID(1))
	if d.FollowTrace(b); len(b.Logs) != 0 {
		t.Error("what was dropped before a later trace of the same id is shipped after it")
	}
}

// A reader that is far behind is told the same as one that is not.
func TestWhatWasDroppedIsRememberedForReaders(t *testing.T) {
	x := NewIndex(IndexOptions{Rules: rules(t, Rule{Name: "error", Kind: RuleError}), Wait: testWait, Late: testLate})
	reader := int64(1000 * second)
	d := NewDecider(DeciderOptions{Index: x, Verdicts: verdictLog(t, disk.NewMem(), 0), Readers: []func() int64{func() int64 { return reader }}})
	d.take(t, spanBatch(1000*second, traceID(1)))
	for at := 1001 * second; at < 2000*second; at += second {
		d.take(t, spanBatch(at, traceID(2)))
	}
	if !d.Dropped(traceID(1), int64(1000*second)) {
		t.Error("it is forgotten")
	}
	reader = int64(1990 * second)
	d.take(t, spanBatch(2000*second, traceID(2)))
	if d.Dropped(traceID(1), int64(1000*second)) {
		t.Error("it is remembered without need")
	}
}

func TestErrorLinesThatComeTooLateAreCounted(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	d := newDecider(t, disk.NewMem(), rules(t, Rule{Name: "error", Kind: RuleError}))
	decided := 990 * second
	l := d.Lines(func() int64 { return int64(decided) })
	reg.MustRegister(d)
	kept, dropped := traceID(1), traceID(2)
	late := func(want uint64) {
		t.Helper()
		if got := l.settle(); got != want {
			t.Errorf("%d lines are late, not %d", got, want)
		}
	}
	l.Observe(lineBatch(1009*second, telemetry.SeverityError, dropped), false) // in time
	l.Observe(lineBatch(1010*second, telemetry.SeverityError, dropped, kept, traceID(3), telemetry.TraceID{}), false)
	l.Observe(lineBatch(1010*second, telemetry.SeverityInfo, dropped), false)
	l.Observe(lineBatch(1010*second, telemetry.SeverityError, dropped), true) // counted before
	d.take(t, errorBatch(1000*second, kept))
	d.take(t, spanBatch(1000*second, dropped))
	late(0) // nobody knows yet
	snapshot := l.AppendSnapshot(nil)
	decided = 1010 * second
	late(1)
	l.Observe(lineBatch(1070*second, telemetry.SeverityError, dropped), false)
	l.Observe(lineBatch(1071*second, telemetry.SeverityError, dropped), false) // of another trace, if of any
	decided = 1080 * second
	late(2)
	if n := testutil.CollectAndCount(d, "braid_links_late_total"); n != 2 {
		t.Errorf("%d kinds of links are counted", n)
	}
	if err := l.Restore(snapshot); err != nil {
		t.Fatal(err)
	}
	late(1)
	for _, bad := range [][]byte{{9}, {1}, {1, 0, 1}, append(snapshot, 0)} {
		if err := l.Restore(bad); err == nil {
			t.Errorf("%v is restored", bad)
		}
	}
	late(1)
}

// Without sampling a trace is kept once it has shown a span.
func TestTracesThatWereSeenAreKept(t *testing.T) {
	x := NewTraces(testWait, testLate)
	x.Observe(spanBatch(1000*second, traceID(1), telemetry.TraceID{}, traceID(2)), false)
	x.Observe(spanBatch(1050*second, traceID(3)), true)
	for _, c := range []struct {
		id   telemetry.TraceID
		at   time.Duration
		want bool
	}{
		{traceID(1), 940 * second, true}, {traceID(1), 939 * second, false}, {traceID(1), 1070 * second, true},
		{traceID(2), 1071 * second, false}, {traceID(3), 1071 * second, true}, {traceID(4), 1000 * second, false},
		{telemetry.TraceID{}, 1000 * second, false},
	} {
		if got := x.Kept(c.id, int64(c.at)); got != c.want || x.Dropped(c.id, int64(c.at)) {
			t.Errorf("%s at %v: %v", c.id, c.at, got)
		}
	}
	for at := 1051 * second; at < 1300*second; at += second {
		x.Observe(spanBatch(at, traceID(9)), false)
	}
	if x.Kept(traceID(1), int64(1000*second)) {
		t.Error("a trace of long ago is remembered")
	}
	if err := x.Restore(x.AppendSnapshot(nil)); err != nil || x.Restore([]byte{1}) == nil {
		t.Error("it has a snapshot")
	}
}

package logs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/logs/logstest"
	"github.com/braidhq/braid/telemetry"
)

// A bench is a node with one container, a recording sink, and options that are quick about everything.
type bench struct {
	t    *testing.T
	node *logstest.Node
	w    *logstest.Writer
	sink *recorder
	reg  *prometheus.Registry
	o    Options
	src  *Source
}

func newBench(t *testing.T) *bench {
	t.Helper()
	dir := t.TempDir()
	node, err := logstest.NewNode(filepath.Join(dir, "pods"), logstest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, node: node, sink: newRecorder()}
	b.o = Options{
		Roots: []Root{{Path: node.Root(), Format: format.CRI}}, StateDir: filepath.Join(dir, "state"),
		Linger: time.Millisecond, Settle: 10 * time.Millisecond, IdleCut: time.Hour, SaveEvery: time.Millisecond,
	}
	b.w, err = node.Start(logstest.Container("ns", "pod", "uid", "main", 0))
	b.must(err)
	t.Cleanup(func() { _ = b.w.Close() })
	return b
}

func (b *bench) must(err error) {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) start() (stop func()) {
	b.t.Helper()
	b.reg = prometheus.NewRegistry()
	o := b.o
	o.Registerer = b.reg
	var err error
	b.src, err = New(o)
	b.must(err)
	return startSource(b.t, b.src, b.sink)
}

// bodies waits until n lines are there and everything is quiet, and returns their texts.
func (b *bench) bodies(n int) []string {
	b.t.Helper()
	var out []string
	got := b.sink.await(b.t, fmt.Sprintf("%d lines", n), func(l []line) bool { return len(l) >= n })
	for _, l := range got {
		out = append(out, l.body)
	}
	return out
}

// metric sums a metric over its labels.
func (b *bench) metric(name string) float64 {
	b.t.Helper()
	families, err := b.reg.Gather()
	b.must(err)
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return sum
}

func (b *bench) expect(want ...string) {
	b.t.Helper()
	if got := b.bodies(len(want)); strings.Join(got, "\n") != strings.Join(want, "\n") {
		b.t.Fatalf("got %q, want %q", got, want)
	}
}

func (b *bench) awaitMetric(name string, want float64) {
	b.t.Helper()
	b.sink.await(b.t, fmt.Sprintf("%s = %v, is %v", name, want, b.metric(name)), func([]line) bool { return b.metric(name) == want })
}

// A line that goes on in the next file has the id of that file; until it is safe, reading begins in the old one.
func TestLineOverRotation(t *testing.T) {
	b := newBench(t)
	b.must(b.w.Piece(telemetry.Stderr, []byte("first"), true))
	b.must(b.w.Piece(telemetry.Stdout, []byte("be"), false))
	stop := b.start()
	b.bodies(1)
	b.must(b.w.Rotate(func() error { return b.w.Piece(telemetry.Stdout, []byte("gin"), false) }))
	b.must(b.w.Piece(telemetry.Stderr, []byte("between"), true))
	b.expect("first", "between")
	stop()
	stop = b.start() // the open line is read again from the rotated file
	b.must(b.w.Piece(telemetry.Stdout, []byte("ning"), true))
	b.expect("first", "between", "beginning")
	stop()
	compareLedger(t, b)
}

func compareLedger(t *testing.T, b *bench) {
	t.Helper()
	got := dedup(t, b.sink.snapshot())
	for _, want := range b.node.Ledger() {
		if l, ok := got[position{want.FileID, want.Stream, want.Position}]; !ok || l.body != want.Body || l.unixNano != want.UnixNano {
			t.Fatalf("want %+v, have %+v", want, l)
		}
	}
	if len(got) != len(b.node.Ledger()) {
		t.Fatalf("%d lines, wrote %d", len(got), len(b.node.Ledger()))
	}
}

// What the runtime writes to the renamed file when the new one has content already is read too, and before the new one.
func TestTwoStreamSwap(t *testing.T) {
	b := newBench(t)
	b.o.Settle = 3 * time.Second
	stop := b.start()
	b.must(b.w.Line(telemetry.Stdout, []byte("one")))
	b.expect("one")
	b.must(b.w.RotateSwapping(telemetry.Stdout, telemetry.Stderr, []byte("swap"), func() {
		// A reader that does not wait has gone on by then.
		deadline := time.After(200 * time.Millisecond)
		for waiting := true; waiting; {
			select {
			case <-b.sink.changed:
			case <-deadline:
				waiting = false
			}
		}
		if len(b.sink.snapshot()) > 1 {
			t.Error("the new file was read before the old one was finished")
		}
	}))
	b.bodies(3)
	stop()
	compareLedger(t, b)
}

// An idle line without its end is emitted alone, and only once the cut is on disk; what follows is a new record.
func TestIdleCut(t *testing.T) {
	b := newBench(t)
	b.o.IdleCut = 20 * time.Millisecond
	b.o.SaveEvery = time.Hour // so that only a cut saves
	fsys := &mortalFS{FS: disk.OS}
	b.o.FS = fsys
	b.must(b.w.Line(telemetry.Stdout, []byte("whole")))
	stop := b.start()
	b.expect("whole")
	fsys.dead.Store(true)
	b.must(b.w.Piece(telemetry.Stdout, []byte("no end"), false))
	b.awaitMetricAbove("braid_logs_errors_total", 1)
	if n := len(b.sink.snapshot()); n != 1 {
		t.Fatal("emitted before the cut was synced")
	}
	fsys.dead.Store(false)
	got := b.sink.await(t, "the cut line", func(l []line) bool { return len(l) == 2 })
	if got[1].body != "no end" || got[1].flags != telemetry.Partial {
		t.Fatalf("%+v", got[1])
	}
	b.must(b.w.Piece(telemetry.Stdout, []byte("late end"), true))
	b.expect("whole", "no end", "late end")
	stop()
	if n := b.metric("braid_logs_records_flagged_total"); n != 1 {
		t.Fatal("flagged", n)
	}
}

func (b *bench) awaitMetricAbove(name string, min float64) {
	b.t.Helper()
	b.sink.await(b.t, name, func([]line) bool { return b.metric(name) >= min })
}

// After a crash between cut and acknowledgement the same cut is made, although the end of the line has come since.
func TestCutIsRepeated(t *testing.T) {
	b := newBench(t)
	b.o.IdleCut = 20 * time.Millisecond
	b.o.SaveEvery = time.Hour
	b.must(b.w.Piece(telemetry.Stdout, []byte("no end"), false))
	mortalRun(t, b.o, b.sink, 1)
	b.must(b.w.Piece(telemetry.Stdout, []byte("late end"), true))
	stop := b.start()
	b.sink.await(t, "late end", func(l []line) bool { return l[len(l)-1].body == "late end" })
	stop()
	got := dedup(t, b.sink.snapshot())
	if len(got) != 2 {
		t.Fatalf("%+v", got)
	}
}

// A file that is deleted is read to its end through the open descriptor, whatever the pod's directory.
func TestDeletedPodIsDrained(t *testing.T) {
	b := newBench(t)
	gate := make(chan struct{})
	var once bool
	b.sink.fail = func(int) error {
		if !once {
			once = true
			<-gate
		}
		return nil
	}
	b.must(b.w.Line(telemetry.Stdout, []byte("held up")))
	stop := b.start()
	b.sink.await(t, "the first write", func([]line) bool { return b.metric("braid_logs_records_read_total") > 0 })
	for i := range 1000 {
		b.must(b.w.Line(telemetry.Stdout, fmt.Appendf(nil, "line %d %s", i, strings.Repeat("x", 1000))))
	}
	b.must(b.w.Piece(telemetry.Stderr, []byte("last words"), false))
	b.must(b.node.DeletePod(b.w.Container()))
	close(gate)
	got := b.bodies(1002)
	if got[1001] != "last words" {
		t.Fatalf("%q", got[1001])
	}
	b.awaitMetric("braid_logs_open_files", 0)
	stop()
	if lost := b.metric("braid_log_bytes_lost_total") + b.metric("braid_log_gaps_total"); lost != 0 {
		t.Fatal("lost", lost)
	}
}

// Beyond the limit of what deleted files may hold, the oldest is given up and counted to the byte.
func TestOpenBytesLimit(t *testing.T) {
	b := newBench(t)
	b.o.OpenBytesLimit = 10 << 10
	gate := make(chan struct{})
	b.sink.fail = func(int) error { <-gate; return nil }
	b.must(b.w.Line(telemetry.Stdout, []byte("held up")))
	stop := b.start()
	b.sink.await(t, "the first write", func([]line) bool { return b.metric("braid_logs_records_read_total") > 0 })
	other, err := b.node.Start(logstest.Container("ns", "other", "uid2", "main", 0))
	b.must(err)
	b.must(other.Line(telemetry.Stdout, bytes.Repeat([]byte("x"), 12<<10)))
	size := other.Size()
	b.awaitMetric("braid_logs_open_files", 2)
	b.must(other.Close())
	b.must(b.node.DeletePod(other.Container()))
	b.awaitMetric("braid_log_bytes_lost_total", float64(size))
	close(gate)
	b.expect("held up")
	stop()
	if got := testutil.ToFloat64(b.src.metrics.Lost.WithLabelValues("ns", "other", "main", "open-limit")); got != float64(size) {
		t.Fatal("lost", got)
	}
}

// What was known and is gone after a downtime is counted to the byte, and the rest as one gap.
func TestLostWhileDown(t *testing.T) {
	b := newBench(t)
	b.must(b.w.Line(telemetry.Stdout, []byte("one")))
	b.sink.fail = func(n int) error {
		if n > 1 {
			return errors.New("away")
		}
		return nil
	}
	stop := b.start()
	b.expect("one")
	before := b.w.Size()
	b.must(b.w.Line(telemetry.Stdout, []byte("two")))
	b.awaitMetricAbove("braid_logs_errors_total", 1)
	stop()
	b.must(b.node.DeletePod(b.w.Container()))
	stop = b.start()
	b.awaitMetric("braid_log_bytes_lost_total", float64(b.w.Size()-before))
	b.awaitMetric("braid_log_gaps_total", 1)
	stop()
	stop = b.start()
	stop()
	if n := b.metric("braid_log_gaps_total"); n != 0 {
		t.Fatal("the same gap was counted again")
	}
}

// A file that is emptied in place is another file from then on, and counts as a gap.
func TestTruncatedInPlace(t *testing.T) {
	b := newBench(t)
	b.must(b.w.Line(telemetry.Stdout, []byte("a long first line, longer than what follows")))
	stop := b.start()
	b.bodies(1)
	live := filepath.Join(b.node.Root(), "ns_pod_uid", "main", "0.log")
	b.must(os.Truncate(live, 0))
	b.awaitMetric("braid_log_gaps_total", 1)
	b.must(b.w.Line(telemetry.Stdout, []byte("new")))
	b.expect("a long first line, longer than what follows", "new")
	stop()
}

// No newline, no identity: nothing is emitted. A torn tail is emitted when nothing can follow it.
func TestBeforeFirstNewlineAndTornTail(t *testing.T) {
	b := newBench(t)
	live := filepath.Join(b.node.Root(), "ns_pod_uid", "main", "0.log")
	write := func(s string) {
		f, err := os.OpenFile(live, os.O_WRONLY|os.O_APPEND, 0)
		b.must(err)
		_, err = f.WriteString(s)
		b.must(errors.Join(err, f.Close()))
	}
	write("2026-11-20T23:46:18.1Z stdout F ha")
	stop := b.start()
	b.awaitMetric("braid_logs_open_files", 1)
	if n := len(b.sink.snapshot()); n != 0 {
		t.Fatal("emitted without identity")
	}
	write("lf\n2026-11-20T23:46:18.2Z stdout F torn")
	b.expect("half")
	next, err := b.w.Restart()
	b.must(err)
	b.w = next
	b.must(b.w.Line(telemetry.Stdout, []byte("next attempt")))
	got := b.sink.await(t, "3 lines", func(l []line) bool { return len(l) == 3 })
	torn := map[string]telemetry.LogFlags{}
	for _, l := range got {
		torn[l.body] = l.flags
	}
	if torn["torn"] != telemetry.Partial || torn["next attempt"] != 0 {
		t.Fatalf("%+v", got)
	}
	stop()
}

// Lines over the limit are truncated and flagged, in memory that does not grow with them.
func TestLineLimit(t *testing.T) {
	b := newBench(t)
	long := bytes.Repeat([]byte("0123456789abcdef"), 3<<20/16)
	b.must(b.w.Line(telemetry.Stdout, long))                 // in pieces of 16 KiB
	b.must(b.w.Piece(telemetry.Stdout, long, true))          // in one physical line
	b.must(b.w.Piece(telemetry.Stdout, long[:600000], true)) // longer than a chunk, within the limit
	b.must(b.w.Line(telemetry.Stdout, []byte("next")))
	stop := b.start()
	got := b.sink.await(t, "4 lines", func(l []line) bool { return len(l) == 4 })
	stop()
	for i, want := range []int{1 << 20, 1 << 20, 600000, 4} {
		if len(got[i].body) != want || (got[i].flags == telemetry.Truncated) != (want == 1<<20) {
			t.Fatalf("line %d: %d bytes, flags %v", i, len(got[i].body), got[i].flags)
		}
	}
	if !bytes.HasPrefix(long, []byte(got[1].body)) {
		t.Fatal("not the beginning")
	}
}

// A directory that cannot be read is an error that is counted; the others go on.
func TestUnreadableDirectory(t *testing.T) {
	b := newBench(t)
	b.must(os.Symlink("loop", filepath.Join(b.node.Root(), "loop")))
	b.must(os.Symlink("ns_bad_uid", filepath.Join(b.node.Root(), "ns_bad_uid"))) // leads to itself: ELOOP
	b.must(b.w.Line(telemetry.Stdout, []byte("fine")))
	stop := b.start()
	b.expect("fine")
	if b.metric("braid_logs_errors_total") == 0 {
		t.Fatal("no error was counted")
	}
	stop()
}

// A refusal for good is counted, and passed.
func TestPermanentIsPassed(t *testing.T) {
	b := newBench(t)
	b.sink.fail = func(n int) error {
		if n == 1 {
			return telemetry.Permanent(errors.New("cannot be"))
		}
		return nil
	}
	b.must(b.w.Line(telemetry.Stdout, []byte("refused")))
	stop := b.start()
	b.awaitMetric("braid_logs_records_dropped_total", 1)
	b.must(b.w.Line(telemetry.Stdout, []byte("taken")))
	b.expect("taken")
	stop()
	read, sent := b.metric("braid_logs_records_read_total"), b.metric("braid_logs_records_total")
	if read != sent+1 {
		t.Fatalf("read %v = sent %v + dropped 1", read, sent)
	}
}

func TestStateErrors(t *testing.T) {
	b := newBench(t)
	b.must(b.w.Line(telemetry.Stdout, []byte("one")))
	stop := b.start()
	b.expect("one")
	// Two agents on one directory.
	second, err := New(b.o)
	b.must(err)
	if err := second.Run(t.Context(), b.sink); !errors.Is(err, disk.ErrLocked) {
		t.Fatal(err)
	}
	stop()
	name := filepath.Join(b.o.StateDir, "positions")
	good, err := os.ReadFile(name)
	b.must(err)
	// A newer braid's state.
	b.must(disk.WriteVersioned(disk.OS, name, "positions", 2, nil))
	if err := second.Run(t.Context(), b.sink); !errors.Is(err, disk.ErrVersion) {
		t.Fatal(err)
	}
	// A damaged one: everything is read again under the same ids.
	b.must(os.WriteFile(name, good[:len(good)-1], 0o640))
	stop = b.start()
	b.bodies(2)
	stop()
	compareLedger(t, b)
	if _, err := os.Stat(name + ".corrupt"); errors.Is(err, fs.ErrNotExist) {
		t.Fatal("the damaged state is gone")
	}
}

func TestCancelledBeforeStart(t *testing.T) {
	b := newBench(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s, err := New(b.o)
	b.must(err)
	b.must(s.Run(ctx, b.sink))
}

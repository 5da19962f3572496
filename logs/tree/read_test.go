package tree

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/telemetry"
)

func TestReadGoesThroughAllFilesOfTheAttempt(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "other attempt")
	n.write("1.log", "one", "two")
	n.rotate("1.log", "20260101-020000")
	n.compress("1.log.20260101-020000")
	n.write("1.log", "three")
	n.rotate("1.log", "20260101-010000") // the clock went back: names are no order
	n.write("1.log", "four", "err five")
	n.must(os.WriteFile(n.path("1.log.20260101-030000.tmp"), []byte("no log file"), 0o640))
	if got, want := n.bodies(Query{Tail: All}), "one|two|three|four|five"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	c := n.container()
	if got := read(t, c, c.Attempt(0), Query{Tail: All}); got != "other attempt" {
		t.Errorf("attempt 0: %s", got)
	}
	if c.Attempt(7) != nil {
		t.Error("an attempt that is not there")
	}
}

func TestReadJoinsPieces(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "P a", "err P x", "P b", "err y", "c", "P open ")
	n.rotate("0.log", "1")
	n.write("0.log", "closed", "P last words", "err P and others")
	if got, want := n.bodies(Query{Tail: All}), "xy|abc|open closed|last words…|and others…"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

// Whatever the tail, the files it reaches into and the streams that are cut by them: the same last lines.
func TestTailIsTheEndOfTheWhole(t *testing.T) {
	n := newNode(t)
	for file := range 5 {
		for i := range 3 {
			n.write("0.log", fmt.Sprintf("out %d.%d", file, i), fmt.Sprintf("err err %d.%d", file, i))
		}
		n.write("0.log", fmt.Sprintf("P out %d open, ", file), fmt.Sprintf("err P err %d open, ", file))
		if file == 4 {
			break
		}
		n.rotate("0.log", fmt.Sprint(file))
		if file < 3 {
			n.compress("0.log." + fmt.Sprint(file))
		}
	}
	whole := strings.Split(n.bodies(Query{Tail: All}), "|")
	if len(whole) != 32 {
		t.Fatalf("%d lines: %q", len(whole), whole)
	}
	for tail := range len(whole) + 3 {
		want := strings.Join(whole[max(0, len(whole)-tail):], "|")
		if got := n.bodies(Query{Tail: tail}); got != want {
			t.Errorf("tail %d: %s\nwant %s", tail, got, want)
		}
	}
}

func TestQuery(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "a", "b", "c", "d") // at 1 s, 2 s, 3 s, 4 s
	for _, test := range []struct {
		q    Query
		want string
	}{
		{Query{Tail: All}, "a|b|c|d"},
		{Query{Tail: All, FromUnixNano: 3e9}, "c|d"},
		{Query{Tail: All, FromUnixNano: 3e9 + 1}, "d"},
		{Query{Tail: 3, FromUnixNano: 4e9}, "d"},
		{Query{Tail: 0}, ""},
		{Query{Tail: All, TraceID: telemetry.TraceID{1}}, ""},
	} {
		if got := n.bodies(test.q); got != test.want {
			t.Errorf("%+v: %s, want %s", test.q, got, test.want)
		}
	}
}

// The number counts lines of the trace, also when older files must be read for them.
func TestTraceComesBeforeTail(t *testing.T) {
	n := newNode(t)
	const mine = "trace_id=4bf92f3577b34da6a3ce929d0e0e4736 "
	n.write("0.log", mine+"1", "x", mine+"2")
	n.rotate("0.log", "1")
	n.write("0.log", mine+"3", "y", "trace_id=5bf92f3577b34da6a3ce929d0e0e4736", "z")
	id := telemetry.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}
	for tail, want := range map[int]string{All: mine + "1|" + mine + "2|" + mine + "3", 2: mine + "2|" + mine + "3", 1: mine + "3", 0: ""} {
		if got := n.bodies(Query{Tail: tail, TraceID: id}); got != want {
			t.Errorf("tail %d: %s, want %s", tail, got, want)
		}
	}
}

// The number comes before the time: of the last two lines, those that are new enough.
func TestTailIsCutBeforeTime(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "late")
	n.next = 0
	n.write("0.log", "P early", "…") // both at 1 s and 2 s
	n.next = 10
	n.write("0.log", "new")
	n.next = 0
	n.write("0.log", "clock went back")
	if got, want := n.bodies(Query{Tail: 2, FromUnixNano: 5e9}), "new"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestMalformedLinesAreLines(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "a")
	f, err := os.OpenFile(n.path("0.log"), os.O_APPEND|os.O_WRONLY, 0)
	n.must(err)
	_, err = f.WriteString("\x00\x00 power was lost\n")
	n.must(errors.Join(err, f.Close()))
	n.write("0.log", "b")
	if got, want := n.bodies(Query{Tail: All, FromUnixNano: 1e9}), "a|\x00\x00 power was lost|b"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestRecordIsWhatAnAgentWouldSend(t *testing.T) {
	n := newNode(t)
	n.write("3.log", "P level=warn trace_id=4bf92f3577b34da6a3ce929d0e0e4736 ", "span_id=00f067aa0ba902b7")
	var got telemetry.LogRecord
	c := n.container()
	n.must(c.Read(context.Background(), c.Newest(), Query{Tail: All}, func(r *telemetry.LogRecord) error {
		got = *r
		got.Body = bytes.Clone(r.Body)
		return nil
	}))
	data, err := os.ReadFile(n.path("3.log"))
	n.must(err)
	r := got.Resource
	if r.Namespace != "shop" || r.Pod != "cart-0" || r.PodUID != "4711" || r.Container != "web" || r.Restart != 3 {
		t.Errorf("resource %+v", r)
	}
	if got.UnixNano != 1e9 || got.Stream != telemetry.Stdout || got.Flags != 0 || got.Position != int64(len(data)) {
		t.Errorf("record %+v", got.Log)
	}
	if got.Severity != telemetry.SeverityWarn || got.TraceID != (telemetry.TraceID{0x4b, 0xf9, 0x2f, 0x35, 0x77, 0xb3, 0x4d, 0xa6, 0xa3, 0xce, 0x92, 0x9d, 0x0e, 0x0e, 0x47, 0x36}) || got.SpanID.String() != "00f067aa0ba902b7" {
		t.Errorf("fields %v %v %v", got.Severity, got.TraceID, got.SpanID)
	}
	if want := telemetry.FileUID(telemetry.FileID(got.UID[:12]), got.Position); got.UID != want || got.UID.IsZero() {
		t.Errorf("uid %v", got.UID)
	}
}

func TestReadEndsWithYieldsErrorAndWithTheContext(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "a", "b", "P c")
	c := n.container()
	stop := errors.New("enough")
	for _, tail := range []int{All, 1, 3} {
		calls := 0
		err := c.Read(context.Background(), c.Newest(), Query{Tail: tail}, func(*telemetry.LogRecord) error { calls++; return stop })
		if !errors.Is(err, stop) || calls != 1 {
			t.Errorf("tail %d: %v after %d calls", tail, err, calls)
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := c.Read(ctx, c.Newest(), Query{Tail: tail}, func(*telemetry.LogRecord) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("tail %d, canceled: %v", tail, err)
		}
	}
}

// A rotation between listing and reading shifts every name by one.
func TestReadSurvivesARotationAfterTheListing(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "one")
	n.rotate("0.log", "1")
	n.write("0.log", "two")
	c := n.container()
	n.compress("0.log.1")
	n.rotate("0.log", "2")
	n.write("0.log", "three")
	if got, want := read(t, c, c.Newest(), Query{Tail: All}), "one|two|three"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	// Nothing that was listed is missing, and yet the live file is another one.
	n = newNode(t)
	n.write("0.log", "one")
	c = n.container()
	n.rotate("0.log", "1")
	n.write("0.log", "two")
	if got, want := read(t, c, c.Newest(), Query{Tail: All}), "one|two"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestListSample(t *testing.T) {
	all, err := List(sample, format.CRI)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range all {
		for _, a := range c.Attempts {
			got = append(got, fmt.Sprintf("%s/%s/%s %d: %d", c.Namespace, c.Pod, c.Name, a.Restart, len(a.Files)))
		}
	}
	want := []string{
		"demo/batch-kf2qb/job 0: 1",
		"demo/crasher-775449749c-shdf4/main 5: 1",
		"demo/longlines/main 0: 1",
		"demo/noisy/main 0: 5",
		"demo/pair-795dfcb7b5-nnt9b/app 0: 1",
		"demo/pair-795dfcb7b5-nnt9b/migrate 0: 1",
		"demo/pair-795dfcb7b5-nnt9b/sidecar 5: 1",
		"demo/web-686fc4bc56-6vlr9/web 0: 1",
		"demo/web-686fc4bc56-qvkzx/web 0: 1",
		"demo/web-686fc4bc56-s55r6/web 0: 1",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if _, err := List(sample+"/nowhere", format.CRI); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a tree that is not there: %v", err)
	}
}

// The sequence that the noisy pod counts has no gap over .gz files, the rotated file and the live one.
func TestSampleHasNoGapOverRotations(t *testing.T) {
	all, err := List(sample, format.CRI)
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if all[i].Pod != "noisy" {
			continue
		}
		lines := strings.Split(read(t, &all[i], all[i].Newest(), Query{Tail: All}), "|")
		last, uids := 0, 0
		for _, line := range lines {
			var seq int
			if _, err := fmt.Sscanf(line, "seq=%d ", &seq); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			if last != 0 && seq != last+1 {
				t.Fatalf("seq=%d after seq=%d", seq, last)
			}
			last = seq
			uids++
		}
		if uids < 3000 {
			t.Errorf("%d lines only", uids)
		}
		want := strings.Join(lines[len(lines)-1500:], "|")
		if got := read(t, &all[i], all[i].Newest(), Query{Tail: 1500}); got != want {
			t.Error("the last 1500 lines are not the end of all lines")
		}
	}
}

func TestLastWrite(t *testing.T) {
	n := newNode(t)
	n.write("0.log", "a")
	info, err := os.Stat(n.path("0.log"))
	n.must(err)
	if got := LastWrite([]Container{*n.container()}); !got.Equal(info.ModTime()) {
		t.Errorf("%v, want %v", got, info.ModTime())
	}
}

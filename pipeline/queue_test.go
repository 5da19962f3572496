package pipeline

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

func TestFramesComeOutAsTheyWentIn(t *testing.T) {
	q := open(t, disk.NewMem())
	in := telemetry.Frame{
		Signal: telemetry.Logs, Encoding: telemetry.RemoteWrite2, Compression: telemetry.Zstd, Tenant: "acme", Key: 77,
		Origin: telemetry.QueueID{1, 2}, Sequence: 9, ReceivedUnixNano: 5, Body: []byte("hello"),
	}
	if err := q.Append(t.Context(), []telemetry.Frame{in, frame(telemetry.Spans, "x")}); err != nil {
		t.Fatal(err)
	}
	got := drain(t, cursor(t, q, "c", CursorOptions{}))
	if len(got) != 1 {
		t.Fatalf("got %d frames", len(got))
	}
	f := got[0]
	if f.ReceivedUnixNano < time.Now().Add(-time.Hour).UnixNano() {
		t.Errorf("the stamp is the sender's: %d", f.ReceivedUnixNano)
	}
	in.Hash()
	f.ReceivedUnixNano = 5
	if string(f.Body) != "hello" || f.Tenant != in.Tenant || f.Key != in.Key || f.ID != in.ID || f.Origin != in.Origin ||
		f.Sequence != in.Sequence || f.Encoding != in.Encoding || f.Compression != in.Compression || f.Signal != in.Signal {
		t.Errorf("got %+v", f)
	}
}

func TestNextWaitsForASyncedFrame(t *testing.T) {
	q := open(t, disk.NewMem())
	c := cursor(t, q, "c", CursorOptions{})
	go func() { add(t, q, "late") }()
	frames, err := c.Next(within(t), 0)
	if err != nil || bodies(frames) != "late" {
		t.Fatalf("got %v, %v", frames, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := c.Next(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v", err)
	}
}

func TestNextReturnsNoMoreThanAsked(t *testing.T) {
	q := open(t, disk.NewMem())
	big := strings.Repeat("x", 300<<10)
	add(t, q, "one", "two", big, "four")
	c := cursor(t, q, "c", CursorOptions{})
	for _, want := range []string{"one two", big, "four"} {
		frames, err := c.Next(within(t), 6)
		if err != nil || bodies(frames) != want {
			t.Fatalf("got %d frames, %v instead of %.10q", len(frames), err, want)
		}
	}
}

func TestStampsNeverDecrease(t *testing.T) {
	fsys := disk.NewMem()
	now := time.Unix(900, 0)
	q := open(t, fsys, clock(&now))
	add(t, q, "begins the segment")
	now = time.Unix(1000, 0)
	add(t, q, "a")
	now = time.Unix(500, 0)
	q.Close()
	q = open(t, fsys, clock(&now))
	add(t, q, "b")
	if err := q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Spans, "s")}); err != nil {
		t.Fatal(err)
	}
	q.Close()
	q = open(t, fsys, clock(&now))
	add(t, q, "c")
	for _, f := range drain(t, cursor(t, q, "c", CursorOptions{}))[1:] {
		if f.ReceivedUnixNano != time.Unix(1000, 0).UnixNano() {
			t.Errorf("%s was stamped %d", f.Body, f.ReceivedUnixNano)
		}
	}
}

func TestCursorsSurviveRestarts(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys)
	id := q.ID()
	add(t, q, "a", "b")
	c := cursor(t, q, "c", CursorOptions{})
	drain(t, c)
	commit(t, c, "state")
	add(t, q, "c", "d")
	if frames, bytes := c.Lag(); frames != 2 || bytes != 2*(frameHead+2) {
		t.Errorf("lag is %d frames, %d bytes", frames, bytes)
	}
	q.Close()
	if _, err := c.Next(t.Context(), 0); !errors.Is(err, ErrClosed) {
		t.Errorf("Next after Close: %v", err)
	}
	q = open(t, fsys)
	if q.ID() != id {
		t.Errorf("the id changed")
	}
	c = cursor(t, q, "c", CursorOptions{})
	if got, state := bodies(drain(t, c)), string(c.State()); got != "c d" || state != "state" {
		t.Errorf("got %q with state %q", got, state)
	}
	if _, err := q.Cursor(telemetry.Logs, "c", CursorOptions{}); err == nil {
		t.Errorf("a cursor was opened twice")
	}
	if got := bodies(drain(t, cursor(t, q, "other", CursorOptions{}))); got != "a b c d" {
		t.Errorf("a new cursor reads %q", got)
	}
}

func TestSegmentsGoWhenEveryCursorHasPassed(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys, segments(400))
	a, b := cursor(t, q, "a", CursorOptions{}), cursor(t, q, "b", CursorOptions{})
	add(t, q, numbered(0, 20)...)
	before := len(files(t, fsys, "q/logs", ".seg"))
	drain(t, a)
	commit(t, a, "")
	if n := len(files(t, fsys, "q/logs", ".seg")); n != before || before < 4 {
		t.Fatalf("%d of %d segments are left although b has read nothing", n, before)
	}
	if got := len(drain(t, b)); got != 20 {
		t.Fatalf("b read %d", got)
	}
	commit(t, b, "")
	if n := len(files(t, fsys, "q/logs", ".seg")); n != 1 {
		t.Fatalf("%d segments are left", n)
	}
	add(t, q, "more")
	if got := bodies(drain(t, a)); got != "more" {
		t.Fatalf("a read %q", got)
	}
}

func TestDormantCursorsKeepWhatThereIsRoomFor(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys, segments(400))
	cursor(t, q, "gone", CursorOptions{})
	add(t, q, numbered(0, 10)...)
	q.Close()
	q = open(t, fsys, segments(400))
	c := cursor(t, q, "c", CursorOptions{})
	drain(t, c)
	commit(t, c, "")
	if n := len(files(t, fsys, "q/logs", ".seg")); n < 2 {
		t.Fatalf("only %d segments are left for the cursor of the earlier run", n)
	}
	if got := strings.Join(q.Cursors(telemetry.Logs), " "); got != "c gone" {
		t.Errorf("the cursors are %s", got)
	}
	if err := q.Forget(telemetry.Logs, "c"); err == nil {
		t.Errorf("an open cursor was forgotten")
	}
	if err := q.Forget(telemetry.Logs, "gone"); err != nil {
		t.Fatal(err)
	}
	if n := len(files(t, fsys, "q/logs", ".seg")); n != 1 {
		t.Fatalf("%d segments are left", n)
	}
}

func TestFullLane(t *testing.T) {
	q := open(t, disk.NewMem(), lanes(4000))
	c := cursor(t, q, "c", CursorOptions{})
	var err error
	n := 0
	for ; err == nil; n++ {
		err = q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, numbered(n, n+1)[0])})
	}
	wantErr(t, err, ErrFull)
	if after, ok := telemetry.RetryAfter(err); !ok || after <= 0 {
		t.Errorf("the error asks to wait %v, %v", after, ok)
	}
	if q.lanes[0].bytes() > 4000 || n < 20 {
		t.Errorf("the lane took %d frames and %d bytes", n, q.lanes[0].bytes())
	}
	if err := q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Spans, "s")}); err != nil {
		t.Errorf("the neighbour is full too: %v", err)
	}
	if q.Err() != nil {
		t.Errorf("a full lane is healthy: %v", q.Err())
	}
	if got := len(drain(t, c)); got != n-1 {
		t.Errorf("%d of %d frames are there", got, n-1)
	}
	commit(t, c, "")
	add(t, q, numbered(n, n+20)...)
	huge := frame(telemetry.Logs, strings.Repeat("x", 5000))
	if err := q.Append(t.Context(), []telemetry.Frame{huge}); !telemetry.IsPermanent(err) {
		t.Errorf("a frame larger than the lane: %v", err)
	}
}

func TestFullLaneOfOneConsumedSegmentHasRoom(t *testing.T) {
	q := open(t, disk.NewMem(), lanes(4000))
	c := cursor(t, q, "c", CursorOptions{Hold: time.Hour})
	for i := range 5 {
		add(t, q, strings.Repeat("abcde"[i:i+1], 3000))
		drain(t, c)
		commit(t, c, "")
	}
}

func TestOptionalCursorSkipsTheOldest(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	q := open(t, disk.NewMem(), lanes(4000), func(o *Options) { o.Registerer = r })
	fast, slow := cursor(t, q, "fast", CursorOptions{}), cursor(t, q, "slow", CursorOptions{Optional: true})
	if got, err := slow.poll(1, 1); len(got) != 0 || err != nil {
		t.Fatal(got, err)
	}
	for i := range 200 {
		add(t, q, numbered(i, i+1)...)
		if i == 3 {
			if _, err := slow.poll(100, 2); err != nil {
				t.Fatal(err)
			}
		}
		drain(t, fast)
		commit(t, fast, "")
	}
	got := drain(t, slow)
	commit(t, slow, "")
	if len(got) >= 100 || !strings.HasSuffix(bodies(got), "body-0198 body-0199") {
		t.Fatalf("slow read %d frames: %s", len(got), bodies(got))
	}
	out, skipped := metric(t, r, "braid_pipeline_out_frames_total", "slow", ""), metric(t, r, "braid_pipeline_dropped_frames_total", "slow", "skipped")
	if skipped == 0 || out+skipped != 200 || out != float64(len(got)+2) {
		t.Errorf("out %v + skipped %v are not 200", out, skipped)
	}
	if metric(t, r, "braid_pipeline_in_flight_frames", "slow", "") != 0 {
		t.Errorf("frames are in flight")
	}
}

// metric returns the value of the logs lane's metric for a cursor and, if it is not "", a reason or outcome.
func metric(t testing.TB, r *prometheus.Registry, name, cursor, reason string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			labels := map[string]string{}
			for _, l := range m.GetLabel() {
				labels[l.GetName()] = l.GetValue()
			}
			if f.GetName() == name && labels["signal"] == "logs" && labels["cursor"] == cursor && labels["reason"]+labels["outcome"] == reason {
				return m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	t.Fatalf("there is no %s of %s, %s", name, cursor, reason)
	return 0
}

func TestFailedSyncFailsItsWaiters(t *testing.T) {
	for _, op := range []string{"sync", "write", "create", "syncdir"} {
		t.Run(op, func(t *testing.T) {
			fsys := disk.NewMem()
			q := open(t, fsys, segments(400))
			c := cursor(t, q, "c", CursorOptions{})
			add(t, q, "a")
			armed := true
			suffix := ".seg"
			if op == "syncdir" {
				suffix = "logs"
			}
			fsys.FailOn(failing(&armed, op, suffix, syscall.EIO))
			err := q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, strings.Repeat("b", 400))})
			wantErr(t, err, syscall.EIO)
			fsys.FailOn(nil)
			wantErr(t, q.Err(), syscall.EIO)
			add(t, q, "c", strings.Repeat("b", 400))
			if got := bodies(drain(t, c)); got != "a c "+strings.Repeat("b", 400) {
				t.Fatalf("got %q", got)
			}
			commit(t, c, "")
			add(t, q, "d")
			q2 := open(t, fsys.CrashClone(1))
			if got := bodies(drain(t, cursor(t, q2, "c", CursorOptions{}))); got != "d" {
				t.Fatalf("after the crash got %q", got)
			}
		})
	}
}

func TestFullDisk(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys)
	add(t, q, "a")
	armed := true
	fsys.FailOn(failing(&armed, "write", "", syscall.ENOSPC))
	for range 3 {
		err := q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, "b")})
		wantErr(t, err, syscall.ENOSPC)
		if after, ok := telemetry.RetryAfter(err); !ok || after <= 0 {
			t.Fatalf("the error asks to wait %v, %v", after, ok)
		}
	}
	if q.Err() == nil {
		t.Error("the queue says it is healthy")
	}
	if n := len(files(t, fsys, "q/logs", ".seg")); n > 2 {
		t.Errorf("a full disk got %d segments", n)
	}
	fsys.FailOn(nil)
	add(t, q, "b")
	if q.Err() != nil {
		t.Errorf("with space again: %v", q.Err())
	}
	if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{}))); got != "a b" {
		t.Fatalf("got %q", got)
	}
}

func TestLock(t *testing.T) {
	for name, fsys := range map[string]disk.FS{"mem": disk.NewMem(), "os": disk.OS} {
		t.Run(name, func(t *testing.T) {
			dir := func(o *Options) { o.Dir = filepath.Join(os.TempDir(), "q") }
			if name == "os" {
				d := t.TempDir()
				dir = func(o *Options) { o.Dir = filepath.Join(d, "q") }
			} else if err := fsys.MkdirAll(os.TempDir()); err != nil {
				t.Fatal(err)
			}
			q := open(t, fsys, dir)
			_, err := tryOpen(fsys, dir)
			wantErr(t, err, disk.ErrLocked)
			if err := q.Close(); err != nil {
				t.Fatal(err)
			}
			open(t, fsys, dir)
		})
	}
}

func TestClose(t *testing.T) {
	q := open(t, disk.NewMem())
	c := cursor(t, q, "c", CursorOptions{})
	done := make(chan error, 1)
	go func() {
		_, err := c.Next(context.Background(), 0)
		done <- err
	}()
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	wantErr(t, <-done, ErrClosed)
	wantErr(t, q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, "x")}), ErrClosed)
	wantErr(t, c.Commit(nil), ErrClosed)
	wantErr(t, q.Close(), ErrClosed)
}

func TestInvalidFrames(t *testing.T) {
	q := open(t, disk.NewMem())
	for _, f := range []telemetry.Frame{{Signal: 0}, {Signal: 9}, {Signal: 1, Tenant: strings.Repeat("x", maxTenant+1)}} {
		if err := q.Append(t.Context(), []telemetry.Frame{f}); !errors.Is(err, ErrInvalid) || !telemetry.IsPermanent(err) {
			t.Errorf("got %v", err)
		}
	}
	if _, err := q.Cursor(telemetry.Logs, "../x", CursorOptions{}); err == nil {
		t.Error("a cursor took a path for a name")
	}
}

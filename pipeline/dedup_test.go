package pipeline

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

func TestRepeatsAreAnsweredAndNotStored(t *testing.T) {
	fsys := disk.NewMem()
	now := time.Unix(1e6, 0)
	r := prometheus.NewPedanticRegistry()
	q := open(t, fsys, clock(&now), func(o *Options) { o.Registerer = r })
	add(t, q, "a", "b", "a")
	twice := []telemetry.Frame{frame(telemetry.Logs, "c"), frame(telemetry.Logs, "c")}
	if err := q.Append(t.Context(), twice); err != nil {
		t.Fatal(err)
	}
	now = now.Add(9 * time.Minute)
	add(t, q, "a")
	if got := metric(t, r, "braid_pipeline_appended_frames_total", "", "duplicate"); got != 3 {
		t.Errorf("%v repeats are counted", got)
	}
	q.Close()
	q = open(t, fsys, clock(&now))
	add(t, q, "b", "d")
	if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{}))); got != "a b c d" {
		t.Errorf("got %q", got)
	}
	now = now.Add(11 * time.Minute)
	q.Close()
	q = open(t, fsys, clock(&now))
	now = now.Add(5 * time.Minute)
	add(t, q, "a")
	if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{}))); got != "a b c d a" {
		t.Errorf("much later got %q", got)
	}
}

func TestRepeatsAreKnownAfterTheirSegmentIsGone(t *testing.T) {
	fsys := disk.NewMem()
	now := time.Unix(1e6, 0)
	q := open(t, fsys, clock(&now), segments(400))
	c := cursor(t, q, "c", CursorOptions{})
	add(t, q, numbered(0, 30)...)
	drain(t, c)
	commit(t, c, "")
	if n := len(files(t, fsys, "q/logs", segmentSuffix)); n != 1 {
		t.Fatalf("%d segments are left", n)
	}
	for range 2 { // by a restart, and by a crash
		fsys = fsys.CrashClone(7)
		now = now.Add(4 * time.Minute)
		q = open(t, fsys, clock(&now), segments(400))
		add(t, q, numbered(0, 30)...)
		c = cursor(t, q, "c", CursorOptions{})
		if got := bodies(drain(t, c)); got != "" {
			t.Fatalf("repeats were taken: %s", got)
		}
	}
	if len(files(t, fsys, "q/logs", idsSuffix)) == 0 {
		t.Fatal("there are no id files")
	}
	now = now.Add(10 * time.Minute)
	add(t, q, "fresh")
	drain(t, c)
	commit(t, c, "")
	if left := files(t, fsys, "q/logs", idsSuffix); len(left) > 0 {
		t.Errorf("%q are left", left)
	}
}

func TestAFrameThatWasNotStoredIsNoRepeat(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys)
	armed := true
	fsys.FailOn(failing(&armed, "sync", segmentSuffix, syscall.EIO))
	both := []telemetry.Frame{frame(telemetry.Logs, "a"), frame(telemetry.Logs, "a")}
	wantErr(t, q.Append(t.Context(), both), syscall.EIO)
	armed = false
	add(t, q, "a")
	if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{}))); got != "a" {
		t.Errorf("got %q", got)
	}
}

// A repeat in the group of its original must not be acknowledged before the original is safe.
func TestARepeatWaitsForItsOriginal(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys)
	stop, entered := make(chan struct{}), make(chan struct{})
	first := true
	fsys.FailOn(func(op, name string) error {
		if op != "sync" || !strings.HasSuffix(name, segmentSuffix) {
			return nil
		}
		if first {
			first = false
			close(entered)
			<-stop
			return nil
		}
		return syscall.EIO
	})
	answers := make(chan error, 3)
	send := func(body string) {
		go func() { answers <- q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, body)}) }()
	}
	send("blocker")
	<-entered
	send("a")
	send("a")
	for { // until both wait for the next group
		q.mu.Lock()
		n := len(q.waiting)
		q.mu.Unlock()
		if n == 2 {
			break
		}
		select {
		case <-within(t).Done():
			t.Fatal("they never came")
		case <-time.After(time.Millisecond):
		}
	}
	close(stop)
	failed := 0
	for range 3 {
		if err := <-answers; err != nil {
			failed++
		}
	}
	if failed != 2 {
		t.Errorf("%d of the 2 senders of a were told that it is not safe", failed)
	}
}

package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// No frame appears behind a watermark that was announced before it could be read.
func TestTheQueuesWatermarkIsNeverBroken(t *testing.T) {
	q := open(t, disk.NewMem(), segments(4000))
	var senders, watchers sync.WaitGroup
	for i := range 4 {
		senders.Go(func() {
			for n := range 100 {
				if err := q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, fmt.Sprintf("%d/%d", i, n))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	ctx, cancel := context.WithCancel(t.Context())
	for i := range 2 {
		c := cursor(t, q, fmt.Sprint("c", i), CursorOptions{})
		watchers.Go(func() {
			promised := int64(math.MinInt64)
			for ctx.Err() == nil {
				w := q.Watermark(telemetry.Logs)
				if w < promised {
					t.Errorf("the watermark goes back from %d to %d", promised, w)
				}
				for _, f := range drain(t, c) {
					if f.ReceivedUnixNano <= promised {
						t.Errorf("a frame of %d appears behind the watermark %d", f.ReceivedUnixNano, promised)
					}
				}
				promised = w // everything up to w is there to read now: only what lies behind it may come later
				drain(t, c)
			}
		})
	}
	senders.Wait()
	cancel()
	watchers.Wait()
}

func TestTheWatermarkGoesWithTheClockAndNeverBack(t *testing.T) {
	now := time.Unix(100, 0)
	q := open(t, disk.NewMem(), clock(&now))
	first := q.Watermark(telemetry.Spans)
	if first != now.UnixNano()-1 {
		t.Errorf("the watermark is %d", first)
	}
	now = now.Add(-time.Hour)
	if w := q.Watermark(telemetry.Spans); w != first {
		t.Errorf("the watermark is %d", w)
	}
	add(t, q, "x")
	if f := drain(t, cursor(t, q, "c", CursorOptions{})); f[0].ReceivedUnixNano <= first {
		t.Errorf("the frame is of %d, behind the watermark %d", f[0].ReceivedUnixNano, first)
	}
}

// A cursor's watermark is about what is committed: a restart does not ask for what lies before it.
func TestACursorsWatermarkGoesWithItsCommits(t *testing.T) {
	now := time.Unix(100, 0)
	q := open(t, disk.NewMem(), clock(&now))
	c := cursor(t, q, "c", CursorOptions{})
	add(t, q, "a")
	now = now.Add(time.Second)
	add(t, q, "b")
	now = now.Add(time.Second)
	if w := c.Watermark(); w >= time.Unix(100, 0).UnixNano() {
		t.Errorf("nothing is committed, and the watermark is %d", w)
	}
	frames, err := c.Next(t.Context(), 1)
	if err != nil || len(frames) != 1 {
		t.Fatal(len(frames), err)
	}
	if w := c.Watermark(); w >= frames[0].ReceivedUnixNano {
		t.Errorf("the watermark %d has passed a frame that was read and not committed", w)
	}
	if err := c.Commit(nil); err != nil {
		t.Fatal(err)
	}
	// The next frame may have the stamp of the last one.
	if w := c.Watermark(); w != frames[0].ReceivedUnixNano-1 {
		t.Errorf("the watermark is %d after a commit of %d", w, frames[0].ReceivedUnixNano)
	}
	drain(t, c)
	if err := c.Commit(nil); err != nil {
		t.Fatal(err)
	}
	if w := c.Watermark(); w != now.UnixNano()-1 {
		t.Errorf("all is committed, and the watermark is %d", w)
	}
}

func TestAGroupThatIsBeingWrittenHoldsTheWatermark(t *testing.T) {
	fsys := disk.NewMem()
	now := time.Unix(100, 0)
	q := open(t, fsys, clock(&now))
	var during int64
	fsys.FailOn(func(op, name string) error {
		if op == "sync" && strings.HasSuffix(name, segmentSuffix) {
			during = q.Watermark(telemetry.Samples)
		}
		return nil
	})
	add(t, q, "x")
	fsys.FailOn(nil)
	if during != now.UnixNano()-1 {
		t.Errorf("it was %d while the frame of %d was written", during, now.UnixNano())
	}
	now = now.Add(time.Second)
	if w := q.Watermark(telemetry.Samples); w != now.UnixNano()-1 {
		t.Errorf("it is %d", w)
	}
}

// A runner runs deliveries in a bubble.
type runner struct {
	wait   sync.WaitGroup
	cancel context.CancelFunc
}

func start(t *testing.T, deliveries ...*Delivery) *runner {
	ctx, cancel := context.WithCancel(t.Context())
	r := &runner{cancel: cancel}
	for _, d := range deliveries {
		r.wait.Go(func() {
			if err := d.Run(ctx); err != nil && !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
		})
	}
	return r
}

func (r *runner) stop() {
	r.cancel()
	r.wait.Wait()
}

// A follower waits until what it follows has passed a frame by some time, and then takes all that may pass at once.
func TestADeliveryBehindAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, disk.NewMem())
		observer := &Delivery{Cursor: cursor(t, q, "observe", CursorOptions{}), Observers: []Observer{&counter{}}}
		sink := &storing{}
		follower := &Delivery{Cursor: cursor(t, q, "follow", CursorOptions{}), Sink: sink}
		follower.Gate = Behind(10*time.Second, observer.Watermark)
		if observer.Watermark() != math.MinInt64 {
			t.Error("a delivery that does not run has a watermark")
		}
		begin := time.Now()
		r := start(t, observer, follower)
		for i := range 20 {
			send(t, q, logFrame(plainLines(fmt.Sprint(i))))
			<-time.After(time.Second)
			synctest.Wait()
			passed := i + 1 - 10
			if got := len(sink.order); got < passed || got > max(0, passed+1) {
				t.Errorf("after %s %d frames have passed", time.Since(begin), got)
			}
			if w, f := observer.Watermark(), follower.Watermark(); w < begin.Add(time.Duration(i)*time.Second).UnixNano() || f > w-int64(9*time.Second) {
				t.Errorf("after %s the watermarks are %d s and %d s", time.Since(begin), (w-begin.UnixNano())/1e9, (f-begin.UnixNano())/1e9)
			}
		}
		<-time.After(11 * time.Second)
		synctest.Wait()
		if len(sink.order) != 20 {
			t.Errorf("%d frames have passed in the end", len(sink.order))
		}
		// The lane is idle: both follow the clock.
		if ago := time.Now().UnixNano() - follower.Watermark(); ago != 1 {
			t.Errorf("the idle follower is %d ns behind", ago)
		}
		r.stop()
		q.Close()
	})
}

// What passed before the gate closed is committed while it is closed, and nothing behind it is.
func TestWhatHasPassedIsCommittedWhileTheGateIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := disk.NewMem()
		q := open(t, fsys)
		var last int64
		for i := range 6 {
			send(t, q, logFrame(plainLines(fmt.Sprint(i))))
			<-time.After(time.Second)
		}
		sink := &storing{}
		d := &Delivery{Cursor: cursor(t, q, "c", CursorOptions{}), Sink: sink}
		for i, f := range drain(t, cursor(t, q, "look", CursorOptions{})) {
			if i == 3 {
				last = f.ReceivedUnixNano
			}
		}
		asked := 0
		d.Gate = func(ctx context.Context, f *telemetry.Frame) (int64, error) {
			if asked++; f.ReceivedUnixNano <= last {
				return last, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}
		r := start(t, d)
		<-time.After(3 * time.Second)
		synctest.Wait()
		if got := sink.got(); got != "0 1 2 3" {
			t.Errorf("%q has passed", got)
		}
		if frames, _ := d.Cursor.Lag(); frames != 2 {
			t.Errorf("%d frames are not committed", frames)
		}
		if w := d.Watermark(); w != last-1 {
			t.Errorf("the watermark is %d, the last frame's time %d", w, last)
		}
		q.Close() // ends the gate's wait
		synctest.Wait()
		r.cancel()
		r.wait.Wait()
	})
}

func TestAClosedQueueEndsAWaitAtTheGate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, disk.NewMem())
		d := &Delivery{Cursor: cursor(t, q, "c", CursorOptions{}), Gate: func(ctx context.Context, _ *telemetry.Frame) (int64, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		send(t, q, logFrame(plainLines("x")))
		done := make(chan error, 1)
		go func() { done <- d.Run(t.Context()) }()
		synctest.Wait()
		q.Close()
		wantErr(t, <-done, ErrClosed)
	})
}

// A replay is not held back, and the watermark tells where it is.
func TestReplayPassesTheGateAndHasAWatermark(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := disk.NewMem()
		hold := CursorOptions{Hold: time.Hour}
		q := open(t, fsys)
		send(t, q, logFrame(plainLines("a")), logFrame(plainLines("b")))
		deliver(t, &Delivery{Cursor: cursor(t, q, "c", hold), Observers: []Observer{&counter{}}})
		<-time.After(time.Second)
		send(t, q, logFrame(plainLines("c")))
		<-time.After(time.Second)
		q.Close()
		q = open(t, fsys)
		count, open := &counter{}, false
		d := &Delivery{Cursor: cursor(t, q, "c", hold), Observers: []Observer{count}, Gate: func(ctx context.Context, f *telemetry.Frame) (int64, error) {
			if open {
				return math.MaxInt64, nil
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}}
		r := start(t, d)
		synctest.Wait()
		if !slices.Equal(count.replayed, []string{"a", "b"}) || len(count.seen) != 0 {
			t.Errorf("replayed %q, saw %q", count.replayed, count.seen)
		}
		if ago := time.Now().UnixNano() - d.Watermark(); ago != int64(2*time.Second)+1 {
			t.Errorf("the watermark is %d ns ago although a frame waits", ago)
		}
		r.stop()
		q.Close()
	})
}

func TestStages(t *testing.T) {
	reg := prometheus.NewPedanticRegistry()
	q := open(t, disk.NewMem(), func(o *Options) { o.Registerer = reg })
	sink, count := &storing{}, &counter{}
	send(t, q, logFrame(plainLines("a", "drop", "b"), plainLines("drop")), logFrame(plainLines("panic")), logFrame(plainLines("c")))
	drop := func(b *telemetry.Batch) {
		b.Logs = slices.DeleteFunc(b.Logs, func(l telemetry.Log) bool { return string(l.Body) == "drop" })
	}
	shout := func(b *telemetry.Batch) {
		for i := range b.Logs {
			if string(b.Logs[i].Body) == "panic" {
				panic("a bug")
			}
			b.Logs[i].Body = []byte(strings.ToUpper(string(b.Logs[i].Body)))
		}
	}
	d := &Delivery{Cursor: cursor(t, q, "c", CursorOptions{}), Sink: sink, Observers: []Observer{count}}
	d.Stages = []func(*telemetry.Batch){drop, shout}
	deliver(t, d)
	if got := sink.got(); got != "A B C" {
		t.Errorf("stored %q", got)
	}
	if got := strings.Join(count.seen, " "); got != "a drop b drop panic c" {
		t.Errorf("observed %q", got)
	}
	if n := metric(t, reg, "braid_pipeline_records_total", "c", "dropped"); n != 2 {
		t.Errorf("%v are counted as dropped", n)
	}
	if n := metric(t, reg, "braid_pipeline_dropped_frames_total", "c", "quarantined"); n != 1 {
		t.Errorf("%v frames are quarantined", n)
	}
}

// Frames are held for a cursor of another lane, which may be far behind, and replayed from its place.
func TestFramesAreHeldForAnotherLanesCursor(t *testing.T) {
	fsys := disk.NewMem()
	now := time.Unix(1e6, 0)
	q := open(t, fsys, clock(&now), segments(300))
	slow, err := q.Cursor(telemetry.Spans, "decide", CursorOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// It goes by the one that is furthest behind; the other has always passed everything.
	options := func(q *Queue, slow *Cursor) CursorOptions {
		quick, err := q.Cursor(telemetry.Spans, "quick", CursorOptions{})
		if err != nil {
			t.Fatal(err)
		}
		drain(t, quick)
		commit(t, quick, "")
		return CursorOptions{Hold: 10 * time.Second, HoldFor: []*Cursor{quick, slow}}
	}
	c := cursor(t, q, "c", options(q, slow))
	for i, body := range numbered(0, 60) { // one a second
		add(t, q, body)
		if i == 19 || i == 59 {
			send(t, q, frame(telemetry.Spans, body))
		}
		now = now.Add(time.Second)
	}
	drain(t, c)
	commit(t, c, "")
	if got, err := slow.poll(1, 1); err != nil || len(got) != 1 {
		t.Fatal(got, err)
	}
	commit(t, slow, "") // of second 19
	commit(t, c, "")
	q.Close()

	q = open(t, fsys, clock(&now), segments(300))
	if slow, err = q.Cursor(telemetry.Spans, "decide", CursorOptions{}); err != nil {
		t.Fatal(err)
	}
	c = cursor(t, q, "c", options(q, slow))
	got := drain(t, c)
	if len(got) != 51 || string(got[0].Body) != "body-0009" {
		t.Errorf("%d frames are replayed from %s on", len(got), got[0].Body)
	}
	// Once it has passed its lane's end nothing old is held for it.
	for {
		frames, err := slow.poll(0, 10)
		if err != nil || len(frames) == 0 {
			break
		}
	}
	commit(t, slow, "")
	add(t, q, "new")
	drain(t, c)
	commit(t, c, "")
	q.Close()
	q = open(t, fsys, clock(&now), segments(300))
	if slow, err = q.Cursor(telemetry.Spans, "decide", CursorOptions{}); err != nil {
		t.Fatal(err)
	}
	if got := drain(t, cursor(t, q, "c", options(q, slow))); len(got) != 11 {
		t.Errorf("%d frames are replayed", len(got))
	}
}

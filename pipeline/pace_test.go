package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// paced returns a queue with a sync window, and the number of its syncs so far.
func paced(t *testing.T, window time.Duration) (*Queue, *disk.Mem, func() int) {
	fsys := disk.NewMem()
	var syncs atomic.Int64
	q := open(t, fsys, func(o *Options) { o.SyncWindow = window })
	fsys.FailOn(func(op, name string) error {
		if op == "sync" && strings.HasSuffix(name, ".seg") {
			syncs.Add(1)
		}
		return nil
	})
	return q, fsys, func() int { return int(syncs.Load()) }
}

func TestASenderThatComesAloneIsNotDelayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, _, syncs := paced(t, 5*time.Millisecond)
		for i := range 10 {
			begin := time.Now()
			add(t, q, numbered(i, i+1)...)
			if took := time.Since(begin); took != 0 {
				t.Errorf("it waited %v", took)
			}
			<-time.After(5 * time.Millisecond)
		}
		if syncs() != 10 {
			t.Errorf("there were %d syncs", syncs())
		}
		q.Close()
	})
}

func TestRequestsWithinTheSyncWindowShareASync(t *testing.T) {
	for window, answered := range map[time.Duration]int{
		0:                    1, // each is answered when it comes
		4 * time.Millisecond: 4,
		time.Hour:            5, // bounded
	} {
		synctest.Test(t, func(t *testing.T) {
			q, _, syncs := paced(t, window)
			add(t, q, "first")
			begin := time.Now()
			ends := make(chan time.Duration, 3)
			for i := range 3 {
				<-time.After(time.Millisecond)
				go func() {
					add(t, q, numbered(i, i+1)...)
					ends <- time.Since(begin)
				}()
			}
			var all []time.Duration
			for range cap(ends) {
				all = append(all, <-ends)
			}
			wantSyncs, want := 2, slices.Repeat([]time.Duration{time.Duration(answered) * time.Millisecond}, 3)
			if window == 0 {
				wantSyncs, want = 4, []time.Duration{time.Millisecond, 2 * time.Millisecond, 3 * time.Millisecond}
			}
			if !slices.Equal(all, want) || syncs() != wantSyncs {
				t.Errorf("window %v: answered after %v with %d syncs", window, all, syncs())
			}
			if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{}))); got != "first body-0000 body-0001 body-0002" {
				t.Errorf("window %v: stored %q", window, got)
			}
			q.Close()
		})
	}
}

func TestCloseDoesNotWaitForTheSyncWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q, fsys, _ := paced(t, 5*time.Millisecond)
		add(t, q, "first")
		begin, done := time.Now(), make(chan error, 1)
		go func() { done <- q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, "waits")}) }()
		synctest.Wait()
		if err := q.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-done; err != nil || time.Since(begin) != 0 {
			t.Errorf("after %v the answer is %v", time.Since(begin), err)
		}
		q = open(t, fsys.CrashClone(1))
		if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{}))); got != "first waits" {
			t.Errorf("stored %q", got)
		}
		q.Close()
	})
}

// A large is an observer with a snapshot of so many bytes.
type large int

func (large) Observe(*telemetry.Batch, bool)   {}
func (l large) AppendSnapshot(b []byte) []byte { return append(b, make([]byte, l)...) }
func (large) Restore([]byte) error             { return nil }

// A large state is stored less often, and at the end in any case.
func TestALargeStateIsCommittedLessOften(t *testing.T) {
	for size, apart := range map[large]time.Duration{
		100: time.Second, 3 << 20: 4 * time.Second, 20 << 20: 10 * time.Second,
	} {
		synctest.Test(t, func(t *testing.T) {
			fsys, commits := disk.NewMem(), []time.Duration(nil)
			q := open(t, fsys)
			c := cursor(t, q, "c", CursorOptions{})
			begin := time.Now()
			fsys.FailOn(func(op, name string) error {
				if op == "rename" && strings.HasSuffix(name, "c.cursor.tmp") {
					commits = append(commits, time.Since(begin))
				}
				return nil
			})
			running := start(t, &Delivery{Cursor: c, Observers: []Observer{size}, CommitEvery: time.Second})
			for range 220 { // 22 s
				send(t, q, logFrame(plainLines(time.Since(begin).String())))
				<-time.After(100 * time.Millisecond)
			}
			<-time.After(2 * apart) // nothing comes, and what came is committed
			frames, _ := c.Lag()
			want := []time.Duration{time.Second} // the size is not known yet
			for at := time.Second; at < 22*time.Second; {
				at += apart
				want = append(want, at)
			}
			synctest.Wait()
			if !slices.Equal(commits, want) || frames != 0 {
				t.Errorf("a state of %d bytes is committed at %v, and the lag is %d", size, commits, frames)
			}
			for _, line := range []string{"stored at once", "not yet"} {
				send(t, q, logFrame(plainLines(line)))
				synctest.Wait()
			}
			if frames, _ := c.Lag(); frames != 1 {
				t.Errorf("before the end the lag is %d", frames)
			}
			running.stop()
			if frames, _ := c.Lag(); frames != 0 {
				t.Errorf("at the end the lag is %d", frames)
			}
			q.Close()
		})
	}
}

// What a sink has got would be sent again after a crash, so a large state is no reason to wait there.
func TestWithASinkALargeStateIsCommittedAsOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys, commits := disk.NewMem(), 0
		q := open(t, fsys)
		c := cursor(t, q, "c", CursorOptions{})
		fsys.FailOn(func(op, name string) error {
			if op == "rename" && strings.HasSuffix(name, "c.cursor.tmp") {
				commits++
			}
			return nil
		})
		sink := sinkFunc(func([]*telemetry.Batch) error { return nil })
		running := start(t, &Delivery{Cursor: c, Sink: sink, Observers: []Observer{large(20 << 20)}, CommitEvery: time.Second})
		for i := range 105 { // 10.5 s
			send(t, q, logFrame(plainLines(fmt.Sprint(i))))
			<-time.After(100 * time.Millisecond)
		}
		synctest.Wait()
		if commits != 10 {
			t.Errorf("%d commits in 10 s", commits)
		}
		running.stop()
		q.Close()
	})
}

package pipeline

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// ran opens leader and follower, lets what is named run until it has done all there is, and closes the queue.
func ran(t *testing.T, fsys disk.FS, hold time.Duration, frames []telemetry.Frame, who ...string) (leader, follower *storing) {
	t.Helper()
	leader, follower = &storing{}, &storing{}
	q := open(t, fsys, segments(4000))
	first := &Delivery{Cursor: cursor(t, q, "leader", CursorOptions{Hold: hold}), Sink: leader}
	second := &Delivery{Cursor: cursor(t, q, "follower", CursorOptions{Follows: first}), Sink: follower}
	var running []*runner
	for _, name := range who {
		running = append(running, start(t, map[string]*Delivery{"leader": first, "follower": second}[name]))
	}
	send(t, q, frames...)
	synctest.Wait()
	for _, r := range running {
		r.stop()
	}
	q.Close()
	return leader, follower
}

// However far each of both had come, and whatever the leader replays, the follower goes on where it was.
func TestAFollowerGoesOnWhereItWas(t *testing.T) {
	for _, hold := range []time.Duration{0, time.Hour} {
		for _, behind := range []string{"follower", "leader", "neither"} {
			t.Run(fmt.Sprint("held for ", hold, ", behind: ", behind), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					fsys := disk.NewMem()
					ran(t, fsys, hold, lineFrames(0, 10), "leader", "follower")
					switch behind {
					case "follower":
						ran(t, fsys, hold, lineFrames(10, 90), "leader")
					case "leader": // which cannot commit
						armed := true
						fsys.FailOn(failing(&armed, "rename", "leader.cursor.tmp", syscall.EIO))
						ran(t, fsys, hold, lineFrames(10, 90), "leader", "follower")
						fsys.FailOn(nil)
					case "neither":
						ran(t, fsys, hold, lineFrames(10, 90), "leader", "follower")
					}
					leader, follower := ran(t, fsys, hold, lineFrames(90, 100), "follower", "leader")
					from := map[string]int{"follower": 10, "leader": 90, "neither": 90}[behind]
					if got := follower.got(); got != numbers(from, 100) || follower.again > 0 {
						t.Errorf("the follower has got %q, %d again", got, follower.again)
					}
					from = map[string]int{"follower": 90, "leader": 10, "neither": 90}[behind]
					if got := leader.got(); got != numbers(from, 100) {
						t.Errorf("the leader has got %q", got)
					}
				})
			})
		}
	}
}

// A leader that has nothing to do lets its follower go on all the same.
func TestAFollowerNeedsNoNewFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := disk.NewMem()
		ran(t, fsys, 0, lineFrames(0, 10), "leader")
		if _, follower := ran(t, fsys, 0, nil, "follower", "leader"); follower.got() != numbers(0, 10) {
			t.Errorf("the follower has got %q", follower.got())
		}
	})
}

// Whatever fails and whenever all are stopped, a follower stores each line once, in order, and counts it once; and it is
// never ahead of its leader.
func TestAFollowerIsExactlyOnceOverFailuresAndRestarts(t *testing.T) {
	for seed := range uint64(15) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			fsys, n := disk.NewMem(), 0
			sinks, counts := [3]*storing{}, [3]*counter{}
			for i := range sinks {
				sinks[i] = &storing{script: flaky(seed, uint64(i))}
			}
			all := func(q *Queue) []*Delivery {
				for i := range counts {
					counts[i] = &counter{}
				}
				leader := &Delivery{Cursor: cursor(t, q, "leader", CursorOptions{Hold: time.Minute}), Sink: sinks[0], Observers: []Observer{counts[0]}}
				first := &Delivery{Cursor: cursor(t, q, "first", CursorOptions{Follows: leader}), Sink: sinks[1], Observers: []Observer{counts[1]}}
				second := &Delivery{
					Cursor: cursor(t, q, "second", CursorOptions{Follows: leader, Hold: time.Minute}), Sink: sinks[2], Observers: []Observer{counts[2]},
				}
				return []*Delivery{leader, first, second}
			}
			for range 12 {
				q := open(t, fsys, segments(2000))
				running := start(t, all(q)...)
				for range 10 {
					for range rnd.IntN(4) {
						if rnd.IntN(4) == 0 {
							send(t, q, plainFrames(n, n+1)...)
						} else {
							send(t, q, lineFrames(n, n+1)...)
						}
						n++
					}
					<-time.After(time.Duration(rnd.Int64N(int64(300 * time.Millisecond))))
				}
				<-time.After(time.Duration(max(0, rnd.Int64N(int64(6*time.Second))-int64(3*time.Second))))
				for i, s := range sinks {
					if g := s.got(); !strings.HasPrefix(sinks[0].got(), g) || !strings.HasPrefix(numbers(0, n), g) {
						t.Fatalf("seed %d: sink %d has got %q", seed, i, g)
					}
				}
				if rnd.IntN(2) == 0 { // a crash before the stop: what happens after it is lost
					fsys = fsys.CrashClone(rnd.Uint64())
				}
				running.stop()
				q.Close()
			}
			q := open(t, fsys, segments(2000))
			for i, d := range all(q) {
				sinks[i].script = nil
				deliver(t, d)
				if got := sinks[i].got(); got != numbers(0, n) {
					t.Errorf("seed %d: sink %d has got %q of %d", seed, i, got, n)
				}
				if counts[i].total != uint64(n) {
					t.Errorf("seed %d: %d lines are counted of %d", seed, counts[i].total, n)
				}
			}
			q.Close()
		})
	}
}

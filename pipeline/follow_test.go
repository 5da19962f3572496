package pipeline

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/otlp"
)

// lineFrames are frames of one line each, numbered and compressed.
func lineFrames(from, to int) (frames []telemetry.Frame) {
	for i := from; i < to; i++ {
		frames = append(frames, logFrame(plainLines(fmt.Sprint(i))))
	}
	return frames
}

// plainFrames are as lineFrames, but not compressed.
func plainFrames(from, to int) (frames []telemetry.Frame) {
	for i := from; i < to; i++ {
		body := otlp.AppendLogs(nil, []*telemetry.Batch{plainLines(fmt.Sprint(i))})
		frames = append(frames, telemetry.Frame{Signal: telemetry.Logs, Encoding: telemetry.OTLP, Body: body})
	}
	return frames
}

// numbers are what lineFrames and plainFrames say.
func numbers(from, to int) string {
	var b []string
	for i := from; i < to; i++ {
		b = append(b, fmt.Sprint(i))
	}
	return strings.Join(b, " ")
}

// led returns a delivery to a storing sink, and n that follow it. All are closed with the queue.
func led(t *testing.T, q *Queue, n int) (leader *Delivery, followers []*Delivery) {
	t.Helper()
	leader = &Delivery{Cursor: cursor(t, q, "leader", CursorOptions{}), Sink: &storing{}}
	for i := range n {
		c := cursor(t, q, fmt.Sprint("follower-", i), CursorOptions{Follows: leader})
		followers = append(followers, &Delivery{Cursor: c, Sink: &storing{}})
	}
	return leader, followers
}

func got(d *Delivery) string { return d.Sink.(*storing).got() }

func wantGot(t *testing.T, d *Delivery, want string) {
	t.Helper()
	if g := got(d); g != want {
		t.Errorf("%s has got %q, not %q", d.Cursor.Name(), g, want)
	}
	if n := d.Sink.(*storing).again; n > 0 {
		t.Errorf("%s has got %d lines again", d.Cursor.Name(), n)
	}
}

func TestAFollowerReadsNothingThatItsLeaderHasNotPassed(t *testing.T) {
	for _, compressed := range []bool{true, false} {
		synctest.Test(t, func(t *testing.T) {
			q := open(t, disk.NewMem())
			leader, followers := led(t, q, 2)
			tokens := make(chan struct{}, 10)
			leader.Gate = func(ctx context.Context, _ *telemetry.Frame) (int64, error) {
				select {
				case <-tokens:
					return 0, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
			followed := start(t, followers...)
			send(t, q, plainFrames(0, 1)...)
			synctest.Wait() // the leader does not run yet
			wantGot(t, followers[0], "")
			running := start(t, leader)
			frames := plainFrames(1, 5)
			if compressed {
				frames = lineFrames(1, 5)
			}
			send(t, q, frames...)
			for i := range 5 {
				synctest.Wait()
				for _, f := range followers {
					wantGot(t, f, numbers(0, i))
				}
				tokens <- struct{}{}
			}
			synctest.Wait()
			wantGot(t, followers[0], numbers(0, 5))
			wantGot(t, followers[1], numbers(0, 5))
			running.stop()
			followed.stop()
			q.Close()
		})
	}
}

func TestAFollowerWaitsWhileItsLeadersSinkIsAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, disk.NewMem())
		leader, followers := led(t, q, 1)
		var away atomic.Bool
		away.Store(true)
		leader.Sink.(*storing).script = func([]*telemetry.Batch) (bool, error) {
			if away.Load() {
				return false, errors.New("away")
			}
			return true, nil
		}
		running := start(t, leader, followers[0])
		send(t, q, lineFrames(0, 9)...)
		<-time.After(time.Hour)
		wantGot(t, followers[0], "")
		away.Store(false)
		<-time.After(time.Hour)
		wantGot(t, followers[0], numbers(0, 9))
		running.stop()
		q.Close()
	})
}

// A round of its leader's that stops half-way is done again as a whole.
func TestAFollowerWaitsForTheEndOfARound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, disk.NewMem())
		leader, followers := led(t, q, 1)
		leader.MaxBatch = 1 // a write for each frame
		send(t, q, lineFrames(0, 3)...)
		proceed := make(chan struct{})
		leader.Sink = sinkFunc(func([]*telemetry.Batch) error {
			<-proceed
			return nil
		})
		running := start(t, leader)
		for range 3 {
			synctest.Wait()
			if n := len(drain(t, followers[0].Cursor)); n != 0 {
				t.Errorf("the follower sees %d frames before", n)
			}
			proceed <- struct{}{}
		}
		synctest.Wait()
		if n := len(drain(t, followers[0].Cursor)); n != 3 {
			t.Errorf("the follower sees %d frames", n)
		}
		running.stop()
		q.Close()
	})
}

// Whoever is how far, and wherever a frame comes from, each follower sees all once, in order, with the same UIDs.
func TestEveryFollowerSeesEveryFrameOnceInOrder(t *testing.T) {
	const n = 3 * maxFreshFrames
	mixed := func() (frames []telemetry.Frame) {
		for i := range n {
			if i%7 < 3 {
				frames = append(frames, plainFrames(i, i+1)...)
			} else {
				frames = append(frames, lineFrames(i, i+1)...)
			}
		}
		return frames
	}
	for name, frames := range map[string][]telemetry.Frame{"compressed": lineFrames(0, n), "not compressed": plainFrames(0, n), "mixed": mixed()} {
		for _, late := range []string{"nobody", "the first", "the others", "all"} {
			t.Run(name+", late: "+late, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					q := open(t, disk.NewMem(), segments(4000))
					leader, followers := led(t, q, 3)
					early, behind := followers, []*Delivery(nil)
					switch late {
					case "the first":
						early, behind = followers[1:], followers[:1]
					case "the others":
						early, behind = followers[:1], followers[1:]
					case "all":
						early, behind = nil, followers
					}
					running := start(t, append(slices.Clone(early), leader)...)
					send(t, q, frames[:n/2]...)
					synctest.Wait()
					wantGot(t, leader, numbers(0, n/2)) // far ahead of the late
					runningBehind := start(t, behind...)
					send(t, q, frames[n/2:]...)
					synctest.Wait()
					for _, f := range followers {
						wantGot(t, f, numbers(0, n))
						if !maps.Equal(f.Sink.(*storing).stored, leader.Sink.(*storing).stored) {
							t.Errorf("%s has other UIDs", f.Cursor.Name())
						}
					}
					running.stop()
					runningBehind.stop()
					q.Close()
				})
			})
		}
	}
}

func TestTheFirstFollowerTakesOverWhatIsDecoded(t *testing.T) {
	for name, test := range map[string]struct {
		frames  []telemetry.Frame
		decoded int
	}{
		"compressed":     {lineFrames(0, 10), 10},
		"not compressed": {plainFrames(0, 10), 0},
		"far ahead":      {lineFrames(0, maxFreshFrames+10), maxFreshFrames},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := disk.NewMem()
			q := open(t, fsys)
			leader, followers := led(t, q, 2)
			leader.MaxBatch = 100 // some writes a round
			send(t, q, test.frames...)
			deliver(t, leader)
			first, second := drain(t, followers[0].Cursor), drain(t, followers[1].Cursor)
			if len(first) != len(test.frames) || len(second) != len(test.frames) {
				t.Fatalf("the followers see %d and %d of %d", len(first), len(second), len(test.frames))
			}
			for i := range first {
				if (first[i].Decoded != nil) != (i < test.decoded) || second[i].Decoded != nil || !same(first[i], second[i]) {
					t.Errorf("frame %d is %+v for the first, %+v for the second", i, first[i], second[i])
				}
			}
			for _, f := range followers {
				commit(t, f.Cursor, "")
				if frames, _ := f.Cursor.Lag(); frames != 0 {
					t.Errorf("the lag of %s is %d", f.Cursor.Name(), frames)
				}
			}
		})
	}
}

// What the receiver has decoded is for the cursor that has asked for it, and for nobody else.
func TestAFollowerDoesNotShareWhatTheReceiverHasDecoded(t *testing.T) {
	q, l := open(t, disk.NewMem()), &loans{}
	observer := cursor(t, q, "observer", CursorOptions{Decoded: true})
	leader, followers := led(t, q, 1)
	f := lineFrames(0, 1)[0]
	l.lend(&f, otlp.AppendLogs(nil, []*telemetry.Batch{plainLines("0")}), plainLines("0"))
	received := f.Decoded
	if err := l.append(t, q, f); err != nil {
		t.Fatal(err)
	}
	deliver(t, leader)
	first, second := drain(t, observer), drain(t, followers[0].Cursor)
	if len(first) != 1 || first[0].Decoded != received || len(second) != 1 || second[0].Decoded == received || second[0].Decoded == nil {
		t.Errorf("the observer has got %+v, the follower %+v", first, second)
	}
	l.wantBack(t, 1)
}

func TestMemoryThatAFollowerGivesBackIsUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := open(t, disk.NewMem())
		leader, followers := led(t, q, 1)
		running := start(t, leader)
		seen := map[*telemetry.Decoded]bool{}
		for i := range 10 * maxSpare {
			send(t, q, lineFrames(i, i+1)...)
			synctest.Wait()
			frames, err := followers[0].Cursor.poll(0, 1)
			if err != nil || len(frames) != 1 || frames[0].Decoded == nil {
				t.Fatal(frames, err)
			}
			seen[frames[0].Decoded] = true
		}
		if len(seen) > maxSpare {
			t.Errorf("it was decoded in %d places", len(seen))
		}
		running.stop()
		q.Close()
	})
}

// A follower that began later than its leader knows fewer repeats.
func TestAFollowerJudgesRepeatsItself(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys, segments(400))
	leader := &Delivery{Cursor: cursor(t, q, "leader", CursorOptions{}), Sink: &storing{}}
	of := func(sequence uint64, b *telemetry.Batch) telemetry.Frame {
		f := logFrame(b)
		f.Origin, f.Sequence = telemetry.QueueID{1}, sequence
		return f
	}
	send(t, q, logFrame(fileLines(1, 0, 3)), of(9, plainLines("nine")))
	send(t, q, lineFrames(0, 9)...)
	deliver(t, leader) // and what it has passed is gone
	q.Close()

	q = open(t, fsys, segments(400))
	leader = &Delivery{Cursor: cursor(t, q, "leader", CursorOptions{}), Sink: &storing{}}
	follower := &Delivery{Cursor: cursor(t, q, "new", CursorOptions{Follows: leader}), Sink: &storing{}}
	send(t, q, logFrame(fileLines(1, 1, 5)), of(8, plainLines("eight")), logFrame(plainLines("end")))
	deliver(t, leader)
	deliver(t, follower)
	wantGot(t, leader, "1:4 1:5 end")
	if g := got(follower); !strings.HasSuffix(g, "1:2 1:3 1:4 1:5 eight end") || strings.Contains(g, "nine") {
		t.Errorf("the follower has got %q", g)
	}
}

func TestAClosedFollowerTakesNothingOver(t *testing.T) {
	q := open(t, disk.NewMem())
	leader, followers := led(t, q, 1)
	c := followers[0].Cursor
	send(t, q, lineFrames(0, 3)...)
	deliver(t, leader)
	c.Close()
	c.fresh.offer(freshFrame{frame: telemetry.Frame{Decoded: &telemetry.Decoded{}}})
	if len(c.fresh.frames) > 0 {
		t.Error("it holds what nobody will read")
	}
	again := cursor(t, q, c.Name(), CursorOptions{Follows: leader})
	if n := len(drain(t, again)); n != 3 {
		t.Errorf("opened again it sees %d frames", n)
	}
}

// What its leader could not do anything with a follower judges itself.
func TestAFrameThatItsLeaderQuarantinesReachesTheFollower(t *testing.T) {
	for name, test := range map[string]struct {
		bad     telemetry.Frame
		script  func([]*telemetry.Batch) (bool, error)
		panicOn string
		stage   bool
		want    string
	}{
		"undecodable": {bad: telemetry.Frame{
			Signal: telemetry.Logs, Encoding: telemetry.OTLP, Compression: telemetry.Gzip, Body: []byte("no gzip"),
		}, want: "0 1 2 3"},
		"permanent": {bad: logFrame(plainLines("bad")), script: refuses("bad"), want: "0 1 bad 2 3"},
		"observer":  {bad: logFrame(plainLines("bad", "too")), panicOn: "bad", want: "0 1 bad too 2 3"},
		"stage":     {bad: logFrame(plainLines("bad", "too")), stage: true, want: "0 1 bad too 2 3"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := open(t, disk.NewMem())
				leader, followers := led(t, q, 2)
				leader.Sink.(*storing).script = test.script
				leader.Observers = []Observer{&counter{panicOn: test.panicOn}}
				if test.stage {
					leader.Stages = append(leader.Stages, func(b *telemetry.Batch) {
						if string(b.Logs[0].Body) == "bad" {
							b.Logs = b.Logs[:0]
							panic("bad")
						}
					})
				}
				running := start(t, append(followers, leader)...)
				for _, f := range append(append(lineFrames(0, 2), test.bad), lineFrames(2, 4)...) {
					send(t, q, f)
					synctest.Wait() // what was lent is back
				}
				wantGot(t, leader, numbers(0, 4))
				wantGot(t, followers[0], test.want)
				wantGot(t, followers[1], test.want)
				running.stop()
				q.Close()
			})
		})
	}
}

// dropOdd drops the lines that are odd numbers, and writes over the others.
func dropOdd(b *telemetry.Batch) {
	kept := b.Logs[:0]
	for _, l := range b.Logs {
		if n := l.Body[len(l.Body)-1] - '0'; n%2 == 0 {
			l.Body = append([]byte("edited "), l.Body...)
			kept = append(kept, l)
		}
	}
	clear(b.Logs[len(kept):])
	b.Logs = kept
}

func TestNobodySeesWhatAnotherEdits(t *testing.T) {
	for _, who := range []string{"leader", "first", "second"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 100
				q := open(t, disk.NewMem())
				leader, followers := led(t, q, 2)
				all := append(followers, leader)
				editor := map[string]*Delivery{"leader": leader, "first": followers[0], "second": followers[1]}[who]
				editor.Stages = append(editor.Stages, dropOdd)
				running := start(t, all...)
				for _, f := range lineFrames(0, n) {
					send(t, q, f)
					synctest.Wait()
				}
				var edited []string
				for i := 0; i < n; i += 2 {
					edited = append(edited, fmt.Sprint("edited ", i))
				}
				for _, d := range all {
					want := numbers(0, n)
					if d == editor {
						want = strings.Join(edited, " ")
					}
					wantGot(t, d, want)
				}
				running.stop()
				q.Close()
			})
		})
	}
}

// While a follower's sink has batches nobody writes where they lie, however far the leader gets meanwhile.
func TestWhatIsLentToAFollowerStaysAsItIs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5 * maxFreshFrames
		q := open(t, disk.NewMem())
		leader, followers := led(t, q, 1)
		seen, proceed := []string(nil), make(chan struct{})
		followers[0].Sink = sinkFunc(func(batches []*telemetry.Batch) error {
			read := func() (all []string) {
				for _, b := range batches {
					for i := range b.Logs {
						all = append(all, string(b.Logs[i].Body)+" of "+b.Resource.Pod)
					}
				}
				return all
			}
			before := read()
			<-proceed
			if after := read(); fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("%q has become %q", before, after)
			}
			seen = append(seen, before...)
			return nil
		})
		running := start(t, leader, followers[0])
		for i := range n {
			send(t, q, logFrame(&telemetry.Batch{Resource: &telemetry.Resource{Pod: fmt.Sprint("pod-", i)}, Logs: plainLines(fmt.Sprint(i)).Logs}))
			if i%10 == 0 {
				synctest.Wait()
			}
			if i%50 == 0 {
				proceed <- struct{}{}
			}
		}
		synctest.Wait()
		wantGot(t, leader, numbers(0, n))
		close(proceed)
		synctest.Wait()
		if len(seen) != n {
			t.Fatalf("it saw %d of %d", len(seen), n)
		}
		for i := range seen {
			if seen[i] != fmt.Sprintf("%d of pod-%d", i, i) {
				t.Errorf("line %d is %q", i, seen[i])
			}
		}
		running.stop()
		q.Close()
	})
}

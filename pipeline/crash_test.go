package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// A crashRun is a random workload on a queue whose disk is cloned, as a crash would leave it, before its k-th operation.
// What was acknowledged and what was read before that moment must hold in the clone.
type crashRun struct {
	t    *testing.T
	rnd  *rand.Rand
	fsys *disk.Mem

	mu        sync.Mutex
	acked     [3][]string          // bodies by lane, in the order of their acknowledgement
	begun     map[string]bool      // every body that was ever sent
	seen      [3]map[uint64]string // body by position, as readers saw it
	committed [3]uint64            // how many frames are committed by the cursor
	read      [3]uint64            // positions below are read

	countdown int
	left      *crashed
}

type crashed struct {
	fsys      *disk.Mem
	acked     [3]int
	committed [3]uint64
	read      [3]uint64 // positions below are read
}

// step is the file system's hook.
func (r *crashRun) step(op, name string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.countdown--; r.countdown == 0 {
		r.left = &crashed{fsys: r.fsys.CrashClone(r.rnd.Uint64()), committed: r.committed, read: r.read}
		if r.rnd.IntN(2) == 0 { // only the process dies; the machine may follow in a later round
			r.left.fsys = r.fsys.KillClone()
		}
		for i := range r.acked {
			r.left.acked[i] = len(r.acked[i])
		}
	}
	if strings.HasSuffix(name, ".seg") && (op == "sync" || op == "write") && r.rnd.IntN(25) == 0 {
		return syscall.EIO
	}
	return nil
}

func (r *crashRun) work(q *Queue, round int) {
	var cursors [3]*Cursor
	for i, s := range telemetry.Signals {
		var err error
		if cursors[i], err = q.Cursor(s, "c", CursorOptions{}); err != nil {
			r.t.Fatal(err)
		}
	}
	for n := range 40 {
		switch r.rnd.IntN(5) {
		case 0:
			r.consume(cursors[r.rnd.IntN(3)], r.rnd.IntN(3) == 0)
		default:
			r.append(q, round, n)
		}
	}
}

func (r *crashRun) append(q *Queue, round, n int) {
	lane := r.rnd.IntN(3)
	var frames []telemetry.Frame
	for i := range 1 + r.rnd.IntN(3) {
		body := fmt.Sprintf("%d/%d/%d:%s", round, n, i, strings.Repeat("x", r.rnd.IntN(300)))
		frames = append(frames, frame(telemetry.Signals[lane], body))
		r.begun[body] = true
	}
	err := q.Append(r.t.Context(), frames)
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range frames {
		if err == nil {
			r.acked[lane] = append(r.acked[lane], string(f.Body))
		}
	}
}

func (r *crashRun) consume(c *Cursor, commit bool) {
	i := laneIndex(c.Signal())
	frames, err := c.poll(500, 4)
	if err != nil {
		r.t.Fatal(err)
	}
	r.mu.Lock()
	for _, f := range frames {
		r.see(i, f)
	}
	r.mu.Unlock()
	if !commit {
		return
	}
	if err := c.Commit(nil); err != nil && !errors.Is(err, syscall.EIO) {
		r.t.Fatal(err)
	} else if err == nil {
		r.mu.Lock()
		r.committed[i] = c.at.position
		r.mu.Unlock()
	}
}

// see notes what a reader got. A position never names another frame than the one that was once read there.
func (r *crashRun) see(lane int, f telemetry.Frame) {
	if old, ok := r.seen[lane][f.Position]; ok && old != string(f.Body) {
		r.t.Errorf("position %d was %.20q and is %.20q", f.Position, old, f.Body)
	}
	r.seen[lane][f.Position] = string(f.Body)
	r.read[lane] = max(r.read[lane], f.Position+1)
}

// check opens what the crash has left: from the committed position on everything acknowledged is there, in order, at
// the positions that readers saw.
func (r *crashRun) check(q *Queue) {
	var last int64
	for i, s := range telemetry.Signals {
		c, err := q.Cursor(s, "c", CursorOptions{})
		if err != nil {
			r.t.Fatal(err)
		}
		if c.at.position < r.left.committed[i] {
			r.t.Errorf("the committed position of %s went back from %d to %d", s, r.left.committed[i], c.at.position)
		}
		there, order := map[string]bool{}, []string{}
		last = 0
		for _, f := range drain(r.t, c) {
			body := string(f.Body)
			if !r.begun[body] || there[body] {
				r.t.Errorf("%s has %.20q, sent %v, before %v", s, body, r.begun[body], there[body])
			}
			r.see(i, f)
			if f.ReceivedUnixNano < last {
				r.t.Errorf("stamps go back")
			}
			last = f.ReceivedUnixNano
			there[body] = true
			order = append(order, body)
		}
		r.compare(s, c.opened.position, order, there, r.acked[i][:r.left.acked[i]])
		c.Close()
	}
}

// compare wants the acknowledged frames from position on, in order.
func (r *crashRun) compare(s telemetry.Signal, position uint64, order []string, there map[string]bool, acked []string) {
	before := map[string]bool{} // what was seen and committed
	for p, body := range r.seen[laneIndex(s)] {
		if p < position {
			before[body] = true
		}
	}
	next := 0
	for _, body := range acked {
		if before[body] {
			continue
		}
		if !there[body] {
			r.t.Errorf("%s has lost the acknowledged %.20q", s, body)
			continue
		}
		for next < len(order) && order[next] != body {
			next++
		}
		if next == len(order) {
			r.t.Fatalf("%s has %.20q out of order", s, body)
		}
	}
}

func TestNothingAcknowledgedIsMissingAfterACrash(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := &crashRun{t: t, rnd: rand.New(rand.NewPCG(seed, 0)), fsys: disk.NewMem(), begun: map[string]bool{}}
			for i := range r.seen {
				r.seen[i] = map[uint64]string{}
			}
			for round := range 5 {
				q := open(t, r.fsys, segments(700))
				r.countdown, r.left = 1+r.rnd.IntN(400), nil
				if r.rnd.IntN(3) == 0 { // at once
					r.countdown = 1 + r.rnd.IntN(20)
				}
				r.fsys.FailOn(r.step)
				r.work(q, round)
				r.fsys.FailOn(nil)
				q.Close()
				if r.left == nil {
					continue
				}
				r.fsys = r.left.fsys
				after := open(t, r.fsys, segments(700))
				r.forgetTheFuture()
				r.check(after)
				after.Close()
			}
		})
	}
}

// forgetTheFuture drops what happened after the crash, which the clone knows nothing of.
func (r *crashRun) forgetTheFuture() {
	for i := range r.acked {
		r.acked[i] = r.acked[i][:r.left.acked[i]]
		for p := range r.seen[i] {
			if p >= r.left.read[i] {
				delete(r.seen[i], p)
			}
		}
	}
	r.committed, r.read = r.left.committed, r.left.read
}

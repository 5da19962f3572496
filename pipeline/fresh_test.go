package pipeline

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// loans counts what a receiver has decoded and given away.
type loans struct {
	made int
	back atomic.Int64
}

// fromMemory is what a decoded body begins with here, so that one knows where a frame came from.
const fromMemory = "decoded "

// lend gives f a decoded view, which the caller lets go of once f is appended. What is back is scribbled on.
func (l *loans) lend(f *telemetry.Frame, body []byte, batches ...*telemetry.Batch) {
	d := &telemetry.Decoded{Body: body, Batches: batches}
	l.made++
	d.Begin(func() {
		clear(d.Body)
		l.back.Add(1)
	})
	f.Decoded = d
}

func (l *loans) frame(body string) telemetry.Frame {
	f := frame(telemetry.Logs, body)
	l.lend(&f, []byte(fromMemory+body))
	return f
}

// append appends frames as one request, as a receiver does.
func (l *loans) append(t testing.TB, q *Queue, frames ...telemetry.Frame) error {
	t.Helper()
	err := q.Append(t.Context(), frames)
	for i := range frames {
		if d := frames[i].Decoded; d != nil {
			d.Release()
		}
	}
	return err
}

func (l *loans) add(t testing.TB, q *Queue, bodies ...string) {
	t.Helper()
	for _, body := range bodies {
		if err := l.append(t, q, l.frame(body)); err != nil {
			t.Fatal(err)
		}
	}
}

func (l *loans) wantBack(t testing.TB, want int) {
	t.Helper()
	if got := int(l.back.Load()); got != want {
		t.Errorf("%d of %d decoded frames are back, not %d", got, l.made, want)
	}
}

func unreadable(op, name string) error {
	if op == "read" || op == "open" {
		return syscall.EIO
	}
	return nil
}

// same reports whether two frames are one, however each was read.
func same(a, b telemetry.Frame) bool {
	a.Body, a.Decoded, a.Compression = nil, nil, 0
	b.Body, b.Decoded, b.Compression = nil, nil, 0
	return fmt.Sprint(a) == fmt.Sprint(b)
}

func TestDecodedFramesAreNotReadFromTheDisk(t *testing.T) {
	fsys, r, l := disk.NewMem(), prometheus.NewPedanticRegistry(), &loans{}
	q := open(t, fsys, segments(500), func(o *Options) { o.Registerer = r })
	add(t, q, "old")
	c := cursor(t, q, "c", CursorOptions{Decoded: true})
	if got := bodies(drain(t, c)); got != "old" {
		t.Fatalf("got %q", got)
	}
	fsys.FailOn(unreadable)
	want := ""
	for i := range 20 {
		f := l.frame(numbered(i, i+1)[0])
		f.Key, f.Origin, f.Sequence, f.Compression, f.ReceivedUnixNano = uint64(i), telemetry.QueueID{7}, uint64(100+i), telemetry.Gzip, 5
		if err := l.append(t, q, f); err != nil {
			t.Fatal(err)
		}
		want += fromMemory + string(f.Body) + " "
	}
	got := drain(t, c)
	if bodies(got)+" " != want {
		t.Fatalf("got %q", bodies(got))
	}
	fsys.FailOn(nil)
	stored := drain(t, cursor(t, q, "other", CursorOptions{}))[1:]
	for i := range got {
		if !same(got[i], stored[i]) || got[i].Compression != telemetry.Identity || got[i].Decoded == nil || stored[i].Decoded != nil {
			t.Errorf("frame %d is %+v, on the disk %+v", i, got[i], stored[i])
		}
	}
	commit(t, c, "")
	if frames, bytes := c.Lag(); frames != 0 || bytes != 0 {
		t.Errorf("lag is %d frames, %d bytes", frames, bytes)
	}
	if out := metric(t, r, "braid_pipeline_out_frames_total", "c", ""); out != 21 {
		t.Errorf("%v frames are counted as out", out)
	}
	for _, reason := range []string{"corrupt", "skipped", "quarantined"} {
		if n := metric(t, r, "braid_pipeline_dropped_frames_total", "c", reason); n != 0 {
			t.Errorf("%v frames are counted as dropped: %s", n, reason)
		}
	}
	l.wantBack(t, 20)
}

func TestDecodedFramesAreSeenOnceTheyAreSynced(t *testing.T) {
	fsys, l := disk.NewMem(), &loans{}
	q := open(t, fsys)
	c := cursor(t, q, "c", CursorOptions{Decoded: true})
	early := 0
	fsys.FailOn(func(op, _ string) error {
		if op == "sync" {
			early += len(drain(t, c))
		}
		return nil
	})
	if err := l.append(t, q, l.frame("a"), l.frame("b")); err != nil {
		t.Fatal(err)
	}
	fsys.FailOn(nil)
	if got := bodies(drain(t, c)); early != 0 || got != "decoded a decoded b" {
		t.Errorf("before the sync came %d frames, then %q", early, got)
	}
}

func TestDecodedFramesOfAFailedSyncAreNotSeen(t *testing.T) {
	for _, op := range []string{"sync", "write", "create", "syncdir"} {
		t.Run(op, func(t *testing.T) {
			fsys, l := disk.NewMem(), &loans{}
			q := open(t, fsys, segments(400))
			c := cursor(t, q, "c", CursorOptions{Decoded: true})
			l.add(t, q, "a")
			armed, suffix := true, ".seg"
			if op == "syncdir" {
				suffix = "logs"
			}
			fsys.FailOn(failing(&armed, op, suffix, syscall.EIO))
			long := string(make([]byte, 400)) // rolls
			wantErr(t, l.append(t, q, l.frame("lost"), l.frame(long)), syscall.EIO)
			fsys.FailOn(nil)
			l.add(t, q, "b", "lost", "c")
			got, stored := drain(t, c), drain(t, cursor(t, q, "other", CursorOptions{}))
			if len(got) != len(stored) {
				t.Fatalf("got %q, stored is %q", bodies(got), bodies(stored))
			}
			for i := range got {
				if !same(got[i], stored[i]) {
					t.Errorf("frame %d is %+v, on the disk %+v", i, got[i], stored[i])
				}
			}
			c.Close()
			if _, err := c.poll(0, 1); !errors.Is(err, ErrClosed) {
				t.Errorf("a closed cursor: %v", err)
			}
			l.wantBack(t, l.made)
		})
	}
}

func TestARepeatOfADecodedFrameIsNotSeen(t *testing.T) {
	q, l := open(t, disk.NewMem()), &loans{}
	c := cursor(t, q, "c", CursorOptions{Decoded: true})
	if err := l.append(t, q, l.frame("a"), l.frame("a"), l.frame("b")); err != nil {
		t.Fatal(err)
	}
	l.add(t, q, "b", "a", "c")
	if got := bodies(drain(t, c)); got != "decoded a decoded b decoded c" {
		t.Errorf("got %q", got)
	}
	l.wantBack(t, 6)
}

func TestWhatHasNoRoomDecodedIsReadFromTheDisk(t *testing.T) {
	for name, room := range map[string]func(*fresh){
		"frames": func(*fresh) {},
		"bytes":  func(q *fresh) { q.maxBytes = 5*len("decoded body-0000") + 1 },
	} {
		t.Run(name, func(t *testing.T) {
			q, l := open(t, disk.NewMem()), &loans{}
			c := cursor(t, q, "c", CursorOptions{Decoded: true})
			room(c.fresh)
			want := map[string]int{"frames": maxFreshFrames, "bytes": 5}[name]
			all := numbered(0, want+10)
			l.add(t, q, all...)
			l.wantBack(t, 10)
			for i, f := range drain(t, c) {
				body, decoded := all[i], i < want
				if decoded {
					body = fromMemory + body
				}
				if string(f.Body) != body {
					t.Fatalf("frame %d is %q", i, f.Body)
				}
			}
			l.add(t, q, "at the end again")
			if got := bodies(drain(t, c)); got != "decoded at the end again" {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestFramesThatCameUndecodedAreReadInBetween(t *testing.T) {
	q, l := open(t, disk.NewMem(), segments(1500)), &loans{}
	c := cursor(t, q, "c", CursorOptions{Decoded: true})
	want := ""
	for i := range 10 {
		l.add(t, q, fmt.Sprint("a", i), fmt.Sprint("b", i))
		add(t, q, fmt.Sprint("c", i), fmt.Sprint("d", i))
		want += fmt.Sprintf(" decoded a%d decoded b%d c%d d%d", i, i, i, i)
	}
	if got := " " + bodies(drain(t, c)); got != want {
		t.Errorf("got %q", got)
	}
}

// A mix drives a cursor for decoded frames and one that reads the disk alone through the same lane.
type mix struct {
	rnd       *rand.Rand
	fsys      *disk.Mem
	q         *Queue
	l         loans
	c, plain  *Cursor
	sent      []string // and stored
	got, disk []telemetry.Frame
	committed int
	decoded   int
}

func (m *mix) send(t *testing.T) {
	armed := m.rnd.IntN(8) == 0
	m.fsys.FailOn(failing(&armed, []string{"sync", "write", "create"}[m.rnd.IntN(3)], ".seg", syscall.EIO))
	defer m.fsys.FailOn(nil)
	var frames []telemetry.Frame
	for range 1 + m.rnd.IntN(4) {
		body := fmt.Sprintf("%d-%0*d", m.l.made+len(m.sent), m.rnd.IntN(300), m.rnd.IntN(1e9))
		if m.rnd.IntN(4) == 0 {
			frames = append(frames, frame(telemetry.Logs, body))
		} else {
			frames = append(frames, m.l.frame(body))
		}
	}
	err := m.l.append(t, m.q, frames...)
	stored := drain(t, m.plain) // of a request that failed, too, what was safe before
	for _, f := range stored {
		m.sent, m.disk = append(m.sent, string(f.Body)), append(m.disk, f)
	}
	if err == nil && !strings.HasSuffix(bodies(stored), string(frames[len(frames)-1].Body)) {
		t.Fatalf("%q is not stored", frames[len(frames)-1].Body)
	}
}

func (m *mix) read(t *testing.T) {
	frames, err := m.c.poll(1+m.rnd.IntN(2000), 1+m.rnd.IntN(20))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range frames {
		i := len(m.got)
		m.got = append(m.got, f)
		want := m.sent[i]
		if f.Decoded != nil {
			m.decoded++
			want = fromMemory + want
		}
		if string(f.Body) != want || !same(f, m.disk[i]) {
			t.Fatalf("frame %d is %+v, on the disk %+v", i, f, m.disk[i])
		}
	}
}

// Whatever fails, and wherever each frame comes from, a cursor sees what is on the disk: all of it, once, in order.
func TestACursorSeesWhatIsOnTheDiskWhereverItComesFrom(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			m := &mix{rnd: rand.New(rand.NewPCG(seed, 0)), fsys: disk.NewMem()}
			m.q = open(t, m.fsys, segments(2000))
			m.c, m.plain = cursor(t, m.q, "c", CursorOptions{Decoded: true}), cursor(t, m.q, "plain", CursorOptions{})
			m.c.fresh.maxBytes = 500 + m.rnd.IntN(5000)
			for range 300 {
				switch m.rnd.IntN(8) {
				case 0, 1, 2:
					m.send(t)
				case 3:
					commit(t, m.c, "")
					commit(t, m.plain, "")
					m.committed = len(m.got)
				default:
					m.read(t)
				}
			}
			after := open(t, m.fsys.CrashClone(seed), segments(2000))
			for i, f := range drain(t, cursor(t, after, "c", CursorOptions{Decoded: true})) {
				if i += m.committed; string(f.Body) != m.sent[i] || !same(f, m.disk[i]) {
					t.Fatalf("after a crash frame %d is %+v, not %+v", i, f, m.disk[i])
				}
			}
			for len(m.got) < len(m.sent) {
				before := len(m.got)
				if m.read(t); len(m.got) == before {
					t.Fatalf("%d frames are there of %d", len(m.got), len(m.sent))
				}
			}
			commit(t, m.c, "")
			commit(t, m.plain, "")
			if frames, _ := m.c.Lag(); frames != 0 || len(files(t, m.fsys, "q/logs", ".seg")) > 2 {
				t.Errorf("lag is %d frames, and there are %q", frames, files(t, m.fsys, "q/logs", ".seg"))
			}
			if m.decoded == 0 || m.decoded == len(m.got) {
				t.Errorf("%d of %d frames came decoded", m.decoded, len(m.got))
			}
			m.c.Close()
			if _, err := m.c.poll(0, 1); !errors.Is(err, ErrClosed) {
				t.Errorf("a closed cursor: %v", err)
			}
			m.l.wantBack(t, m.l.made)
		})
	}
}

func TestASegmentMayGoUnderDecodedFrames(t *testing.T) {
	fsys, l := disk.NewMem(), &loans{}
	q := open(t, fsys, segments(400))
	c := cursor(t, q, "c", CursorOptions{Decoded: true})
	for i := range 30 {
		l.add(t, q, numbered(2*i, 2*i+2)...)
		if got := bodies(drain(t, c)); got != fmt.Sprintf("decoded body-%04d decoded body-%04d", 2*i, 2*i+1) {
			t.Fatalf("got %q", got)
		}
		commit(t, c, "")
		if n := len(files(t, fsys, "q/logs", ".seg")); n > 2 {
			t.Fatalf("%d segments are kept", n)
		}
	}
	add(t, q, "read")
	if got := bodies(drain(t, c)); got != "read" {
		t.Errorf("got %q", got)
	}
}

func TestAfterACrashAllIsReadFromTheDisk(t *testing.T) {
	fsys, l := disk.NewMem(), &loans{}
	q := open(t, fsys)
	c := cursor(t, q, "c", CursorOptions{Decoded: true})
	l.add(t, q, "a", "b")
	drain(t, c)
	commit(t, c, "")
	l.add(t, q, "c", "d")
	drain(t, c)
	l.add(t, q, "e")
	q = open(t, fsys.CrashClone(1))
	if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{Decoded: true}))); got != "c d e" {
		t.Errorf("got %q", got)
	}
}

func TestAClosedCursorHoldsNothing(t *testing.T) {
	for name, end := range map[string]func(*Queue, *Cursor) error{
		"cursor":  func(_ *Queue, c *Cursor) error { return c.Close() },
		"suspend": func(q *Queue, _ *Cursor) error { return q.Suspend() },
		"queue":   func(q *Queue, _ *Cursor) error { return q.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			q, l := open(t, disk.NewMem()), &loans{}
			c := cursor(t, q, "c", CursorOptions{Decoded: true})
			l.add(t, q, "a", "b", "c")
			lent, err := c.poll(0, 1)
			if err != nil || bodies(lent) != "decoded a" {
				t.Fatal(bodies(lent), err)
			}
			if err := end(q, c); err != nil {
				t.Fatal(err)
			}
			l.wantBack(t, 2)
			if bodies(lent) != "decoded a" {
				t.Errorf("what is lent was taken away")
			}
			if name != "queue" {
				l.add(t, q, "nobody reads it")
			}
			_, err = c.poll(0, 1)
			wantErr(t, err, ErrClosed)
			l.wantBack(t, l.made)
		})
	}
}

package pipeline

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/wire/compression"
	"github.com/braidhq/braid/wire/otlp"
)

// logFrame encodes batches as an agent would.
func logFrame(batches ...*telemetry.Batch) telemetry.Frame {
	return telemetry.Frame{
		Signal: telemetry.Logs, Encoding: telemetry.OTLP, Compression: telemetry.Gzip,
		Body: compression.Compress(nil, otlp.AppendLogs(nil, batches), telemetry.Gzip),
	}
}

// fileLines makes a batch of the lines of file that end at from+1 to to.
func fileLines(file byte, from, to int) *telemetry.Batch {
	b := &telemetry.Batch{Resource: &telemetry.Resource{Pod: "p"}, FileID: telemetry.FileID{file, 1}, From: int64(from), To: int64(to)}
	for p := from + 1; p <= to; p++ {
		b.Logs = append(b.Logs, telemetry.Log{Stream: telemetry.Stdout, Position: int64(p), Body: fmt.Appendf(nil, "%d:%d", file, p)})
	}
	return b
}

func plainLines(bodies ...string) *telemetry.Batch {
	b := &telemetry.Batch{Resource: &telemetry.Resource{Pod: "p"}}
	for _, body := range bodies {
		b.Logs = append(b.Logs, telemetry.Log{Body: []byte(body)})
	}
	return b
}

func send(t testing.TB, q *Queue, frames ...telemetry.Frame) {
	t.Helper()
	for _, f := range frames {
		if err := q.Append(t.Context(), []telemetry.Frame{f}); err != nil {
			t.Fatal(err)
		}
	}
}

// A storing sink is a store that knows UIDs, with a script of failures.
type storing struct {
	mu     sync.Mutex
	stored map[telemetry.UID]string
	order  []string
	again  int                                            // records that it had already
	script func(batches []*telemetry.Batch) (bool, error) // whether to store, and what to answer
}

func (s *storing) Write(_ context.Context, batches []*telemetry.Batch) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	store, err := true, error(nil)
	if s.script != nil {
		store, err = s.script(batches)
	}
	if !store {
		return err
	}
	for _, b := range batches {
		for i := range b.Logs {
			l := &b.Logs[i]
			if l.UID.IsZero() {
				return errors.New("a record has no UID")
			}
			if old, ok := s.stored[l.UID]; ok {
				s.again++
				if old != string(l.Body) {
					return fmt.Errorf("UID %s is %q and %q", l.UID, old, l.Body)
				}
				continue
			}
			if s.stored == nil {
				s.stored = map[telemetry.UID]string{}
			}
			s.stored[l.UID] = string(l.Body)
			s.order = append(s.order, string(l.Body))
		}
	}
	return err
}

func (s *storing) got() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.order, " ")
}

// A counter is an observer that counts lines, and lists those that it has seen since it was made.
type counter struct {
	total    uint64
	seen     []string
	replayed []string
	panicOn  string
}

func (c *counter) Observe(b *telemetry.Batch, replayed bool) {
	for i := range b.Logs {
		body := string(b.Logs[i].Body)
		if c.panicOn != "" && body == c.panicOn {
			panic("no " + body)
		}
		if replayed {
			c.replayed = append(c.replayed, body)
			continue
		}
		c.total++
		c.seen = append(c.seen, body)
	}
}
func (c *counter) AppendSnapshot(b []byte) []byte {
	return binary.LittleEndian.AppendUint64(b, c.total)
}
func (c *counter) Restore(b []byte) error {
	if len(b) != 8 {
		return disk.ErrCorrupt
	}
	c.total = binary.LittleEndian.Uint64(b)
	return nil
}

// deliver runs d until it has caught up, and stops it.
func deliver(t testing.TB, d *Delivery) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	select {
	case <-d.CaughtUp():
	case err := <-done:
		t.Fatalf("Run ended: %v", err)
	case <-within(t).Done():
		t.Fatal("it never caught up")
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestDelivery(t *testing.T) {
	q := open(t, disk.NewMem())
	sink, count := &storing{}, &counter{}
	send(t, q, logFrame(fileLines(1, 0, 3)), logFrame(fileLines(1, 1, 5)), logFrame(plainLines("x", "y"), fileLines(2, 0, 1)))
	deliver(t, &Delivery{Cursor: cursor(t, q, "c", CursorOptions{}), Sink: sink, Observers: []Observer{count}})
	want := "1:1 1:2 1:3 1:4 1:5 x y 2:1"
	if got := sink.got(); got != want || sink.again != 0 {
		t.Errorf("stored %q, %d of them again", got, sink.again)
	}
	if strings.Join(count.seen, " ") != want || len(count.replayed) != 0 {
		t.Errorf("observed %q", count.seen)
	}
	if sink.stored[telemetry.FileUID(telemetry.FileID{1, 1}, 4)] != "1:4" {
		t.Errorf("the line 1:4 has another UID")
	}
}

func TestDeliveryGivesUIDsOfTheFirstQueue(t *testing.T) {
	q := open(t, disk.NewMem())
	f := logFrame(plainLines("x", "y"))
	own := f
	f.Origin, f.Sequence = telemetry.QueueID{9}, 77
	f.ID[0] = 1
	send(t, q, f, own)
	sink := &storing{}
	deliver(t, &Delivery{Cursor: cursor(t, q, "c", CursorOptions{}), Sink: sink})
	if sink.stored[telemetry.QueueUID(telemetry.QueueID{9}, 77, 1)] != "y" || len(sink.stored) != 4 {
		t.Errorf("stored %v", sink.stored)
	}
	position := uint64(frameSize(&f))
	if sink.stored[telemetry.QueueUID(q.ID(), position, 0)] != "x" {
		t.Errorf("stored %v", sink.stored)
	}
}

func TestDeliveryDropsFramesOfAnOriginThatItHasSeen(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	q := open(t, disk.NewMem(), func(o *Options) { o.Registerer = r })
	for i, sequence := range []uint64{0, 5, 5, 4, 9} {
		f := logFrame(plainLines(fmt.Sprint(sequence)))
		f.Origin, f.Sequence, f.ID = telemetry.QueueID{1}, sequence, [16]byte{1, byte(i)}
		send(t, q, f)
	}
	sink := &storing{}
	deliver(t, &Delivery{Cursor: cursor(t, q, "c", CursorOptions{}), Sink: sink})
	if sink.got() != "0 5 9" {
		t.Errorf("stored %q", sink.got())
	}
	if d, n := metric(t, r, "braid_pipeline_records_total", "c", "duplicate"), metric(t, r, "braid_pipeline_records_total", "c", "delivered"); d != 2 || n != 3 {
		t.Errorf("%v are counted as duplicate, %v as delivered", d, n)
	}
}

// flaky is the script of a sink that is away, or whose answers get lost, at random.
func flaky(seed, stream uint64) func([]*telemetry.Batch) (bool, error) {
	rnd := rand.New(rand.NewPCG(seed, stream))
	return func([]*telemetry.Batch) (bool, error) {
		switch rnd.IntN(4) {
		case 0:
			return false, errors.New("away")
		case 1:
			return true, errors.New("the answer got lost")
		}
		return true, nil
	}
}

// Whatever fails and whenever it is stopped, each line is stored once, in order, and counted once.
func TestDeliveryIsExactlyOnceOverFailuresAndRestarts(t *testing.T) {
	for seed := range uint64(15) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			fsys := disk.NewMem()
			sink, bothSink := &storing{script: flaky(seed, 1)}, &storing{script: flaky(seed, 2)}
			count, both := &counter{}, &counter{}
			lines, acked := [3]int{}, 0
			for range 12 {
				q := open(t, fsys, segments(2000))
				*count, *both = counter{}, counter{}
				b := cursor(t, q, "both", CursorOptions{Hold: time.Minute})
				c := cursor(t, q, "sink", CursorOptions{})
				o := cursor(t, q, "observe", CursorOptions{Hold: time.Minute})
				ctx, cancel := context.WithCancel(t.Context())
				var wait sync.WaitGroup
				for _, d := range []*Delivery{
					{Cursor: c, Sink: sink},
					{Cursor: o, Observers: []Observer{count}},
					{Cursor: b, Sink: bothSink, Observers: []Observer{both}},
				} {
					wait.Go(func() {
						if err := d.Run(ctx); err != nil {
							t.Error(err)
						}
					})
				}
				for range 10 {
					file := rnd.IntN(len(lines))
					from := lines[file]
					if rnd.IntN(4) == 0 { // sends again what it has sent
						from = rnd.IntN(lines[file] + 1)
					}
					to := lines[file] + rnd.IntN(4)
					send(t, q, logFrame(fileLines(byte(file), from, to)))
					acked += max(0, to-lines[file])
					lines[file] = max(lines[file], to)
					<-time.After(time.Duration(rnd.Int64N(int64(300 * time.Millisecond))))
				}
				<-time.After(time.Duration(max(0, rnd.Int64N(int64(6*time.Second))-int64(3*time.Second))))
				if rnd.IntN(2) == 0 { // a crash before the stop: what happens after it is lost
					fsys = fsys.CrashClone(rnd.Uint64())
				}
				cancel()
				wait.Wait()
				q.Close()
			}
			sink.script, bothSink.script = nil, nil
			q := open(t, fsys, segments(2000))
			deliver(t, &Delivery{Cursor: cursor(t, q, "sink", CursorOptions{}), Sink: sink})
			deliver(t, &Delivery{Cursor: cursor(t, q, "observe", CursorOptions{}), Observers: []Observer{count}})
			deliver(t, &Delivery{Cursor: cursor(t, q, "both", CursorOptions{}), Sink: bothSink, Observers: []Observer{both}})
			if len(sink.stored) != acked || len(bothSink.stored) != acked {
				t.Errorf("seed %d: %d lines are stored of %d", seed, len(sink.stored), acked)
			}
			if count.total != uint64(acked) || both.total != uint64(acked) {
				t.Errorf("seed %d: %d and %d lines are counted of %d", seed, count.total, both.total, acked)
			}
			q.Close()
		})
	}
}

func TestDeliveryReplaysToObserversAlone(t *testing.T) {
	fsys := disk.NewMem()
	hold := CursorOptions{Hold: time.Hour}
	q := open(t, fsys)
	sink, count := &storing{}, &counter{}
	send(t, q, logFrame(fileLines(1, 0, 2)), logFrame(fileLines(1, 0, 4)))
	deliver(t, &Delivery{Cursor: cursor(t, q, "c", hold), Sink: sink, Observers: []Observer{count}})
	send(t, q, logFrame(fileLines(1, 3, 5)))
	q.Close()

	q = open(t, fsys)
	sink, count = &storing{}, &counter{}
	deliver(t, &Delivery{Cursor: cursor(t, q, "c", hold), Sink: sink, Observers: []Observer{count}})
	if got := strings.Join(count.replayed, " "); got != "1:1 1:2 1:3 1:4" {
		t.Errorf("replayed %q", got)
	}
	if got := strings.Join(count.seen, " "); got != "1:5" || count.total != 5 || sink.got() != "1:5" {
		t.Errorf("observed %q, %d in all, and stored %q", got, count.total, sink.got())
	}
}

// sick is a frame that a sink refuses for ever when it is among the batches.
func refuses(body string) func([]*telemetry.Batch) (bool, error) {
	return func(batches []*telemetry.Batch) (bool, error) {
		for _, b := range batches {
			for i := range b.Logs {
				if string(b.Logs[i].Body) == body {
					return false, telemetry.Permanent(errors.New("no " + body))
				}
			}
		}
		return true, nil
	}
}

func TestBadFramesAreQuarantinedAndPassedBy(t *testing.T) {
	for name, test := range map[string]struct {
		bad      telemetry.Frame
		script   func([]*telemetry.Batch) (bool, error)
		panicOn  string
		reason   string
		observed string
	}{
		"undecodable": {bad: frame(telemetry.Logs, "\xff\xff"), reason: "cannot decode", observed: "a b"},
		"compression": {bad: telemetry.Frame{Signal: telemetry.Logs, Encoding: telemetry.OTLP, Compression: telemetry.Zstd, Body: []byte("x")}, reason: "cannot decode", observed: "a b"},
		"encoding":    {bad: telemetry.Frame{Signal: telemetry.Logs, Encoding: telemetry.RemoteWrite1, Body: []byte{}}, reason: "encoding", observed: "a b"},
		"permanent":   {bad: logFrame(plainLines("bad")), script: refuses("bad"), reason: "no bad", observed: "a bad b"},
		"panic":       {bad: logFrame(plainLines("bad")), panicOn: "bad", reason: "an observer panicked: no bad", observed: "a b"},
	} {
		t.Run(name, func(t *testing.T) {
			fsys := disk.NewMem()
			r := prometheus.NewPedanticRegistry()
			q := open(t, fsys, func(o *Options) { o.Registerer = r })
			sink, count := &storing{script: test.script}, &counter{panicOn: test.panicOn}
			send(t, q, logFrame(plainLines("a")), test.bad, logFrame(plainLines("b")))
			deliver(t, &Delivery{Cursor: cursor(t, q, "c", CursorOptions{}), Sink: sink, Observers: []Observer{count}})
			if got := sink.got(); got != "a b" || sink.again != 0 {
				t.Errorf("stored %q, %d of them again", got, sink.again)
			}
			if got := strings.Join(count.seen, " "); got != test.observed {
				t.Errorf("observed %q", got)
			}
			names := files(t, fsys, "q/quarantine", quarantineSuffix)
			if len(names) != 1 {
				t.Fatalf("the quarantine has %q", names)
			}
			_, payload, err := disk.ReadVersioned(fsys, names[0], quarantineKind, quarantineVersion)
			if err != nil {
				t.Fatal(err)
			}
			f, reason, err := parseQuarantined(payload)
			if err != nil || string(f.Body) != string(test.bad.Body) || f.Position == 0 || !strings.Contains(reason, test.reason) {
				t.Errorf("the quarantine has %q at %d because of %q, %v", f.Body, f.Position, reason, err)
			}
			out, dropped := metric(t, r, "braid_pipeline_out_frames_total", "c", ""), metric(t, r, "braid_pipeline_dropped_frames_total", "c", "quarantined")
			if out != 2 || dropped != 1 {
				t.Errorf("%v frames are counted as out, %v as quarantined", out, dropped)
			}
		})
	}
}

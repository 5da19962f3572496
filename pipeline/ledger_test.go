package pipeline

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/disk"
	"github.com/braidhq/braid/telemetry"
)

// in = out + dropped{reason} + in flight, for every cursor, with everything going wrong at once.
func TestTheLedgerBalances(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		fsys := disk.NewMem()
		small := []func(*Options){segments(600), lanes(6000)}
		totals := map[string]map[string]float64{"all": {}, "slow": {}}
		in := 0.0
		for round := range 4 {
			r := prometheus.NewPedanticRegistry()
			q := open(t, fsys, append(small, func(o *Options) { o.Registerer = r })...)
			all, slow := cursor(t, q, "all", CursorOptions{}), cursor(t, q, "slow", CursorOptions{Optional: true})
			for i := range 60 {
				_ = q.Append(t.Context(), []telemetry.Frame{frame(telemetry.Logs, fmt.Sprintf("%d/%d", round, i))})
				for c, often := range map[*Cursor]int{all: 3, slow: 20} {
					if rnd.IntN(often) == 0 {
						frames, err := c.poll(0, 10)
						if err != nil {
							t.Fatal(err)
						}
						if len(frames) > 0 && rnd.IntN(4) == 0 {
							c.quarantine(&frames[0], errors.New("bad"))
						}
						commit(t, c, "")
					}
				}
			}
			if round == 3 {
				drain(t, all)
				drain(t, slow)
				commit(t, all, "")
				commit(t, slow, "")
			}
			in += metric(t, r, "braid_pipeline_appended_frames_total", "", "stored")
			for name, sums := range totals {
				sums["out"] += metric(t, r, "braid_pipeline_out_frames_total", name, "")
				for _, reason := range dropReasonNames {
					sums[reason] += metric(t, r, "braid_pipeline_dropped_frames_total", name, reason)
				}
				sums["in flight"] = metric(t, r, "braid_pipeline_in_flight_frames", name, "")
			}
			q.Close()
			if round < 3 && rnd.IntN(2) == 0 { // damage a sealed segment
				names := files(t, fsys, "q/logs", segmentSuffix)
				b := readFile(t, fsys, names[0])
				if len(names) > 1 && len(b) > segmentHeader {
					b[segmentHeader+rnd.IntN(len(b)-segmentHeader)] ^= 0x40
					writeFile(t, fsys, names[0], b)
				}
			}
		}
		for name, sums := range totals {
			if sum := sums["out"] + sums["skipped"] + sums["corrupt"] + sums["quarantined"] + sums["in flight"]; sum != in {
				t.Errorf("seed %d, %s: in %v, but %v: %v", seed, name, in, sum, sums)
			}
		}
	}
}

// One sync serves everybody who waits.
func TestAppendsShareTheirSyncs(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys)
	var mu sync.Mutex
	syncs := 0
	gate := make(chan struct{})
	fsys.FailOn(func(op, name string) error {
		if op != "sync" || !strings.HasSuffix(name, segmentSuffix) {
			return nil
		}
		mu.Lock()
		defer mu.Unlock()
		if syncs++; syncs == 1 {
			<-gate
		}
		return nil
	})
	var wait sync.WaitGroup
	for i := range 100 {
		wait.Go(func() { add(t, q, fmt.Sprint(i)) })
	}
	for deadline := within(t); ; {
		q.mu.Lock()
		n := len(q.waiting)
		q.mu.Unlock()
		if n > 50 {
			break
		}
		select {
		case <-deadline.Done():
			t.Fatal("they never came")
		case <-time.After(time.Millisecond):
		}
	}
	close(gate)
	wait.Wait()
	if syncs > 50 {
		t.Errorf("100 appends took %d syncs", syncs)
	}
	if got := len(drain(t, cursor(t, q, "c", CursorOptions{}))); got != 100 {
		t.Errorf("%d frames are there", got)
	}
}

func TestAppendCanBeGivenUpWhileItWaits(t *testing.T) {
	fsys := disk.NewMem()
	q := open(t, fsys)
	entered, gate := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys.FailOn(func(op, name string) error {
		if op == "sync" && strings.HasSuffix(name, segmentSuffix) {
			once.Do(func() { close(entered); <-gate })
		}
		return nil
	})
	first := make(chan error, 1)
	go func() { first <- q.Append(context.Background(), []telemetry.Frame{frame(telemetry.Logs, "first")}) }()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- q.Append(ctx, []telemetry.Frame{frame(telemetry.Logs, "second")}) }()
	cancel()
	wantErr(t, <-second, context.Canceled)
	close(gate)
	if err := <-first; err != nil {
		t.Fatal(err)
	}
	add(t, q, "third")
	if got := bodies(drain(t, cursor(t, q, "c", CursorOptions{}))); got != "first third" {
		t.Errorf("got %q", got)
	}
}

func TestWhatCannotBeReadIsPassedByInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys := disk.NewMem()
		r := prometheus.NewPedanticRegistry()
		q := open(t, fsys, segments(400), func(o *Options) { o.Registerer = r })
		for i := range 12 {
			send(t, q, logFrame(plainLines(fmt.Sprint(i))))
		}
		bad := files(t, fsys, "q/logs", segmentSuffix)[0]
		fsys.FailOn(func(op, name string) error {
			if op == "read" && name == bad {
				return syscall.EIO
			}
			return nil
		})
		sink := &storing{}
		deliver(t, &Delivery{Cursor: cursor(t, q, "c", CursorOptions{}), Sink: sink})
		lost := metric(t, r, "braid_pipeline_dropped_frames_total", "c", "corrupt")
		if lost == 0 || lost > 3 || len(sink.order) != 12-int(lost) || !strings.HasSuffix(sink.got(), " 10 11") {
			t.Errorf("stored %q, %v are counted as corrupt", sink.got(), lost)
		}
		q.Close()
	})
}

func TestTheQuarantineIsBounded(t *testing.T) {
	fsys := disk.NewMem()
	size := func(o *Options) { o.QuarantineBytes = 1000 }
	q := open(t, fsys, size)
	c := cursor(t, q, "c", CursorOptions{})
	for i := range 20 {
		if i == 10 {
			q.Close()
			q = open(t, fsys, size)
			c = cursor(t, q, "c", CursorOptions{})
		}
		f := frame(telemetry.Logs, "bad")
		f.Position = uint64(i)
		c.quarantine(&f, errors.New("reason"))
		c.quarantine(&f, errors.New("reason")) // again, after a crash
	}
	names := files(t, fsys, "q/quarantine", quarantineSuffix)
	if len(names) < 5 || len(names) > 12 || !strings.Contains(names[len(names)-1], "logs-0000000000000013-c") {
		t.Errorf("the quarantine has %q", names)
	}
	if n := q.jail.bytes(); n > 1000 || n == 0 {
		t.Errorf("the quarantine has %d bytes", n)
	}
}

package pipeline

import (
	"context"
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
)

// A hop stands for the next braid's receiver in front of its queue.
type hop struct {
	next   telemetry.Appender
	answer func(frames []telemetry.Frame) (bool, error)
}

func (h *hop) Append(ctx context.Context, frames []telemetry.Frame) error {
	take, err := h.answer(frames)
	if take {
		if aerr := h.next.Append(ctx, frames); aerr != nil {
			return aerr
		}
	}
	return err
}

// forward runs Forward until the lane is empty for c.
func forward(t *testing.T, c *Cursor, next telemetry.Appender) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Forward(ctx, c, next, ForwardOptions{CommitEvery: time.Millisecond}) }()
	for deadline := within(t); ; {
		if frames, _ := c.Lag(); frames == 0 {
			break
		}
		select {
		case <-deadline.Done():
			t.Fatal("the lane does not run empty")
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func TestForwardSetsOriginAndSequence(t *testing.T) {
	q, next := open(t, disk.NewMem()), open(t, disk.NewMem())
	add(t, q, "a", "b")
	forward(t, cursor(t, q, "f", CursorOptions{}), next)
	got := drain(t, cursor(t, next, "c", CursorOptions{}))
	if bodies(got) != "a b" {
		t.Fatalf("got %q", bodies(got))
	}
	for i, f := range got {
		if f.Origin != q.ID() || f.Sequence != uint64(i)*(frameHead+2) || f.Tenant != "t" {
			t.Errorf("got %+v", f)
		}
	}
}

func TestForwardQuarantinesWhatIsRefusedForGood(t *testing.T) {
	fsys := disk.NewMem()
	r := prometheus.NewPedanticRegistry()
	q, next := open(t, fsys, func(o *Options) { o.Registerer = r }), open(t, disk.NewMem())
	add(t, q, "a", "bad", "b")
	forward(t, cursor(t, q, "f", CursorOptions{}), &hop{next, func(frames []telemetry.Frame) (bool, error) {
		for _, f := range frames {
			if string(f.Body) == "bad" {
				return false, telemetry.Permanent(errors.New("bad"))
			}
		}
		return true, nil
	}})
	if got := bodies(drain(t, cursor(t, next, "c", CursorOptions{}))); got != "a b" {
		t.Errorf("got %q", got)
	}
	if n := len(files(t, fsys, "q/quarantine", quarantineSuffix)); n != 1 || metric(t, r, "braid_pipeline_out_frames_total", "f", "") != 2 {
		t.Errorf("%d frames are in quarantine", n)
	}
}

// Two hops, failures and restarts of the first: each line comes out of the second once.
func TestForwardedFramesAreDeliveredOnce(t *testing.T) {
	for seed := range uint64(10) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 0))
			fsys := disk.NewMem()
			next := open(t, disk.NewMem())
			luck := rand.New(rand.NewPCG(seed, 1)) // of the hop, which another goroutine asks
			h := &hop{next, func([]telemetry.Frame) (bool, error) {
				switch luck.IntN(3) {
				case 0:
					return true, errors.New("the answer got lost")
				case 1:
					return false, telemetry.Throttled(errors.New("busy"), time.Second)
				}
				return true, nil
			}}
			var want []string
			for round := range 6 {
				q := open(t, fsys)
				ctx, cancel := context.WithCancel(t.Context())
				var wait sync.WaitGroup
				c := cursor(t, q, "f", CursorOptions{})
				wait.Go(func() {
					if err := Forward(ctx, c, h, ForwardOptions{}); err != nil {
						t.Error(err)
					}
				})
				for i := range 8 {
					body := fmt.Sprintf("%d/%d", round, i)
					want = append(want, body)
					send(t, q, logFrame(plainLines(body)))
					<-time.After(time.Duration(rnd.Int64N(int64(time.Second))))
				}
				if rnd.IntN(2) == 0 {
					fsys = fsys.CrashClone(rnd.Uint64())
				}
				cancel()
				wait.Wait()
				q.Close()
				if rnd.IntN(2) == 0 { // longer than IDs are remembered
					<-time.After(time.Hour)
				}
			}
			h.answer = func([]telemetry.Frame) (bool, error) { return true, nil }
			q := open(t, fsys)
			forward(t, cursor(t, q, "f", CursorOptions{}), h)
			sink := &storing{}
			deliver(t, &Delivery{Cursor: cursor(t, next, "c", CursorOptions{}), Sink: sink})
			if got := strings.Join(want, " "); sink.got() != got || sink.again != 0 {
				t.Errorf("seed %d: stored %q, %d of them again, not %q", seed, sink.got(), sink.again, got)
			}
			q.Close()
			next.Close()
		})
	}
}

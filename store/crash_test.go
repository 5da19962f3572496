package store

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/braidhq/braid/telemetry"
)

// TestCrashLosesNothingAcknowledged takes what a machine crash would leave on disk, unsynced bytes partly gone, at any
// moment of writing, opens that, and looks for every record whose Write had returned.
func TestCrashLosesNothingAcknowledged(t *testing.T) {
	const rounds, frames = 8, 60
	for seed := range uint64(rounds) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 2))
			fs := vfs.NewCrashableMem()
			dir := t.TempDir()
			s := openStore(t, Options{fs: fs, Dir: dir})
			var acknowledged atomic.Int64
			var wg sync.WaitGroup
			crashAt := rng.IntN(frames)
			reached := make(chan struct{})
			wg.Go(func() {
				for frame := range frames {
					if frame == crashAt {
						close(reached)
					}
					if err := s.Write(t.Context(), crashFrame(frame)); err != nil {
						t.Error(err)
					}
					acknowledged.Store(int64(frame) + 1)
				}
			})
			<-reached
			want := int(acknowledged.Load())
			left := fs.CrashClone(vfs.CrashCloneCfg{UnsyncedDataPercent: rng.IntN(3) * 50, RNG: rng})
			wg.Wait()
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			after := openStore(t, Options{fs: left, Dir: dir})
			checkCrashFrames(t, after, want)
			for frame := range frames { // the queue sends again what was not acknowledged, and more
				mustWrite(t, after, crashFrame(frame)...)
			}
			checkCrashFrames(t, after, frames)
			if got := bodies(t, after, telemetry.LogQuery{}); len(got) != 2*frames {
				t.Errorf("%d lines after all was sent again, want %d", len(got), 2*frames)
			}
		})
	}
}

// TestRepeatIsSyncedToo: what a call commits on the way, to look at it, is on disk when the call returns.
func TestRepeatIsSyncedToo(t *testing.T) {
	fs, dir := vfs.NewCrashableMem(), t.TempDir()
	s := openStore(t, Options{fs: fs, Dir: dir})
	b := logBatch(podResource("web", "app", 0), 1, 1, 2)
	mustWrite(t, s, b, b)
	left := fs.CrashClone(vfs.CrashCloneCfg{})
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	wantBodies(t, openStore(t, Options{fs: left, Dir: dir}), telemetry.LogQuery{}, "web/app/0 1", "web/app/0 2")
}

// crashFrame has two lines of a pod that changes now and then, so that streams are made on the way, and a span.
func crashFrame(frame int) []*telemetry.Batch {
	r := podResource(fmt.Sprintf("pod-%d", frame/7), "app", 0)
	spans := &telemetry.Batch{Resource: r, ReceivedUnixNano: base, Spans: []telemetry.Span{{
		TraceID: telemetry.TraceID{1, byte(frame)}, SpanID: telemetry.SpanID{1}, StartUnixNano: base, Name: "op",
	}}}
	return []*telemetry.Batch{logBatch(r, uint64(frame)+1, frame, frame), spans}
}

func checkCrashFrames(t *testing.T, s *Store, want int) {
	t.Helper()
	count := map[string]int{}
	for _, body := range bodies(t, s, telemetry.LogQuery{}) {
		count[body]++
	}
	for frame := range want {
		body := fmt.Sprintf("pod-%d/app/0 %d", frame/7, frame)
		if count[body] != 2 {
			t.Errorf("frame %d of %d acknowledged ones has %d lines", frame, want, count[body])
		}
		trace, err := s.Trace(t.Context(), "", telemetry.TraceID{1, byte(frame)})
		if err != nil || trace == nil || len(trace.Spans) != 1 {
			t.Errorf("frame %d: trace %v, %v", frame, trace, err)
		}
	}
}

package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/braidhq/braid/telemetry"
)

// A follower counts what it is given by uid, and ends at the line that says "end".
type follower struct {
	seen map[telemetry.UID]int
	err  error
}

var errSeenEnd = errors.New("seen the end")

func (f *follower) run(ctx context.Context, s *Store, q telemetry.LogQuery, slow func()) {
	f.seen = map[telemetry.UID]int{}
	f.err = s.Logs(ctx, q, func(r *telemetry.LogRecord) error {
		slow()
		if string(r.Body) == "end" {
			return errSeenEnd
		}
		f.seen[r.UID]++
		return nil
	})
}

// TestFollowIsExact runs writers that also repeat what they wrote, against followers that join at any moment and read
// slowly. Each follower must see every matching line once.
func TestFollowIsExact(t *testing.T) {
	const frames, followers = 150, 6
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			s := openStore(t, Options{})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			resources := []*telemetry.Resource{podResource("web", "app", 0), podResource("api", "app", 0), podResource("web", "app", 1)}
			fs := make([]follower, followers)
			var wg sync.WaitGroup
			var history []*telemetry.Batch
			all, web := 0, 0
			for frame := range frames {
				if frame%(frames/followers) == 0 {
					i := frame / (frames / followers)
					q := telemetry.LogQuery{Follow: true}
					if i%2 == 1 {
						q.Pods = []string{"web", "end"}
					}
					wg.Go(func() {
						fs[i].run(ctx, s, q, func() {
							for range i * 3 {
								runtime.Gosched()
							}
						})
					})
				}
				times := make([]int, 1+rng.IntN(8))
				for i := range times {
					times[i] = rng.IntN(1000)
				}
				b := logBatch(resources[rng.IntN(len(resources))], uint64(frame), times...)
				history = append(history, b)
				mustWrite(t, s, b)
				all += len(times)
				if b.Resource.Pod == "web" {
					web += len(times)
				}
				for rng.IntN(3) == 0 {
					from := rng.IntN(len(history))
					mustWrite(t, s, history[from:min(len(history), from+3)]...)
				}
			}
			end := logBatch(podResource("end", "app", 0), frames, 2000)
			end.Logs[0].Body = []byte("end")
			mustWrite(t, s, end)
			wg.Wait()
			for i := range fs {
				want := all
				if i%2 == 1 {
					want = web
				}
				checkOnce(t, &fs[i], want)
			}
			if n := len(bodies(t, s, telemetry.LogQuery{})); n != all+1 {
				t.Errorf("%d lines stored, want %d", n, all+1)
			}
			if v := testutil.ToFloat64(s.metrics.follows); v != 0 {
				t.Errorf("%v follows are left", v)
			}
		})
	}
}

func checkOnce(t *testing.T, f *follower, want int) {
	t.Helper()
	if !errors.Is(f.err, errSeenEnd) {
		t.Errorf("follower ended with %v", f.err)
	}
	for uid, n := range f.seen {
		if n != 1 {
			t.Errorf("line %s was seen %d times", uid, n)
		}
	}
	if len(f.seen) != want {
		t.Errorf("saw %d lines, want %d", len(f.seen), want)
	}
}

// TestFollowOverNewQueue: the queue was made anew, and its positions begin at zero again.
func TestFollowOverNewQueue(t *testing.T) {
	dir := t.TempDir()
	s := openStore(t, Options{Dir: dir})
	mustWrite(t, s, logBatch(podResource("web", "app", 0), 900, 1, 2))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openStore(t, Options{Dir: dir})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	joined := make(chan struct{}, 16)
	var f follower
	var wg sync.WaitGroup
	wg.Go(func() { f.run(ctx, s, telemetry.LogQuery{Follow: true}, func() { joined <- struct{}{} }) })
	<-joined
	<-joined
	mustWrite(t, s, logBatch(podResource("web", "app", 0), 900, 1, 2)) // a repeat of the old queue's last frame
	mustWrite(t, s, logBatch(podResource("web", "app", 1), 0, 3, 4))
	mustWrite(t, s, logBatch(podResource("web", "app", 1), 0, 3, 4))
	mustWrite(t, s, logBatch(podResource("web", "app", 1), 1, 5))
	end := logBatch(podResource("end", "app", 0), 2, 0)
	end.Logs[0].Body = []byte("end")
	mustWrite(t, s, end)
	wg.Wait()
	checkOnce(t, &f, 5)
	if n := testutil.ToFloat64(s.metrics.repeated); n != 4 {
		t.Errorf("%v repeats counted, want 4", n)
	}
}

// TestRepeatWithinOneWrite: the same records twice in one call are stored, and followed, once.
func TestRepeatWithinOneWrite(t *testing.T) {
	s := openStore(t, Options{})
	b := logBatch(podResource("web", "app", 0), 1, 1, 2)
	end := logBatch(podResource("end", "app", 0), 2, 0)
	end.Logs[0].Body = []byte("end")
	mustWrite(t, s, b, b, end)
	var f follower
	f.run(t.Context(), s, telemetry.LogQuery{FromUnixNano: base + 1, Follow: true, Limit: 2}, func() {})
	if f.err != nil || len(f.seen) != 2 {
		t.Errorf("%v, %v", f.seen, f.err)
	}
	ans := &answer{store: s, filter: newFilter(telemetry.LogQuery{}), yield: func(*telemetry.LogRecord) error { return nil }}
	var last sequence
	page, _, more, err := ans.take(t.Context(), &last, nil, nil)
	if err != nil || more || len(page) != 3 {
		t.Errorf("%d lines in order of arrival, more: %v, %v", len(page), more, err)
	}
}

func TestFollowEndsWithContextAndClose(t *testing.T) {
	s := openStore(t, Options{})
	mustWrite(t, s, logBatch(podResource("web", "app", 0), 1, 1))
	ctx, cancel := context.WithCancel(t.Context())
	err := s.Logs(ctx, telemetry.LogQuery{Follow: true}, func(*telemetry.LogRecord) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	joined, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- s.Logs(t.Context(), telemetry.LogQuery{Follow: true}, func(*telemetry.LogRecord) error { close(joined); return nil })
	}()
	<-joined
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
}

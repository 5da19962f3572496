package input

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/braidhq/braid/bench/tally"
)

// Lines is what was written.
type Lines struct {
	Truth    tally.Truth // records: split lines count once
	Bytes    int64
	Physical int
}

func (l *Lines) add(c *container, bytes int64) {
	l.Truth.Merge(c.truth)
	l.Bytes += bytes
	l.Physical += c.lines
}

// WriteLines writes at least size bytes of lines from n containers below root, as fast as it can.
func WriteLines(root string, n int, size int64, seed uint64) (Lines, error) {
	var all Lines
	for i := range n {
		clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
		c := newContainer(seed, i, nil)
		c.now = func() time.Time {
			clock = clock.Add(time.Duration(10_000 + c.r.IntN(20_000_000)))
			return clock
		}
		wrote, err := c.writeTo(root, size/int64(n))
		if err != nil {
			return all, fmt.Errorf("cannot write the input: %w", err)
		}
		all.add(c, wrote)
	}
	return all, nil
}

func (c *container) create(root string) (*os.File, error) {
	dir := filepath.Join(root, c.namespace+"_"+c.pod+"_"+c.uid, "app")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	return os.Create(filepath.Join(dir, "0.log"))
}

func (c *container) writeTo(root string, size int64) (wrote int64, err error) {
	f, err := c.create(root)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(f, 1<<20)
	for wrote < size {
		c.step()
		wrote += int64(len(c.out))
		if _, err := w.Write(c.out); err != nil {
			_ = f.Close()
			return wrote, err
		}
		c.out = c.out[:0]
	}
	if err := w.Flush(); err != nil {
		_ = f.Close()
		return wrote, err
	}
	return wrote, f.Close()
}

// PaceLines writes rate physical lines a second and container from n containers below root, in ten writes a second,
// spread over the tick, until ctx ends or d has passed. Lines bear the time at which they are made.
func PaceLines(ctx context.Context, root string, n, rate int, d time.Duration, seed uint64) (Lines, error) {
	var (
		mu    sync.Mutex
		all   Lines
		first error
		wg    sync.WaitGroup
	)
	begin := time.Now()
	for i := range n {
		c := newContainer(seed, i, time.Now)
		wg.Go(func() {
			wrote, err := c.pace(ctx, root, begin.Add(tick*time.Duration(i)/time.Duration(n)), int(d/tick), rate)
			mu.Lock()
			defer mu.Unlock()
			all.add(c, wrote)
			if first == nil {
				first = err
			}
		})
	}
	wg.Wait()
	return all, first
}

const tick = 100 * time.Millisecond

func (c *container) pace(ctx context.Context, root string, begin time.Time, ticks, rate int) (wrote int64, err error) {
	f, err := c.create(root)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for k := range ticks {
		timer.Reset(time.Until(begin.Add(time.Duration(k) * tick)))
		select {
		case <-ctx.Done():
			return wrote, ctx.Err()
		case <-timer.C:
		}
		for c.lines < (k+1)*rate/10 {
			c.step()
		}
		wrote += int64(len(c.out))
		if _, err := f.Write(c.out); err != nil {
			return wrote, err
		}
		c.out = c.out[:0]
	}
	return wrote, nil
}

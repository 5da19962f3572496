package main

import (
	"context"
	"fmt"
	"time"

	"github.com/braidhq/braid/bench/configs"
	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/report"
	"github.com/braidhq/braid/bench/sink"
)

// scrape is the work from targets to remote-write. When the time is over the targets answer 503, and what was scraped until
// then must arrive.
func (b *bench) scrape(ctx context.Context, w *work, s system) (report.Result, error) {
	targets, err := input.ServeTargets(b.port, b.targets, b.series)
	if err != nil {
		return report.Result{}, err
	}
	defer targets.Close()
	var got sink.Samples
	v := configs.Values{Targets: targets.Addresses, Interval: seconds(b.interval), Timeout: seconds(b.interval)}
	r, err := b.start(ctx, w, s, v, sink.Take{Samples: got.Take})
	if err != nil {
		return report.Result{}, err
	}
	defer r.close()
	end := time.Now().Add(b.duration)
	if err := r.until(ctx, func() (bool, int) { return time.Now().After(end), int(time.Now().Unix()) }); err != nil {
		return report.Result{}, err
	}
	truth, scrapes, err := targets.Stop()
	if err != nil {
		return report.Result{}, err
	}
	if scrapes == 0 {
		return report.Result{}, fmt.Errorf("nobody has scraped in %s", b.duration)
	}
	if err := r.has(ctx, truth.Records, got.Len); err != nil {
		return report.Result{}, fmt.Errorf("of %d samples: %w", truth.Records, err)
	}
	result, err := r.cost()
	if err != nil {
		return result, err
	}
	result.Units = float64(truth.Records) / 1e6
	if err := r.finish(); err != nil {
		return result, err
	}
	return result, got.Check(truth)
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", d/time.Second) }

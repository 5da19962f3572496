package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/braidhq/braid/bench/configs"
	"github.com/braidhq/braid/bench/input"
	"github.com/braidhq/braid/bench/report"
	"github.com/braidhq/braid/bench/sink"
)

// ship is the work from files that are there to the sink.
func (b *bench) ship(pods string, lines input.Lines) func(context.Context, *work, system) (report.Result, error) {
	return func(ctx context.Context, w *work, s system) (report.Result, error) {
		var got sink.Lines
		r, err := b.start(ctx, w, s, configs.Values{Pods: pods}, sink.Take{Logs: got.Take})
		if err != nil {
			return report.Result{}, err
		}
		defer r.close()
		if err := r.has(ctx, lines.Truth.Records, got.Len); err != nil {
			return report.Result{}, err
		}
		result, err := r.cost()
		if err != nil {
			return result, err
		}
		result.Units = float64(lines.Bytes) / (1 << 30)
		if err := r.finish(); err != nil {
			return result, err
		}
		return result, got.Check(lines.Truth)
	}
}

// paced is the work on lines that are written while it goes on. What the system takes to start is not counted.
func (b *bench) paced(ctx context.Context, w *work, s system) (report.Result, error) {
	got := sink.Lines{Latency: true}
	pods := filepath.Join(b.dir, "paced")
	if err := os.MkdirAll(pods, 0o755); err != nil {
		return report.Result{}, err
	}
	defer os.RemoveAll(pods)
	r, err := b.start(ctx, w, s, configs.Values{Pods: pods}, sink.Take{Logs: got.Take})
	if err != nil {
		return report.Result{}, err
	}
	defer r.close()
	if err := r.listens(ctx, r.values.Web); err != nil {
		return report.Result{}, err
	}
	before, err := r.cost()
	if err != nil {
		return before, err
	}
	lines, err := input.PaceLines(ctx, pods, containers, paceRate, b.pace, seed)
	if err != nil {
		return before, fmt.Errorf("cannot write the input: %w", err)
	}
	if err := r.has(ctx, lines.Truth.Records, got.Len); err != nil {
		return before, err
	}
	result, err := r.cost()
	if err != nil {
		return result, err
	}
	result.CPU -= before.CPU
	result.Units = b.pace.Seconds()
	if err := r.finish(); err != nil {
		return result, err
	}
	result.P50, result.P99 = got.Quantile(0.5), got.Quantile(0.99)
	return result, got.Check(lines.Truth)
}

package aggregator

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/correlate"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/traces"
)

// Until there is a decider an index entry lives for the decision wait W and the late window L.
const (
	decisionWait = 10 * time.Second
	lateWindow   = 5 * time.Minute
)

// histograms are the kinds by the names that config checks.
var histograms = map[string]traces.Histograms{"classic": traces.Classic, "native": traces.Native, "both": traces.Both}

// observers are the first pass over the log: one delivery a lane, without a sink.
type observers struct {
	deliveries []*pipeline.Delivery
	collectors []prometheus.Collector
}

func observe(queue *pipeline.Queue, cfg *config.Aggregator, registry prometheus.Registerer, logger *slog.Logger) (*observers, error) {
	counts := correlate.NewLogCounts(correlate.LogCountsOptions{})
	index := correlate.NewIndex(correlate.IndexOptions{Wait: decisionWait, Late: lateWindow, Registerer: registry})
	kind := histograms[cfg.SpanMetrics.Histograms]
	if err := traces.CheckDimensions(cfg.SpanMetrics.Dimensions); err != nil {
		return nil, fmt.Errorf("span_metrics.dimensions: %w", err)
	}
	red := traces.NewRED(traces.Options{MaxSeries: cfg.Limits.MaxSeries, Histograms: kind, Dimensions: cfg.SpanMetrics.Dimensions})
	graph := traces.NewGraph(traces.GraphOptions{MaxSeries: cfg.Limits.MaxSeries, Histograms: kind})
	o := &observers{collectors: []prometheus.Collector{counts, red, graph}}
	for signal, list := range map[telemetry.Signal][]pipeline.Observer{
		telemetry.Logs:  {counts, index},
		telemetry.Spans: {red, index, graph}, // snapshots are kept in this order: what is new comes last
	} {
		cursor, err := queue.Cursor(signal, observeCursor, pipeline.CursorOptions{Hold: decisionWait + lateWindow})
		if err != nil {
			return nil, err
		}
		o.deliveries = append(o.deliveries, &pipeline.Delivery{
			Cursor: cursor, Observers: list, MaxBodyBytes: maxBody(cfg), Logger: logger,
		})
	}
	return o, nil
}

func (o *observers) start(stage *run.Stage) {
	for _, d := range o.deliveries {
		stage.Go("observer", d.Run)
	}
}

// caughtUp waits until every observer has passed what lay in the queue at the start; false: ctx ended first.
func (o *observers) caughtUp(ctx context.Context) bool {
	for _, d := range o.deliveries {
		select {
		case <-d.CaughtUp():
		case <-ctx.Done():
			return false
		}
	}
	return true
}

func (o *observers) register(registry prometheus.Registerer) { registry.MustRegister(o.collectors...) }

package aggregator

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/correlate"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/telemetry"
	"github.com/braidhq/braid/traces"
)

// histograms are the kinds by the names that config checks.
var histograms = map[string]traces.Histograms{"classic": traces.Classic, "native": traces.Native, "both": traces.Both}

// observers are the first pass over the log: one delivery a lane, without a sink.
type observers struct {
	deliveries []*pipeline.Delivery
	spans      *pipeline.Delivery // of these, that of spans
	only       *telemetry.Attributes
	counts     *correlate.LogCounts
	red        *traces.RED   // nil: span metrics are turned off
	graph      *traces.Graph // as red
	interval   time.Duration
}

func observe(queue *pipeline.Queue, cfg *config.Aggregator, s *sampling, logger *slog.Logger) (*observers, error) {
	kind := histograms[cfg.SpanMetrics.Histograms]
	if err := traces.CheckDimensions(cfg.SpanMetrics.Dimensions); err != nil {
		return nil, fmt.Errorf("span_metrics.dimensions: %w", err)
	}
	o := &observers{counts: correlate.NewLogCounts(correlate.LogCountsOptions{}), interval: time.Duration(cfg.SpanMetrics.Interval)}
	first, last, attributes := pipeline.Observer(turnedOff{}), pipeline.Observer(turnedOff{}), s.attributes()
	if enabled(cfg.SpanMetrics.Enabled) {
		o.red = traces.NewRED(traces.Options{
			MaxSeries: cfg.Limits.MaxSeries, Cluster: cfg.Cluster, Histograms: kind, Dimensions: cfg.SpanMetrics.Dimensions,
		})
		o.graph = traces.NewGraph(traces.GraphOptions{MaxSeries: cfg.Limits.MaxSeries, Cluster: cfg.Cluster, Histograms: kind})
		first, last, attributes = o.red, o.graph, slices.Concat(o.red.Attributes(), o.graph.Attributes(), attributes)
	}
	o.only = telemetry.NewAttributes(attributes...)
	lists := [...][]pipeline.Observer{
		s.observers(telemetry.Logs, o.counts), append(s.observers(telemetry.Spans, first), last), s.observers(telemetry.Samples),
	}
	for i, signal := range telemetry.Signals {
		if len(lists[i]) == 0 {
			continue
		}
		options := s.hold()
		options.Decoded = signal != telemetry.Samples
		cursor, err := queue.Cursor(signal, observeCursor, options)
		if err != nil {
			return nil, err
		}
		d := &pipeline.Delivery{Cursor: cursor, Observers: lists[i], MaxBodyBytes: maxBody(cfg), Logger: logger}
		o.deliveries = append(o.deliveries, d)
		if signal == telemetry.Spans {
			o.spans, d.Only = d, o.only
		}
	}
	return o, nil
}

// turnedOff keeps the place of an observer that is turned off: snapshots are told apart by their order.
type turnedOff struct{}

// Observe implements pipeline.Observer, as do the others.
func (turnedOff) Observe(*telemetry.Batch, bool) {}

// AppendSnapshot appends nothing.
func (turnedOff) AppendSnapshot(b []byte) []byte { return b }

// Restore forgets what was counted: who is turned on again begins anew.
func (turnedOff) Restore([]byte) error { return nil }

// of reports whether every record of a signal is observed.
func (o *observers) of(signal telemetry.Signal) bool {
	return slices.ContainsFunc(o.deliveries, func(d *pipeline.Delivery) bool { return d.Cursor.Signal() == signal })
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

// register shows what was counted: what is braid's own among its metrics, what is made of spans in spans.
func (o *observers) register(own, spans prometheus.Registerer) {
	own.MustRegister(o.counts)
	if o.red != nil {
		own.MustRegister(o.red.Self(), o.graph.Self())
		spans.MustRegister(o.red, o.graph)
	}
}

// samplesPerFrame bounds the frames of span metrics to about a megabyte before compression.
const samplesPerFrame = 5000

// export appends span metrics to the samples of queue, in every interval, until ctx ends. kept says of which traces they
// may have exemplars.
func (o *observers) export(ctx context.Context, queue *pipeline.Queue, kept func(telemetry.TraceID, int64) bool, logger *slog.Logger) error {
	if o.red == nil {
		return nil
	}
	next := pipeline.Retry(pipeline.Encode(queue), pipeline.RetryOptions{Name: "the queue, for span metrics", Logger: logger})
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		now := queue.Watermark(telemetry.Spans) // the clock, which does not go back
		for part := range slices.Chunk(append(o.red.Samples(now, kept), o.graph.Samples(now)...), samplesPerFrame) {
			if err := next.Write(ctx, []*telemetry.Batch{{Samples: part}}); err != nil && ctx.Err() == nil {
				logger.Error("span metrics cannot be appended to the queue", "err", err)
			}
		}
	}
}

// spanMetrics serves what is made of spans, for those who would rather scrape it.
func spanMetrics(registry *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

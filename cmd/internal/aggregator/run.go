package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/telemetry"
)

// Run runs the aggregator until ctx ends, then stops it in order: intake, answers, deliveries, queue.
func Run(ctx context.Context, cfg *config.Aggregator, version string, logger *slog.Logger) (err error) {
	limit := run.LimitMemory()
	registry, spans, state := run.NewRegistry(version), prometheus.NewRegistry(), &run.State{}
	access, err := openAccess(cfg, version, registry, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, access.close()) }()
	listeners, err := run.OpenListeners(cfg.Receivers, cfg.Web, access.listenOptions(registry, logger))
	if err != nil {
		return err
	}
	defer listeners.Close()
	queue, err := pipeline.Open(run.QueueOptions(filepath.Join(cfg.DataDir, "queue"), cfg.Queue, registry, logger))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, queue.Close()) }()
	state.AddCheck(queue.Err)

	outputs, err := openOutputs(cfg, registry, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, outputs.close()) }()
	if err := outputs.openLines(queue); err != nil {
		return err
	}
	sampling, err := openSampling(queue, cfg, outputs.lines, registry, logger)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, sampling.close()) }()
	observers, err := observe(queue, cfg, sampling, logger)
	if err != nil {
		return err
	}
	deliveries, err := outputs.deliveries(queue, cfg, sampling, observers, registry, logger)
	if err != nil {
		return err
	}

	group := run.NewGroup()
	delivering := group.Stage()
	observers.start(delivering)
	sampling.start(delivering, observers, logger)
	delivering.Go("exporters", func(ctx context.Context) error {
		if !observers.caughtUp(ctx) {
			return nil
		}
		// Nothing leaves, counts and ready included, before what is counted is whole again.
		observers.register(registry, spans)
		state.SetReady(true)
		logger.Info("ready", "exporters", len(cfg.Exporters))
		for name, d := range deliveries {
			delivering.Go(name, d)
		}
		return observers.export(ctx, queue, sampling.kept, logger)
	})
	answering := group.Stage()
	listeners.ServeWeb(answering, access.serve(webHandler(registry, spans, state, outputs.query(access.reads, registry))))
	intake := group.Stage()
	listeners.ServeReceivers(intake, run.NewGuard(pipeline.Pack(queue, telemetry.Snappy), limit), cfg.Limits, registry)
	logger.Info("started", "version", version, "http", listeners.HTTPAddr(), "grpc", listeners.GRPCAddr(), "web", listeners.WebAddr())
	err = group.Wait(ctx, run.StopWithin)
	logger.Info("stopped", "err", err)
	return err
}

// webHandler serves the query API beside metrics and health.
func webHandler(registry, spans *prometheus.Registry, state *run.State, api http.Handler) *run.Mux {
	mux := run.NewMux(registry, state)
	mux.Handle("GET /metrics/spans", spanMetrics(spans))
	mux.Own("/api/v1/", api)
	mux.Own("/jaeger/", api)
	return mux
}

// maxBody is the limit of one decompressed body, as the rooms take it.
func maxBody(cfg *config.Aggregator) int { return int(cfg.Limits.MaxBodyBytes) }

// deliveryName is a cursor's name and, in errors, the delivery's.
func deliveryName(exporter string, signal fmt.Stringer) string {
	return fmt.Sprintf("%s to %s", signal, exporter)
}

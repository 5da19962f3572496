package aggregator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync/atomic"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/telemetry"
)

// An aggregator is what runs, by the configuration in use.
type aggregator struct {
	queue      *pipeline.Queue
	access     *access
	registries *run.Registries
	state      *run.State
	logger     *slog.Logger

	slot       *run.Slot
	generation *generation
	current    atomic.Pointer[current]
}

// Run runs the aggregator until ctx ends, then stops it in order: intake, answers, deliveries, queue. load reads the
// configuration again for a reload.
func Run(ctx context.Context, cfg *config.Aggregator, load func() (*config.Aggregator, error), version string, logger *slog.Logger) (err error) {
	limit := run.LimitMemory()
	registry := run.NewRegistry(version)
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

	group := run.NewGroup()
	delivering, answering, intake := group.Stage(), group.Stage(), group.Stage()
	a := &aggregator{
		queue: queue, access: access, registries: run.NewRegistries(registry), state: &run.State{}, logger: logger,
		slot: delivering.Slot("deliveries"),
	}
	a.state.AddCheck(queue.Err)
	if err := a.begin(cfg); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, a.end()) }()
	reloader := run.NewReloader(registry, logger)
	listeners.ServeWeb(answering, access.serve(a.web(reloader)))
	observed := func() *telemetry.Attributes { return a.current.Load().only }
	listeners.ServeReceivers(intake, run.NewGuard(pipeline.Pack(queue, telemetry.Snappy), limit), cfg.Limits, observed, registry)
	intake.Go("reload", func(ctx context.Context) error { return reloader.Run(ctx, func() error { return a.reload(load) }) })
	logger.Info("started", "version", version, "http", listeners.HTTPAddr(), "grpc", listeners.GRPCAddr(), "web", listeners.WebAddr())
	err = group.Wait(ctx, run.StopWithin)
	logger.Info("stopped", "err", err)
	return err
}

// web serves the query API beside metrics and health.
func (a *aggregator) web(reloader http.Handler) *run.Mux {
	mux := run.NewMux(a.registries, a.state)
	mux.Handle("POST "+run.ReloadPath, reloader)
	mux.Handle("GET /metrics/spans", a.serve(func(c *current) http.Handler { return c.spans }))
	api := a.serve(func(c *current) http.Handler { return c.api })
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

package aggregator

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/telemetry"
)

// A generation is everything to the right of the queue, built for one configuration: observers, sampling and deliveries on
// their cursors. A reload ends one and starts the next; the queue goes on taking what comes, and each cursor goes on where
// it has committed, as over a restart.
type generation struct {
	cfg       *config.Aggregator
	outputs   *outputs
	sampling  *sampling
	observers *observers

	own, spans *prometheus.Registry
	parts      map[string]func(context.Context) error
}

// build opens the cursors of what is to run; outputs are those of cfg.
func (a *aggregator) build(cfg *config.Aggregator, out *outputs) (g *generation, err error) {
	g = &generation{cfg: cfg, outputs: out, own: a.registries.Add(), spans: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, a.drop(g))
		}
	}()
	if err := out.openLines(a.queue); err != nil {
		return g, err
	}
	if g.sampling, err = openSampling(a.queue, cfg, out.lines, g.own, a.logger); err != nil {
		return g, err
	}
	if g.observers, err = observe(a.queue, cfg, g.sampling, a.logger); err != nil {
		return g, err
	}
	g.parts, err = out.deliveries(a.queue, cfg, g.sampling, g.observers, g.own, a.logger)
	return g, err
}

// run runs g until ctx ends. Nothing leaves, counts included, before what is counted is whole again; ready is called then.
func (g *generation) run(ctx context.Context, queue *pipeline.Queue, ready func(), logger *slog.Logger) error {
	group := run.NewGroup()
	stage := group.Stage()
	g.observers.start(stage)
	g.sampling.start(stage, g.observers, logger)
	stage.Go("exporters", func(ctx context.Context) error {
		if !g.observers.caughtUp(ctx) {
			return nil
		}
		g.observers.register(g.own, g.spans)
		ready()
		logger.Info("ready", "exporters", len(g.cfg.Exporters))
		for name, part := range g.parts {
			stage.Go(name, part)
		}
		return g.observers.export(ctx, queue, g.sampling.kept, logger)
	})
	return group.Wait(ctx, run.StopWithin)
}

// drop lets go of what g holds but for its outputs, which the next generation may have, too.
func (a *aggregator) drop(g *generation) error {
	a.registries.Remove(g.own)
	err := a.queue.Suspend()
	if g.sampling != nil {
		err = errors.Join(err, g.sampling.close())
	}
	return err
}

// A current serves what the generation in use serves.
type current struct {
	spans, api http.Handler
	only       *telemetry.Attributes // of spans, that observers ask for
}

// serve returns a handler that asks pick of what is in use then.
func (a *aggregator) serve(pick func(*current) http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { pick(a.current.Load()).ServeHTTP(w, r) })
}

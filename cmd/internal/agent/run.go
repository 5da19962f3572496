package agent

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/cmd/internal/run"
	"github.com/braidhq/braid/config"
	"github.com/braidhq/braid/exporters/otlp"
	"github.com/braidhq/braid/exporters/remotewrite"
	"github.com/braidhq/braid/logs"
	"github.com/braidhq/braid/logs/format"
	"github.com/braidhq/braid/pipeline"
	"github.com/braidhq/braid/scrape"
	"github.com/braidhq/braid/telemetry"
)

// Run runs the agent until ctx ends, then stops it in order: intake (receivers, scraping, tailing), then what forwards
// the queue, then the queue.
func Run(ctx context.Context, cfg *config.Agent, version string, logger *slog.Logger) (err error) {
	limit := run.LimitMemory()
	registry, state := run.NewRegistry(version), &run.State{}
	listeners, err := run.OpenListeners(cfg.Receivers, cfg.Web)
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

	upstream, err := openUpstream(cfg.Aggregator, registry)
	if err != nil {
		return err
	}
	group := run.NewGroup()
	forwarding := group.Stage()
	if err := upstream.forward(forwarding, queue, logger); err != nil {
		return err
	}
	answering := group.Stage()
	listeners.ServeWeb(answering, run.Mux(registry, state))
	intake := group.Stage()
	if err := tailLogs(intake, cfg, upstream.otlp, registry, logger); err != nil {
		return err
	}
	if err := scrapeTargets(intake, cfg, pipeline.Encode(queue), registry, logger); err != nil {
		return err
	}
	listeners.ServeReceivers(intake, run.NewGuard(pipeline.Pack(queue, telemetry.Zstd), limit), cfg.Limits, registry)
	state.SetReady(true)
	logger.Info("started", "version", version, "http", listeners.HTTPAddr(), "grpc", listeners.GRPCAddr(), "web", listeners.WebAddr(), "aggregator", cfg.Aggregator.URL)
	err = group.Wait(ctx, run.StopWithin)
	logger.Info("stopped", "err", err)
	return err
}

// upstream is the aggregator, or any other backend that speaks OTLP and remote-write.
type upstream struct {
	otlp    *otlp.Exporter
	samples *remotewrite.Exporter
}

// compressions by their names in the configuration.
var compressions = map[string]telemetry.Compression{"zstd": telemetry.Zstd, "gzip": telemetry.Gzip, "none": telemetry.Identity}

func openUpstream(u config.Upstream, registry prometheus.Registerer) (upstream, error) {
	rw, err := u.RemoteWrite()
	if err != nil {
		return upstream{}, err
	}
	samples, err := remotewrite.New(rw, remotewrite.Options{Registerer: registry})
	if err != nil {
		return upstream{}, err
	}
	records, err := otlp.New(otlp.Options{
		URL: strings.TrimSuffix(u.URL, "/"), Compression: compressions[u.Compression], Registerer: registry,
	})
	if err != nil {
		return upstream{}, err
	}
	return upstream{otlp: records, samples: samples}, nil
}

// forward hands on what the queue holds, lane by lane.
func (u upstream) forward(stage *run.Stage, queue *pipeline.Queue, logger *slog.Logger) error {
	for _, signal := range telemetry.Signals {
		cursor, err := queue.Cursor(signal, "aggregator", pipeline.CursorOptions{})
		if err != nil {
			return err
		}
		next := telemetry.Appender(u.otlp)
		if signal == telemetry.Samples {
			next = u.samples
		}
		stage.Go("forward "+signal.String(), func(ctx context.Context) error {
			return pipeline.Forward(ctx, cursor, next, pipeline.ForwardOptions{Logger: logger})
		})
	}
	return nil
}

func tailLogs(stage *run.Stage, cfg *config.Agent, next telemetry.Sink, registry prometheus.Registerer, logger *slog.Logger) error {
	if len(cfg.Logs) == 0 {
		return nil
	}
	var roots []logs.Root
	for _, root := range cfg.Logs {
		f := format.CRI
		if root.Format == "docker" {
			f = format.Docker
		}
		roots = append(roots, logs.Root{Path: root.Path, Format: f})
	}
	source, err := logs.New(logs.Options{
		Roots: roots, StateDir: filepath.Join(cfg.DataDir, "logs"), Cluster: cfg.Cluster, Node: cfg.Node,
		MaxLineBytes: int(cfg.Limits.MaxLineBytes), OpenBytesLimit: int64(cfg.Limits.MaxRotatedBytes),
		Registerer: registry, Logger: logger,
	})
	if err != nil {
		return err
	}
	stage.Go("logs", func(ctx context.Context) error {
		return source.Run(ctx, pipeline.Retry(next, pipeline.RetryOptions{Name: "aggregator", Logger: logger}))
	})
	return nil
}

func scrapeTargets(stage *run.Stage, cfg *config.Agent, next telemetry.Sink, registry prometheus.Registerer, logger *slog.Logger) error {
	if cfg.Prometheus == nil {
		return nil
	}
	source, err := scrape.New(scrape.Options{
		Configs: cfg.Prometheus.ScrapeConfigs, Global: cfg.Prometheus.GlobalConfig, Registerer: registry, Logger: logger,
	})
	if err != nil {
		return err
	}
	stage.Go("scrape", func(ctx context.Context) error { return source.Run(ctx, next) })
	return nil
}

package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	commonconfig "github.com/prometheus/common/config"

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

// An agent is what runs, by the configuration in use. A reload replaces what has changed: what scrapes, what tails, and the
// way to the aggregator, on which both tailing and the queue depend.
type agent struct {
	cfg        *config.Agent
	queue      *pipeline.Queue
	registries *run.Registries
	logger     *slog.Logger

	intake     atomic.Pointer[telemetry.Appender] // of what is pushed
	upstream   upstream
	forwards   *run.Slot
	tail       *run.Slot
	tailed     *prometheus.Registry // of what tails
	scrapes    *run.Slot
	source     *scrape.Source // nil: nothing was ever to be scraped
	sourceInto *prometheus.Registry
}

// Run runs the agent until ctx ends, then stops it in order: intake (receivers, scraping, tailing), then what forwards
// the queue, then the queue. load reads the configuration again for a reload.
func Run(ctx context.Context, cfg *config.Agent, load func() (*config.Agent, error), version string, logger *slog.Logger) (err error) {
	limit := run.LimitMemory()
	registry, state := run.NewRegistry(version), &run.State{}
	listeners, err := run.OpenListeners(cfg.Receivers, cfg.Web, run.ListenOptions{Registerer: registry, Logger: logger})
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

	group := run.NewGroup()
	forwarding, answering, intake := group.Stage(), group.Stage(), group.Stage()
	a := &agent{
		cfg: cfg, queue: queue, registries: run.NewRegistries(registry), logger: logger, sourceInto: registry,
		forwards: forwarding.Slot("forward"), tail: intake.Slot("logs"), scrapes: intake.Slot("scrape"),
	}
	if err := a.start(); err != nil {
		return err
	}
	reloader := run.NewReloader(registry, logger)
	mux := run.NewMux(a.registries, state)
	mux.Handle("POST "+run.ReloadPath, reloader)
	listeners.ServeWeb(answering, mux)
	listeners.ServeReceivers(intake, run.NewGuard(a, limit), cfg.Limits, nil, registry)
	intake.Go("reload", func(ctx context.Context) error { return reloader.Run(ctx, func() error { return a.reload(load) }) })
	state.SetReady(true)
	logger.Info("started", "version", version, "http", listeners.HTTPAddr(), "grpc", listeners.GRPCAddr(), "web", listeners.WebAddr(), "aggregator", cfg.Aggregator.URL)
	err = group.Wait(ctx, run.StopWithin)
	logger.Info("stopped", "err", err)
	return err
}

// Append implements telemetry.Appender: what is pushed goes into the queue, compressed as the aggregator is to have it.
func (a *agent) Append(ctx context.Context, frames []telemetry.Frame) error {
	return (*a.intake.Load()).Append(ctx, frames)
}

// pack has what is pushed from now on compressed by the configuration in use.
func (a *agent) pack() {
	next := telemetry.Appender(a.queue)
	if c := compressions[a.cfg.Aggregator.Compression]; c != telemetry.Identity {
		next = pipeline.Pack(a.queue, c)
	}
	a.intake.Store(&next)
}

// readable reports why the names in dir cannot be read: what tails it would end with that.
func readable(dir string) error {
	_, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot follow logs: %w", err)
	}
	return nil
}

func (a *agent) start() (err error) {
	if a.upstream, err = openUpstream(a.cfg.Aggregator, a.registries); err != nil {
		return err
	}
	a.pack()
	if err := a.forward(); err != nil {
		return err
	}
	if err := a.startTail(); err != nil {
		return err
	}
	return a.scrapeTargets()
}

// reload takes over what has changed. What cannot be opened is found out before anything is stopped.
func (a *agent) reload(load func() (*config.Agent, error)) error {
	next, err := load()
	if err != nil {
		return err
	}
	now := a.cfg
	if err := run.Fixed(map[string]bool{
		"cluster": next.Cluster != now.Cluster, "node": next.Node != now.Node, "data_dir": next.DataDir != now.DataDir,
		"receivers": !reflect.DeepEqual(next.Receivers, now.Receivers), "web": !reflect.DeepEqual(next.Web, now.Web),
		"limits": next.Limits != now.Limits, "queue": next.Queue != now.Queue,
	}); err != nil {
		return err
	}
	for _, root := range next.Logs {
		if err := readable(root.Path); err != nil {
			return err
		}
	}
	way := !reflect.DeepEqual(next.Aggregator, now.Aggregator)
	var up upstream
	if way {
		if up, err = openUpstream(next.Aggregator, a.registries); err != nil {
			return err
		}
	}
	a.cfg = next
	if err := a.scrapeTargets(); err != nil {
		a.cfg = now
		a.registries.Remove(up.registry)
		return err
	}
	if way || !reflect.DeepEqual(next.Logs, now.Logs) {
		a.stopTail()
	}
	if way {
		a.forwards.Empty()
		a.registries.Remove(a.upstream.registry)
		a.upstream = up
		a.pack()
		if err := a.forward(); err != nil {
			return err
		}
	}
	return a.startTail()
}

// compressions by their names in the configuration.
var compressions = map[string]telemetry.Compression{"zstd": telemetry.Zstd, "gzip": telemetry.Gzip, "none": telemetry.Identity}

// upstream is the aggregator, or any other backend that speaks OTLP and remote-write.
type upstream struct {
	otlp     *otlp.Exporter
	samples  *remotewrite.Exporter
	registry *prometheus.Registry
}

func openUpstream(u config.Upstream, registries *run.Registries) (_ upstream, err error) {
	registry := registries.Add()
	defer func() {
		if err != nil {
			registries.Remove(registry)
		}
	}()
	rw, err := u.RemoteWrite()
	if err != nil {
		return upstream{}, err
	}
	// The aggregator's answers 401 and 403 mean that a token or a certificate has to be put right, and nothing is given up
	// for that.
	samples, err := remotewrite.New(rw, remotewrite.Options{Registerer: registry, RetryUnauthorized: true})
	if err != nil {
		return upstream{}, err
	}
	options := otlp.Options{
		URL: strings.TrimSuffix(u.URL, "/"), Compression: compressions[u.Compression], Registerer: registry, RetryUnauthorized: true,
	}
	if secured := u.HTTPClient(); secured != nil {
		if options.Client, err = commonconfig.NewClientFromConfig(*secured, "braid_aggregator"); err != nil {
			return upstream{}, fmt.Errorf("cannot use aggregator: %w", err)
		}
	}
	records, err := otlp.New(options)
	if err != nil {
		return upstream{}, err
	}
	return upstream{otlp: records, samples: samples, registry: registry}, nil
}

// forward hands on what the queue holds, lane by lane.
func (a *agent) forward() error {
	group := run.NewGroup()
	lanes := group.Stage()
	var cursors []*pipeline.Cursor
	for _, signal := range telemetry.Signals {
		cursor, err := a.queue.Cursor(signal, "aggregator", pipeline.CursorOptions{})
		if err != nil {
			return err
		}
		cursors = append(cursors, cursor)
		next := telemetry.Appender(a.upstream.otlp)
		if signal == telemetry.Samples {
			next = a.upstream.samples
		}
		lanes.Go(signal.String(), func(ctx context.Context) error {
			return pipeline.Forward(ctx, cursor, next, pipeline.ForwardOptions{Logger: a.logger})
		})
	}
	a.forwards.Go(func(ctx context.Context) error {
		err := group.Wait(ctx, run.StopWithin)
		for _, c := range cursors {
			_ = c.Close() // its name is free again; the queue may have closed it already
		}
		return err
	})
	return nil
}

// startTail tails what the configuration names, unless that runs already.
func (a *agent) startTail() error {
	if a.tailed != nil || len(a.cfg.Logs) == 0 {
		return nil
	}
	var roots []logs.Root
	for _, root := range a.cfg.Logs {
		f := format.CRI
		if root.Format == "docker" {
			f = format.Docker
		}
		roots = append(roots, logs.Root{Path: root.Path, Format: f})
	}
	registry := a.registries.Add()
	source, err := logs.New(logs.Options{
		Roots: roots, StateDir: filepath.Join(a.cfg.DataDir, "logs"), Cluster: a.cfg.Cluster, Node: a.cfg.Node,
		MaxLineBytes: int(a.cfg.Limits.MaxLineBytes), OpenBytesLimit: int64(a.cfg.Limits.MaxRotatedBytes),
		Registerer: registry, Logger: a.logger,
	})
	if err != nil {
		a.registries.Remove(registry)
		return err
	}
	a.tailed = registry
	next := a.upstream.otlp
	a.tail.Go(func(ctx context.Context) error {
		return source.Run(ctx, pipeline.Retry(next, pipeline.RetryOptions{Name: "aggregator", Logger: a.logger}))
	})
	return nil
}

func (a *agent) stopTail() {
	a.tail.Empty()
	a.registries.Remove(a.tailed)
	a.tailed = nil
}

// scrapeTargets scrapes what the configuration names. Jobs that did not change go on undisturbed.
func (a *agent) scrapeTargets() error {
	global, jobs := a.cfg.Scrapes()
	if a.source != nil {
		return a.source.ApplyConfig(global, jobs)
	}
	if a.cfg.Prometheus == nil {
		return nil
	}
	source, err := scrape.New(scrape.Options{Configs: jobs, Global: global, Registerer: a.sourceInto, Logger: a.logger})
	if err != nil {
		return err
	}
	a.source = source
	next := pipeline.Encode(a.queue)
	a.scrapes.Go(func(ctx context.Context) error { return source.Run(ctx, next) })
	return nil
}

package scrape

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	_ "github.com/prometheus/prometheus/discovery/file" // file_sd_configs
	_ "github.com/prometheus/prometheus/discovery/http" // http_sd_configs
	"github.com/prometheus/prometheus/scrape"
	"github.com/prometheus/prometheus/util/logging"

	"github.com/braidhq/braid/telemetry"
)

// Options of a Source.
type Options struct {
	// Configs are scrape_configs as Prometheus' config package reads them.
	Configs []*config.ScrapeConfig
	// Global has their defaults and the external labels; without a scrape interval it stands for Prometheus' defaults.
	Global config.GlobalConfig
	// StartTimestamps reads start ("created") timestamps from targets. As in Prometheus it is off by default: with
	// OpenMetrics 1.0 the series *_created disappear for it.
	StartTimestamps bool
	// DiscoveryInterval bounds how often changed targets are taken over: 5 s, as in Prometheus.
	DiscoveryInterval time.Duration
	// Logger gets what Prometheus' managers say; nil is silence.
	Logger     *slog.Logger
	Registerer prometheus.Registerer
}

// A Source scrapes targets.
type Source struct {
	o       Options
	logger  *slog.Logger
	reg     prometheus.Registerer
	sd      *discovery.SDMetrics
	series  *table
	metrics *metrics

	mu      sync.Mutex
	config  *config.Config
	running *managers
}

// sweepInterval is half of what a series is remembered at least. Targets with a longer scrape interval lose nothing
// but the check that a sample is newer than the last.
const sweepInterval = 10 * time.Minute

// writeGrace is how long scrapes under way may still be stored once the run has been told to end.
const writeGrace = 15 * time.Second

// New checks the configuration and returns a source that does not run yet.
func New(o Options) (*Source, error) {
	cfg, err := load(o.Global, o.Configs)
	if err != nil {
		return nil, err
	}
	s := &Source{o: o, logger: o.Logger, reg: o.Registerer, config: cfg}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.reg == nil {
		s.reg = prometheus.NewRegistry() // Prometheus' managers insist on one
	}
	if s.o.DiscoveryInterval == 0 {
		s.o.DiscoveryInterval = 5 * time.Second
	}
	if s.sd, err = discovery.CreateAndRegisterSDMetrics(s.reg); err != nil {
		return nil, fmt.Errorf("cannot set up discovery: %w", err)
	}
	s.series = newTable(cfg.GlobalConfig.ExternalLabels)
	s.metrics = newMetrics(s.reg, s.series)
	return s, nil
}

// load makes the configuration that Prometheus' managers ask for.
func load(global config.GlobalConfig, configs []*config.ScrapeConfig) (*config.Config, error) {
	cfg, err := config.Load("", slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, fmt.Errorf("cannot load Prometheus' defaults: %w", err)
	}
	if global.ScrapeInterval == 0 {
		external := global.ExternalLabels
		global = config.DefaultGlobalConfig
		global.ExternalLabels = external
	}
	names := map[string]bool{}
	for _, c := range configs {
		if err := c.Validate(global); err != nil {
			return nil, fmt.Errorf("cannot use the scrape configs: %w", err)
		}
		if names[c.JobName] {
			return nil, fmt.Errorf("cannot use the scrape configs: job name %q is there twice", c.JobName)
		}
		names[c.JobName] = true
	}
	cfg.GlobalConfig, cfg.ScrapeConfigs = global, configs
	return cfg, nil
}

// ApplyConfig takes over other scrape configs: jobs that did not change go on undisturbed. It waits for the scrapes
// under way of jobs that changed or are gone. As in Prometheus, a job that is gone leaves no staleness markers; a
// target that discovery no longer shows does.
func (s *Source) ApplyConfig(global config.GlobalConfig, configs []*config.ScrapeConfig) error {
	cfg, err := load(global, configs)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.series.setExternal(cfg.GlobalConfig.ExternalLabels)
	s.config = cfg
	if s.running == nil {
		return nil
	}
	return s.running.apply(cfg)
}

// Run scrapes and writes to next until ctx ends; then it waits for the scrapes under way and their writes. As in
// Prometheus, the end leaves no staleness markers: whoever comes next goes on with the same series.
func (s *Source) Run(ctx context.Context, next telemetry.Sink) error {
	writes, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	store := newAppendable(writes, next, s.series, s.metrics)
	m, err := s.start(store)
	if err != nil {
		return err
	}
	sweeps := time.NewTicker(sweepInterval)
	defer sweeps.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-sweeps.C:
			s.series.sweep()
		}
	}
	grace := time.AfterFunc(writeGrace, func() { cancel(errors.New("braid is shutting down")) })
	defer grace.Stop()
	s.mu.Lock()
	s.running = nil
	s.mu.Unlock()
	m.stop()
	store.wait()
	return nil
}

func (s *Source) start(store *appendable) (*managers, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		panic("BUG: a scrape source runs twice")
	}
	scraper, err := scrape.NewManager(&scrape.Options{
		AppendMetadata:           true,
		ParseST:                  s.o.StartTimestamps,
		DiscoveryReloadInterval:  model.Duration(s.o.DiscoveryInterval),
		DiscoveryReloadOnStartup: true,
	}, s.logger, logging.NewJSONFileLogger, nil, store, s.reg)
	if err != nil {
		return nil, fmt.Errorf("cannot set up scraping: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	discoverer := discovery.NewManager(ctx, s.logger, s.reg, s.sd, discovery.Name("scrape"), discovery.Updatert(s.o.DiscoveryInterval))
	if discoverer == nil {
		cancel()
		scraper.UnregisterMetrics()
		return nil, errors.New("cannot set up discovery: its metrics are registered already")
	}
	m := &managers{scraper: scraper, discoverer: discoverer, cancel: cancel}
	if err := m.apply(s.config); err != nil {
		cancel()
		m.unregister()
		return nil, err
	}
	m.run()
	s.running = m
	return m, nil
}

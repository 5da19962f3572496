package scrape

import (
	"context"
	"fmt"
	"sync"

	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/discovery"
	"github.com/prometheus/prometheus/scrape"
)

// managers are Prometheus' two, running.
type managers struct {
	scraper    *scrape.Manager
	discoverer *discovery.Manager
	cancel     context.CancelFunc // ends discovery
	done       sync.WaitGroup
}

// apply tells both of a configuration: the scraper first, since it refuses targets of a job it does not know.
func (m *managers) apply(cfg *config.Config) error {
	if err := m.scraper.ApplyConfig(cfg); err != nil {
		return fmt.Errorf("cannot apply the scrape configs: %w", err)
	}
	discoverers := map[string]discovery.Configs{}
	for _, c := range cfg.ScrapeConfigs {
		discoverers[c.JobName] = c.ServiceDiscoveryConfigs
	}
	if err := m.discoverer.ApplyConfig(discoverers); err != nil {
		return fmt.Errorf("cannot apply the discovery configs: %w", err)
	}
	return nil
}

func (m *managers) run() {
	m.done.Go(func() { _ = m.discoverer.Run() }) // its error is that of the context that ends it
	m.done.Go(func() { _ = m.scraper.Run(m.discoverer.SyncCh()) })
}

// stop ends discovery, then waits for the scrapes under way.
func (m *managers) stop() {
	m.cancel()
	m.scraper.Stop()
	m.done.Wait()
	m.unregister()
}

func (m *managers) unregister() {
	m.scraper.UnregisterMetrics()
	m.discoverer.UnregisterMetrics()
}

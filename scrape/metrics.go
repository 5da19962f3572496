package scrape

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Prometheus' own prometheus_target_* and prometheus_sd_* are registered beside these, under the names that everyone's
// dashboards and alerts know.
type metrics struct {
	samples    prometheus.Counter
	dropped    prometheus.Counter
	outOfOrder prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, series *table) *metrics {
	factory := promauto.With(reg)
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "braid_scrape_series",
		Help: "Series remembered from scrape to scrape.",
	}, func() float64 { return float64(series.len()) })
	return &metrics{
		samples: factory.NewCounter(prometheus.CounterOpts{
			Name: "braid_scrape_samples_total",
			Help: "Samples scraped and stored, staleness markers and the scrapes' own series included.",
		}),
		dropped: factory.NewCounter(prometheus.CounterOpts{
			Name: "braid_scrape_samples_dropped_total",
			Help: "Samples scraped and lost, because they could not be stored.",
		}),
		outOfOrder: factory.NewCounter(prometheus.CounterOpts{
			Name: "braid_scrape_out_of_order_samples_total",
			Help: "Samples refused because their series has one that is as new or newer.",
		}),
	}
}

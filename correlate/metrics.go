package correlate

import "github.com/prometheus/client_golang/prometheus"

type indexMetrics struct {
	entries prometheus.Gauge
	evicted prometheus.Counter
	expired prometheus.Counter
}

func newIndexMetrics() indexMetrics {
	return indexMetrics{
		entries: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_correlate_index_entries", Help: "Traces in the index.",
		}),
		evicted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_correlate_index_evicted_total", Help: "Traces that left the index early because it was full.",
		}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_correlate_index_expired_total", Help: "Traces whose time in the index was over.",
		}),
	}
}

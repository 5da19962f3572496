package correlate

import "github.com/prometheus/client_golang/prometheus"

type indexMetrics struct {
	entries prometheus.Gauge
	evicted prometheus.Counter
	expired prometheus.Counter
}

type verdictMetrics struct {
	length  prometheus.Gauge
	damaged prometheus.Counter
}

func newVerdictMetrics() verdictMetrics {
	return verdictMetrics{
		length: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_correlate_verdicts", Help: "Verdicts that the log has had, those that were let go included.",
		}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_correlate_verdicts_damaged_total", Help: "Records and headers of the verdict log that failed their checks or were missing.",
		}),
	}
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

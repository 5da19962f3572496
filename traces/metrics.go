package traces

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	series   prometheus.Gauge
	overflow prometheus.Counter
}

func newMetrics() metrics {
	return metrics{
		series: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_traces_series", Help: "Series of span metrics.",
		}),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_traces_overflow_spans_total", Help: "Spans counted in the overflow series, since the process started.",
		}),
	}
}

func (m metrics) Describe(ch chan<- *prometheus.Desc) {
	m.series.Describe(ch)
	m.overflow.Describe(ch)
}

func (m metrics) Collect(ch chan<- prometheus.Metric) {
	m.series.Collect(ch)
	m.overflow.Collect(ch)
}

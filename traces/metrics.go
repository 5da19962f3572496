package traces

import "github.com/prometheus/client_golang/prometheus"

// redMetrics count since the process started.
type redMetrics struct {
	series                           prometheus.Gauge
	overflow, expired                prometheus.Counter
	refusedTargets                   prometheus.Counter
	malformed                        *prometheus.CounterVec
	zeroID, times, longName, notUTF8 prometheus.Counter // of malformed
}

func newREDMetrics() redMetrics {
	m := redMetrics{
		series:   gauge("braid_traces_series", "Series of span metrics."),
		overflow: count("braid_traces_overflow_spans_total", "Spans counted in an overflow series, since the process started."),
		expired:  count("braid_traces_expired_series_total", "Series of span metrics forgotten because no span came."),
		refusedTargets: count("braid_traces_refused_targets_total",
			"Times that a resource without room among the targets has begun to send."),
		malformed: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_traces_malformed_spans_total", Help: "Spans counted in spite of something wrong with them, by what it is.",
		}, []string{"reason"}),
	}
	m.zeroID = m.malformed.WithLabelValues("zero_id")
	m.times = m.malformed.WithLabelValues("end_before_start")
	m.longName = m.malformed.WithLabelValues("long_name")
	m.notUTF8 = m.malformed.WithLabelValues("not_utf8")
	return m
}

func (m *redMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.series, m.overflow, m.expired, m.refusedTargets, m.malformed}
}

func (m *redMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
}

func (m *redMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(ch)
	}
}

func gauge(name, help string) prometheus.Gauge {
	return prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
}

func count(name, help string) prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
}

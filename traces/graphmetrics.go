package traces

import "github.com/prometheus/client_golang/prometheus"

// graphMetrics count since the process started.
type graphMetrics struct {
	series, pending   prometheus.Gauge
	overflow, evicted prometheus.Counter
	unusable          *prometheus.CounterVec
	zeroID, reused    prometheus.Counter // of unusable
}

func newGraphMetrics() graphMetrics {
	m := graphMetrics{
		series:   gauge("braid_traces_graph_series", "Edges of the service graph."),
		pending:  gauge("braid_traces_graph_pending_spans", "Spans that wait for the other side of their call."),
		overflow: count("braid_traces_graph_overflow_total", "Calls and unpaired spans counted in an overflow series, since the process started."),
		evicted:  count("braid_traces_graph_evicted_spans_total", "Spans that could not wait as long as they should, for want of room."),
		unusable: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_traces_graph_unusable_spans_total", Help: "Spans left out of the service graph, by reason.",
		}, []string{"reason"}),
	}
	m.zeroID, m.reused = m.unusable.WithLabelValues("zero_id"), m.unusable.WithLabelValues("reused_id")
	return m
}

func (m *graphMetrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.series, m.pending, m.overflow, m.evicted, m.unusable}
}

func (m *graphMetrics) Describe(ch chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(ch)
	}
}

func (m *graphMetrics) Collect(ch chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(ch)
	}
}

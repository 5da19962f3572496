package query

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	duration *prometheus.HistogramVec
	errors   *prometheus.CounterVec
	lines    prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		duration: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "braid_query_duration_seconds", Help: "Time to answer; following counts until it ends.",
			Buckets: []float64{.001, .01, .1, 1, 10, 100, 1000},
		}, []string{"endpoint"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_query_errors_total", Help: "Requests answered with an error or broken off.",
		}, []string{"endpoint"}),
		lines: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_query_lines_total", Help: "Log lines sent.",
		}),
	}
	if r != nil {
		r.MustRegister(m.duration, m.errors, m.lines)
	}
	return m
}

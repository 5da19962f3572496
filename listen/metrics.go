package listen

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	reloads *prometheus.CounterVec
	refused *prometheus.CounterVec
	expiry  prometheus.Gauge
}

// newMetrics returns the metrics of one listener, of which a registry takes several by their names.
func newMetrics(c *Config, o *Options) *metrics {
	labels := prometheus.Labels{"listener": o.Name}
	m := &metrics{
		reloads: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_listen_reloads_total", ConstLabels: labels,
			Help: "New states of certificate and token files: ok, or error when the one before had to stay.",
		}, []string{"result"}),
		refused: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_listen_refused_total", ConstLabels: labels,
			Help: "Requests that were not let in: unauthenticated, user (none of those allowed), unavailable (nobody could tell).",
		}, []string{"reason"}),
		expiry: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_listen_certificate_expiry_timestamp_seconds", ConstLabels: labels,
			Help: "When the listener's certificate expires.",
		}),
	}
	if o.Registerer == nil {
		return m
	}
	if c.TLS != nil {
		o.Registerer.MustRegister(m.expiry)
	}
	if c.TLS != nil || c.Auth != nil {
		o.Registerer.MustRegister(m.reloads, m.refused)
	}
	return m
}

func (l *Listener) reloaded(file string, err error) {
	result := "ok"
	if err != nil {
		result = "error"
	}
	l.metrics.reloads.WithLabelValues(result).Inc()
	if l.options.Reloaded != nil {
		l.options.Reloaded(file, err)
	}
}

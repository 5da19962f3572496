package otlp

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/braidhq/braid/telemetry"
)

type metrics struct {
	requests *prometheus.CounterVec
	bytes    *prometheus.CounterVec
	rejected *prometheus.CounterVec
	duration *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	factory := promauto.With(reg)
	return &metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_exporters_otlp_requests_total",
			Help: "OTLP requests sent, by HTTP status of the answer (0: there was none).",
		}, []string{"signal", "code"}),
		bytes: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_exporters_otlp_sent_bytes_total",
			Help: "Body bytes of the requests that were taken, as sent.",
		}, []string{"signal"}),
		rejected: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_exporters_otlp_rejected_records_total",
			Help: "Records that the peer rejected out of requests that it took.",
		}, []string{"signal"}),
		duration: factory.NewHistogramVec(prometheus.HistogramOpts{
			Name:                        "braid_exporters_otlp_request_duration_seconds",
			Help:                        "Time from sending a request to its answer.",
			Buckets:                     prometheus.ExponentialBuckets(0.001, 4, 8),
			NativeHistogramBucketFactor: 1.1,
		}, []string{"signal"}),
	}
}

func (m *metrics) failed(s telemetry.Signal, took time.Duration) {
	m.requests.WithLabelValues(s.String(), "0").Inc()
	m.duration.WithLabelValues(s.String()).Observe(took.Seconds())
}

func (m *metrics) answered(s telemetry.Signal, status, size int, took time.Duration) {
	m.requests.WithLabelValues(s.String(), strconv.Itoa(status)).Inc()
	m.duration.WithLabelValues(s.String()).Observe(took.Seconds())
	if status/100 == 2 {
		m.bytes.WithLabelValues(s.String()).Add(float64(size))
	}
}

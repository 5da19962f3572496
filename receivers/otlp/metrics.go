package otlp

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/braidhq/braid/receivers/intake"
	"github.com/braidhq/braid/telemetry"
)

type metrics struct {
	requests *prometheus.CounterVec
	records  *prometheus.CounterVec
	bytes    *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, gate *intake.Gate) *metrics {
	factory := promauto.With(reg)
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "braid_receivers_otlp_in_flight_bytes",
		Help: "Memory held for OTLP requests that are not answered, or not observed, yet.",
	}, func() float64 { return float64(gate.Held()) })
	return &metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_receivers_otlp_requests_total",
			Help: "OTLP requests answered, by transport (http, grpc) and HTTP status (for gRPC: the one that HTTP would have got).",
		}, []string{"signal", "transport", "code"}),
		records: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_receivers_otlp_records_total",
			Help: "Log records and spans taken.",
		}, []string{"signal"}),
		bytes: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_receivers_otlp_received_bytes_total",
			Help: "Body bytes of the requests taken, as they came.",
		}, []string{"signal"}),
	}
}

func (m *metrics) taken(s telemetry.Signal, records, size int) {
	m.records.WithLabelValues(s.String()).Add(float64(records))
	m.bytes.WithLabelValues(s.String()).Add(float64(size))
}

func (m *metrics) answered(s telemetry.Signal, transport string, code int) {
	m.requests.WithLabelValues(s.String(), transport, strconv.Itoa(code)).Inc()
}

package remotewrite

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/braidhq/braid/receivers/intake"
	"github.com/braidhq/braid/telemetry"
	wire "github.com/braidhq/braid/wire/remotewrite"
)

type metrics struct {
	requests *prometheus.CounterVec
	samples  *prometheus.CounterVec
	bytes    prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, gate *intake.Gate) *metrics {
	factory := promauto.With(reg)
	factory.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "braid_receivers_remotewrite_in_flight_bytes",
		Help: "Memory held for remote-write requests that are not answered yet.",
	}, func() float64 { return float64(gate.Held()) })
	return &metrics{
		requests: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_receivers_remotewrite_requests_total",
			Help: "Remote-write requests answered, by version (1, 2; empty if it was neither) and HTTP status.",
		}, []string{"version", "code"}),
		samples: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_receivers_remotewrite_samples_total",
			Help: "Samples taken, by type: float, histogram, exemplar.",
		}, []string{"type"}),
		bytes: factory.NewCounter(prometheus.CounterOpts{
			Name: "braid_receivers_remotewrite_received_bytes_total",
			Help: "Body bytes of the requests taken, as they came.",
		}),
	}
}

func (m *metrics) taken(n wire.Written, size int) {
	m.samples.WithLabelValues("float").Add(float64(n.Samples))
	m.samples.WithLabelValues("histogram").Add(float64(n.Histograms))
	m.samples.WithLabelValues("exemplar").Add(float64(n.Exemplars))
	m.bytes.Add(float64(size))
}

func (m *metrics) answered(e telemetry.Encoding, status int) {
	version := ""
	switch e {
	case telemetry.RemoteWrite1:
		version = "1"
	case telemetry.RemoteWrite2:
		version = "2"
	}
	m.requests.WithLabelValues(version, strconv.Itoa(status)).Inc()
}

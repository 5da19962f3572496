package store

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/telemetry"
)

type metrics struct {
	records  *prometheus.CounterVec
	repeated prometheus.Counter
	rejected *prometheus.CounterVec
	expired  *prometheus.CounterVec
	unlisted prometheus.Counter
	streams  prometheus.Gauge
	follows  prometheus.Gauge
	disk     prometheus.GaugeFunc
}

func newMetrics(diskBytes func() float64) *metrics {
	m := &metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_store_records_total", Help: "Records taken, repeats included.",
		}, []string{"signal"}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_store_repeated_records_total", Help: "Log records that were stored already, as after a crash.",
		}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_store_rejected_total", Help: "Samples and exemplars that the TSDB refused.",
		}, []string{"what", "reason"}),
		expired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_store_expired_records_total", Help: "Log and span records deleted at the end of their retention.",
		}, []string{"signal"}),
		unlisted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_store_unlisted_spans_total", Help: "Spans whose operation the table of operations has no room for.",
		}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_store_streams", Help: "Identities of stored log and span records.",
		}),
		follows: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_store_follows", Help: "Answers that wait for further lines.",
		}),
		disk: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "braid_store_disk_bytes", Help: "Disk space used by logs and spans.",
		}, diskBytes),
	}
	for _, s := range telemetry.Signals {
		m.records.WithLabelValues(s.String())
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer) {
	if r != nil {
		r.MustRegister(m.records, m.repeated, m.rejected, m.expired, m.unlisted, m.streams, m.follows, m.disk)
	}
}

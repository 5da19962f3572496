package remotewrite

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/braidhq/braid/telemetry"
	wire "github.com/braidhq/braid/wire/remotewrite"
)

// The names and labels are those of prometheus_remote_storage_*, so that dashboards and alerts work after a change of
// prefix.
type metrics struct {
	samples    prometheus.Counter
	histograms prometheus.Counter
	exemplars  prometheus.Counter
	failures   prometheus.Counter
	retries    prometheus.Counter
	bytes      prometheus.Counter
	duration   prometheus.Histogram
	highest    prometheus.Gauge

	mu         sync.Mutex
	newestNano int64
}

func newMetrics(reg prometheus.Registerer, name, url string) *metrics {
	if reg != nil {
		reg = prometheus.WrapRegistererWith(prometheus.Labels{"remote_name": name, "url": url}, reg)
	}
	factory := promauto.With(reg)
	counter := func(name, help string) prometheus.Counter {
		return factory.NewCounter(prometheus.CounterOpts{Name: "braid_remote_storage_" + name, Help: help})
	}
	return &metrics{
		samples:    counter("samples_total", "Float samples delivered."),
		histograms: counter("histograms_total", "Histogram samples delivered."),
		exemplars:  counter("exemplars_total", "Exemplars delivered."),
		failures:   counter("samples_failed_total", "Samples and histograms that the endpoint refused for good."),
		retries:    counter("samples_retried_total", "Samples and histograms of attempts that failed and may be made again."),
		bytes:      counter("bytes_total", "Body bytes delivered, as sent."),
		duration: factory.NewHistogram(prometheus.HistogramOpts{
			Name:                        "braid_remote_storage_sent_batch_duration_seconds",
			Help:                        "Time from sending a request to its answer.",
			Buckets:                     append(prometheus.DefBuckets, 25, 60, 120, 300),
			NativeHistogramBucketFactor: 1.1,
		}),
		highest: factory.NewGauge(prometheus.GaugeOpts{
			Name: "braid_remote_storage_queue_highest_sent_timestamp_seconds",
			Help: "When the newest frame delivered was received. (Samples' own time stamps are not looked at.)",
		}),
	}
}

func (m *metrics) sent(written wire.Written, size int) {
	m.samples.Add(float64(written.Samples))
	m.histograms.Add(float64(written.Histograms))
	m.exemplars.Add(float64(written.Exemplars))
	m.bytes.Add(float64(size))
}

// refused counts what a partial write has left out.
func (m *metrics) refused(all, written wire.Written) {
	m.failures.Add(float64(max(0, all.Samples+all.Histograms-written.Samples-written.Histograms)))
}

func (m *metrics) failed(err error, lost wire.Written) {
	n := float64(lost.Samples + lost.Histograms)
	if telemetry.IsPermanent(err) {
		m.failures.Add(n)
		return
	}
	m.retries.Add(n)
}

func (m *metrics) newest(unixNano int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if unixNano > m.newestNano {
		m.newestNano = unixNano
		m.highest.Set(float64(unixNano) / 1e9)
	}
}

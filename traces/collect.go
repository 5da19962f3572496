package traces

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
)

type descs struct{ calls, latency, target *prometheus.Desc }

func (f *family) desc() *prometheus.Desc {
	return prometheus.NewDesc(f.name, f.help, f.labels, f.constant())
}

// constant are the labels that all series have.
func (f *family) constant() prometheus.Labels {
	if f.cluster == "" {
		return nil
	}
	return prometheus.Labels{clusterLabel: f.cluster}
}

func (r *RED) describe(cluster string) {
	names := redNames[:len(redNames):len(redNames)]
	for _, a := range r.dimensions {
		names = append(names, labelName(a))
	}
	r.calls = family{"traces_spanmetrics_calls_total", "Spans by service, name, kind and status.", model.MetricTypeCounter, names, cluster}
	r.latency = family{"traces_spanmetrics_latency", "Duration of spans in seconds.", model.MetricTypeHistogram, names, cluster}
	r.target = family{"traces_target_info", "Resources that send spans; the value is 1.", model.MetricTypeGauge, targetNames, ""} // a target has the cluster of its resource
	r.described = descs{r.calls.desc(), r.latency.desc(), r.target.desc()}
}

// Describe implements prometheus.Collector.
func (r *RED) Describe(ch chan<- *prometheus.Desc) {
	ch <- r.described.calls
	ch <- r.described.latency
	ch <- r.described.target
}

// Collect implements prometheus.Collector. It copies the counts first, so that a slow scrape does not hold up Observe.
// Exemplars go out by [RED.Samples] alone.
func (r *RED) Collect(ch chan<- prometheus.Metric) {
	r.mu.Lock()
	rows := r.rows()
	known := make([]string, 0, len(r.targets.known))
	for key := range r.targets.known {
		known = append(known, key)
	}
	r.mu.Unlock()
	for i := range rows {
		row := &rows[i]
		labels := values(row.from.key, len(r.calls.labels))
		ch <- counter(r.described.calls, row.latency.count, row.start, labels)
		ch <- collected(r.described.latency, &row.latency, &r.shape, row.start, labels)
	}
	for _, key := range known {
		ch <- prometheus.MustNewConstMetric(r.described.target, prometheus.GaugeValue, 1, values(key, len(targetNames))...)
	}
}

// Self returns the collector of braid's own metrics about r, which are kept apart from those that are made of spans.
func (r *RED) Self() prometheus.Collector { return redSelf{r} }

type redSelf struct{ r *RED }

// Describe implements prometheus.Collector.
func (s redSelf) Describe(ch chan<- *prometheus.Desc) { s.r.self.Describe(ch) }

// Collect implements prometheus.Collector.
func (s redSelf) Collect(ch chan<- prometheus.Metric) {
	s.r.mu.Lock()
	s.r.self.series.Set(float64(len(s.r.series)))
	s.r.mu.Unlock()
	s.r.self.Collect(ch)
}

func counter(desc *prometheus.Desc, n uint64, start int64, labels []string) prometheus.Metric {
	if start == 0 {
		return prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	return prometheus.MustNewConstMetricWithCreatedTimestamp(desc, prometheus.CounterValue, float64(n), time.Unix(0, start), labels...)
}

// collected returns d as a metric, of the kinds that s says.
func collected(desc *prometheus.Desc, d *durations, s *shape, start int64, labels []string) prometheus.Metric {
	cumulative := make(map[float64]uint64, len(s.bounds))
	count := uint64(0)
	for i, bound := range s.bounds {
		count += d.buckets[i]
		cumulative[bound] = count
	}
	var m prometheus.Metric
	if start == 0 {
		m = prometheus.MustNewConstHistogram(desc, d.count, d.sum.seconds(), cumulative, labels...)
	} else {
		m = prometheus.MustNewConstHistogramWithCreatedTimestamp(desc, d.count, d.sum.seconds(), cumulative, time.Unix(0, start), labels...)
	}
	if s.kind.native() {
		return withNative{m, d.native()}
	}
	return m
}

// withNative adds the buckets of a native histogram to a classic one: client_golang's own constant metrics are the one
// or the other.
type withNative struct {
	prometheus.Metric
	h *histogram.Histogram
}

// Write implements prometheus.Metric.
func (m withNative) Write(out *dto.Metric) error {
	if err := m.Metric.Write(out); err != nil {
		return err
	}
	p := out.Histogram
	p.Schema, p.ZeroThreshold, p.ZeroCount = &m.h.Schema, &m.h.ZeroThreshold, &m.h.ZeroCount
	p.PositiveDelta = m.h.PositiveBuckets
	for i := range m.h.PositiveSpans {
		s := &m.h.PositiveSpans[i]
		p.PositiveSpan = append(p.PositiveSpan, &dto.BucketSpan{Offset: &s.Offset, Length: &s.Length})
	}
	return nil
}

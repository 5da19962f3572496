package traces

import (
	"github.com/prometheus/client_golang/prometheus"
)

var (
	labelNames  = []string{"service", "span_name", "span_kind", "status_code"}
	callsDesc   = prometheus.NewDesc("traces_spanmetrics_calls_total", "Spans by service, name, kind and status.", labelNames, nil)
	latencyDesc = prometheus.NewDesc("traces_spanmetrics_latency", "Duration of spans in seconds.", labelNames, nil)
)

// Describe implements prometheus.Collector.
func (r *RED) Describe(ch chan<- *prometheus.Desc) {
	ch <- callsDesc
	ch <- latencyDesc
	r.self.Describe(ch)
}

// Collect implements prometheus.Collector. It copies the counts first, so that a slow scrape does not hold up Observe.
func (r *RED) Collect(ch chan<- prometheus.Metric) {
	type row struct {
		key
		series
	}
	r.mu.Lock()
	rows := make([]row, 0, len(r.series))
	for k, s := range r.series {
		rows = append(rows, row{k, *s})
	}
	r.mu.Unlock()
	for i := range rows {
		s := &rows[i]
		labels := []string{s.service, s.name, s.kind.String(), s.status.String()}
		cumulative := make(map[float64]uint64, len(bounds))
		count := uint64(0)
		for j, bound := range bounds {
			count += s.buckets[j]
			cumulative[bound] = count
		}
		count += s.buckets[len(bounds)]
		ch <- prometheus.MustNewConstMetric(callsDesc, prometheus.CounterValue, float64(count), labels...)
		ch <- prometheus.MustNewConstHistogram(latencyDesc, count, s.nanos/1e9, cumulative, labels...)
	}
	r.self.series.Set(float64(len(rows)))
	r.self.Collect(ch)
}

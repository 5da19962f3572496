package correlate

import "github.com/prometheus/client_golang/prometheus"

type verdictMetrics struct {
	length  prometheus.Gauge
	damaged prometheus.Counter
}

func newVerdictMetrics() verdictMetrics {
	return verdictMetrics{
		length: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_correlate_verdicts", Help: "Verdicts that the log has had, those that were let go included.",
		}),
		damaged: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_correlate_verdicts_damaged_total", Help: "Records and headers of the verdict log that failed their checks or were missing.",
		}),
	}
}

type indexMetrics struct {
	entries                    prometheus.Gauge
	refused, expired, overflow prometheus.Counter
}

func newIndexMetrics() indexMetrics {
	return indexMetrics{
		entries: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_correlate_index_entries", Help: "Traces with facts in the index, by part of receive time.",
		}),
		refused: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_correlate_index_refused_total", Help: "Facts that were not kept because the index was full.",
		}),
		expired: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_correlate_index_expired_total", Help: "Traces with facts whose time in the index was over.",
		}),
		overflow: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "braid_correlate_slow_overflow_total", Help: "Spans of operations beyond the limit, which no quantile calls slow.",
		}),
	}
}

var (
	tracesDesc = prometheus.NewDesc("braid_correlate_traces_total", "Traces decided, each once.", []string{"verdict"}, nil)
	ruleDesc   = prometheus.NewDesc("braid_correlate_rule_traces_total",
		"Kept traces for which a rule held (kept), and traces that it alone would have kept (alone).", []string{"rule", "outcome"}, nil)
	decidedSpansDesc = prometheus.NewDesc("braid_correlate_spans_total", "Spans that the decider has read, each once.", nil, nil)
	lateDesc         = prometheus.NewDesc("braid_links_late_total",
		"What came when its trace had been decided: spans, which follow the verdict, and error lines of traces that are not kept.", []string{"kind"}, nil)
	malformedDesc = prometheus.NewDesc("braid_correlate_spans_malformed_total",
		"Spans without a trace id (dropped), without a span id, with an end before the start, or of a trace id used again.", []string{"reason"}, nil)
)

type exemplarMetrics struct {
	outcomes *prometheus.CounterVec
	by       [exemplarOutcomes]prometheus.Counter
	held     prometheus.Gauge
}

func newExemplarMetrics() exemplarMetrics {
	m := exemplarMetrics{
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "braid_correlate_exemplars_total",
			Help: "Exemplars by what became of them: shipped (kept, or unlinked: without a trace), or stripped and why.",
		}, []string{"outcome"}),
		held: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_correlate_exemplars_held", Help: "Exemplars that wait for their trace's verdict and a later sample of their series.",
		}),
	}
	for i, name := range exemplarOutcomeNames {
		m.by[i] = m.outcomes.WithLabelValues(name)
	}
	return m
}

func (m *exemplarMetrics) count(o exemplarOutcome) { m.by[o].Inc() }

// Describe implements prometheus.Collector.
func (d *Decider) Describe(ch chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{tracesDesc, ruleDesc, decidedSpansDesc, lateDesc, malformedDesc} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (d *Decider) Collect(ch chan<- prometheus.Metric) {
	c := d.Counts()
	counter := func(desc *prometheus.Desc, n uint64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.CounterValue, float64(n), labels...)
	}
	counter(tracesDesc, c.Kept, "kept")
	counter(tracesDesc, c.Traces-c.Kept, "dropped")
	for i, name := range d.rules.names {
		counter(ruleDesc, c.RuleKept[i], name, "kept")
		counter(ruleDesc, c.RuleAlone[i], name, "alone")
	}
	counter(decidedSpansDesc, c.Spans)
	counter(lateDesc, c.LateSpans, "span")
	if d.lines != nil {
		counter(lateDesc, d.lines.settle(), "error_line")
	}
	counter(malformedDesc, c.NoTraceID, "no_trace_id")
	counter(malformedDesc, c.NoSpanID, "no_span_id")
	counter(malformedDesc, c.EndBeforeStart, "end_before_start")
	counter(malformedDesc, c.ReusedTraceIDs, "trace_id_reused")
}

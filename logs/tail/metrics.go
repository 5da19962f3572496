package tail

import "github.com/prometheus/client_golang/prometheus"

// Metrics are those of the whole room: records_read = records{sent} + records{rewound} + dropped + in flight.
type Metrics struct {
	Lines     prometheus.Counter     // physical lines, those read again included
	Bytes     prometheus.Counter     // uncompressed
	Read      prometheus.Counter     // records decoded and not known to be safe
	Records   *prometheus.CounterVec // by outcome: sent, rewound
	Dropped   *prometheus.CounterVec // by reason
	Flagged   *prometheus.CounterVec // by flag: truncated, partial, malformed
	Lost      *prometheus.CounterVec // by namespace, pod, container, reason
	Gaps      *prometheus.CounterVec // by reason
	OpenFiles prometheus.Gauge
	Errors    *prometheus.CounterVec // by op: list, open, read, watch, state, write
}

// NewMetrics makes the metrics and registers them with r, if there is one.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	vec := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &Metrics{
		Lines:   counter("braid_logs_lines_read_total", "Physical log lines read, those read again after a failure included."),
		Bytes:   counter("braid_logs_read_bytes_total", "Uncompressed bytes of log files decoded."),
		Read:    counter("braid_logs_records_read_total", "Log records read and handed on."),
		Records: vec("braid_logs_records_total", "Log records by outcome: sent (acknowledged) or rewound (to be read again).", "outcome"),
		Dropped: vec("braid_logs_records_dropped_total", "Log records that the next hop refuses for good.", "reason"),
		Flagged: vec("braid_logs_records_flagged_total", "Log records that were truncated, had no end, or were malformed.", "flag"),
		Lost: vec("braid_log_bytes_lost_total", "Bytes known to have existed and gone before they were read.",
			"namespace", "pod", "container", "reason"),
		Gaps: vec("braid_log_gaps_total", "Gaps of unknowable size in a container's log.", "reason"),
		OpenFiles: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "braid_logs_open_files", Help: "Log files held open."}),
		Errors: vec("braid_logs_errors_total", "Failed operations.", "op"),
	}
	if r != nil {
		r.MustRegister(m.Lines, m.Bytes, m.Read, m.Records, m.Dropped, m.Flagged, m.Lost, m.Gaps, m.OpenFiles, m.Errors)
	}
	return m
}

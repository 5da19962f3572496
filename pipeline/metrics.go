package pipeline

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/braidhq/braid/telemetry"
)

// A dropReason says why a frame that a lane had taken was not delivered to a cursor.
type dropReason int

const (
	reasonSkipped     dropReason = iota // the lane was full and the cursor is optional
	reasonCorrupt                       // the record failed its checks
	reasonQuarantined                   // it could not be decoded or delivered, and lies in the quarantine
	dropReasons
)

var dropReasonNames = [dropReasons]string{"skipped", "corrupt", "quarantined"}

// metrics is the queue's ledger. For each cursor, over its life: frames in = out + dropped{reason} + in flight.
type metrics struct {
	frames     *prometheus.CounterVec
	inBytes    *prometheus.CounterVec
	out        *prometheus.CounterVec
	dropped    *prometheus.CounterVec
	records    *prometheus.CounterVec
	fsync      prometheus.Histogram
	gauges     gauges
	registered []prometheus.Collector

	outcome [len(telemetry.Signals)][outcomes]prometheus.Counter
	bytes   [len(telemetry.Signals)]prometheus.Counter
}

// outcomes of the frames of an append.
const (
	outcomeStored = iota
	outcomeDuplicate
	outcomeRefused
	outcomeFailed
	outcomes
)

type cursorMetrics struct {
	out                            prometheus.Counter
	dropped                        [dropReasons]prometheus.Counter
	delivered, duplicate, replayed prometheus.Counter // records
	badSeries, staged              prometheus.Counter // records
}

func newMetrics() *metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "braid_pipeline_" + name, Help: help}, labels)
	}
	m := &metrics{
		frames: counter("appended_frames_total",
			"Frames that senders brought: stored, duplicate (a repeat, acknowledged), refused (no room, sent again later) or failed (the disk).",
			"signal", "outcome"),
		inBytes: counter("stored_bytes_total", "Body bytes of the frames stored.", "signal"),
		out:     counter("out_frames_total", "Frames that a cursor has passed as done.", "signal", "cursor"),
		dropped: counter("dropped_frames_total", "Stored frames that a cursor has passed without delivering them.", "signal", "cursor", "reason"),
		records: counter("records_total", "Records that a delivery has decoded: delivered (of them dropped by its stages before the sink), duplicate, replayed or invalid.", "signal", "cursor", "outcome"),
		fsync: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "braid_pipeline_fsync_seconds", Help: "How long a lane's write and fdatasync took.",
			Buckets: prometheus.ExponentialBuckets(0.0001, 2, 14),
		}),
		gauges: newGauges(),
	}
	for i, s := range telemetry.Signals {
		for o, name := range [outcomes]string{"stored", "duplicate", "refused", "failed"} {
			m.outcome[i][o] = m.frames.WithLabelValues(s.String(), name)
		}
		m.bytes[i] = m.inBytes.WithLabelValues(s.String())
	}
	return m
}

func (m *metrics) register(r prometheus.Registerer, q *Queue) error {
	m.gauges.q = q
	if r == nil {
		return nil
	}
	for _, c := range []prometheus.Collector{m.frames, m.inBytes, m.out, m.dropped, m.records, m.fsync, &m.gauges} {
		if err := r.Register(c); err != nil {
			m.unregister(r)
			return err
		}
		m.registered = append(m.registered, c)
	}
	return nil
}

func (m *metrics) unregister(r prometheus.Registerer) {
	for _, c := range m.registered {
		r.Unregister(c)
	}
}

// appended counts an answered request.
func (m *metrics) appended(r *request) {
	if len(r.frames) == 0 {
		return
	}
	// One signal a request is the rule; of a mixed one everything is counted frame by frame all the same.
	stored := r.err == nil
	for i := range r.frames {
		lane := laneIndex(r.frames[i].Signal)
		switch {
		case stored && !r.isDuplicate(i):
			m.outcome[lane][outcomeStored].Inc()
			m.bytes[lane].Add(float64(len(r.frames[i].Body)))
		case stored:
			m.outcome[lane][outcomeDuplicate].Inc()
		case isRefusal(r.err):
			m.outcome[lane][outcomeRefused].Inc()
		default:
			m.outcome[lane][outcomeFailed].Inc()
		}
	}
}

func isRefusal(err error) bool {
	_, later := telemetry.RetryAfter(err)
	return later || telemetry.IsPermanent(err)
}

func (m *metrics) cursor(s telemetry.Signal, name string) (c cursorMetrics) {
	c.out = m.out.WithLabelValues(s.String(), name)
	for i, reason := range dropReasonNames {
		c.dropped[i] = m.dropped.WithLabelValues(s.String(), name, reason)
	}
	c.delivered = m.records.WithLabelValues(s.String(), name, "delivered")
	c.duplicate = m.records.WithLabelValues(s.String(), name, "duplicate")
	c.replayed = m.records.WithLabelValues(s.String(), name, "replayed")
	c.staged = m.records.WithLabelValues(s.String(), name, "dropped")
	c.badSeries = m.records.WithLabelValues(s.String(), name, "invalid")
	return c
}

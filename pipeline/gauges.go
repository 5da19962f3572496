package pipeline

import "github.com/prometheus/client_golang/prometheus"

// gauges reads the state of the lanes when it is asked for, so that no hot path keeps them up to date.
type gauges struct {
	q                                *Queue
	size, lag, inFlight, quarantined *prometheus.Desc
}

func newGauges() gauges {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("braid_pipeline_"+name, help, labels, nil)
	}
	return gauges{
		size:        desc("lane_bytes", "What a lane's segments take on disk.", "signal"),
		lag:         desc("lag_bytes", "Bytes of frames that a cursor has not committed yet.", "signal", "cursor"),
		inFlight:    desc("in_flight_frames", "Frames that a cursor has not committed yet.", "signal", "cursor"),
		quarantined: desc("quarantine_bytes", "What the quarantine takes on disk."),
	}
}

// Describe implements [prometheus.Collector].
func (g *gauges) Describe(ch chan<- *prometheus.Desc) {
	ch <- g.size
	ch <- g.lag
	ch <- g.inFlight
	ch <- g.quarantined
}

// Collect implements [prometheus.Collector].
func (g *gauges) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
	}
	for _, l := range g.q.lanes {
		signal := l.signal.String()
		gauge(g.size, l.bytes(), signal)
		for _, c := range l.opened() {
			frames, bytes := c.Lag()
			gauge(g.lag, bytes, signal, c.name)
			gauge(g.inFlight, frames, signal, c.name)
		}
	}
	gauge(g.quarantined, g.q.jail.bytes())
}
